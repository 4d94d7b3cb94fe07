"""Searches of fabricated events, from the grid to the report."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fabricated import CWOLA, SUPERVISED, VALLEY, arm, study
from fabricated_searches import CHANGES, FITTED, TREES, record
from fabricated_studies import IN_PROCESS
from scipy.special import ndtr

from fivesigma import studies
from fivesigma.background import Spectrum
from fivesigma.digest import digest
from fivesigma.findings import Null
from fivesigma.folds import Scored
from fivesigma.plan import Plan
from fivesigma.report import write_report
from fivesigma.results import save
from fivesigma.search import search
from fivesigma.searches import SearchTask
from fivesigma.studies import run


def test_the_grid_of_a_search(plan):
    """Data sets without a signal once, with a signal at each strength; kinematics always."""
    tasks = plan(study(**CHANGES)).searches()
    sets = [(t.task.trainings[0].strengths, len(t.task.trainings)) for t in tasks]
    assert sets == [((0.0,), 20), ((0.0,), 20), ((2.0,), 3), ((4.0,), 3)]
    assert len({task.hash for task in tasks}) == len(tasks)
    assert all(task.task.dijet for task in tasks)
    assert tasks[1].task.trainings[0].repeat == 20
    assert tasks[0].title == "trees, ID10, S/sqrt(B) = 0, 20 data sets"


def test_what_decides_a_record(plan):
    def first(**search):
        changes = CHANGES | {"search": CHANGES["search"] | search}
        return plan(study(**changes)).searches()[0].hash

    base = first()
    assert first(null_sets=60) == base
    others = [{"folds": 3}, {"members": 2}, {"degree": 2}, {"naive": "left out"}]
    others.append({"score": "standardised"})
    assert len({base, *(first(**other) for other in others)}) == 6


def test_a_search_needs_arms_that_know_no_truth():
    with pytest.raises(ValueError, match=r"search: expected arms that learn without the truth"):
        study(**CHANGES | {"arms": [TREES, SUPERVISED]})


def test_a_search_does_not_pass_over_an_interpretation():
    interpreted = arm(CWOLA, interpret={})
    with pytest.raises(ValueError, match=r"search: expected arms without interpret"):
        study(**CHANGES | {"arms": [interpreted]})


@pytest.mark.slow
def test_a_task(plan):
    task = plan(study(**CHANGES)).searches()[-1]
    assert isinstance(task, SearchTask)
    record = task.run()
    assert record["hash"] == task.hash
    assert [one["s_over_sqrt_b"] for one in record["sets"]] == [4.0] * 3
    for one in record["sets"]:
        expected = 136 + 4 * 136**0.5
        assert one["n_events"] == pytest.approx(expected, abs=5 * expected**0.5)
        for how in ("interpolation", "template"):
            found = one["outcomes"][how]
            assert [cut["eps_b"] for cut in found["cuts"]] == [0.2, 0.1]
            assert 0 <= min(found["n_signal"]) <= max(found["n_signal"]) <= 4 * 136**0.5 * 2
        assert set(one["naive"]) == {"0.2", "0.1"}
        assert 0 <= one["auc"] <= 1
    assert len({one["n_events"] for one in record["sets"]}) > 1, "counts vary as those of data"
    assert json.dumps(task.run()) == json.dumps(record)


@pytest.mark.slow
def test_standardised_scores_do_not_know_the_mass(plan):
    """Data and template of a score that is the mass itself, blurred."""
    changes = CHANGES | {"search": CHANGES["search"] | {"score": "standardised"}}
    task = plan(study(**changes)).searches()[0]
    rng = np.random.default_rng(0)
    mass, simulated = rng.uniform(4400, 5800, 4000), rng.uniform(4700, 5500, 2000)
    inside = (mass > 4700) & (mass < 5500)

    def score(m):
        return ndtr((m - 5100) / 700 + rng.normal(size=len(m)))

    scored = Scored(score(mass), rng.integers(0, 2, 4000), (False, False), np.array)
    events = task._events(scored, mass, inside, (score(simulated)[None].repeat(2, 0), simulated))
    found = search(events, eps_b=[0.1])
    assert found.cuts[0].n == pytest.approx(0.1 * inside.sum(), rel=0.15)
    assert abs(np.corrcoef(scored.score, mass)[0, 1]) > 0.4
    assert abs(np.corrcoef(events.scored.score, mass)[0, 1]) < 0.05
    assert abs(np.corrcoef(events.template[1], simulated)[0, 1]) < 0.08
    assert task.run()["sets"][0]["outcomes"]["template"]["cuts"][0]["n"] > 0


def test_where_the_spectrum_is_fitted(plan):
    """In the regions of the benchmark; without, a search is named as before it could be asked."""
    task = plan(study(**FITTED)).searches()[0]
    sidebands = ((4400.0, 4700.0), (5500.0, 5800.0))
    assert task.spectrum == Spectrum(sidebands, (4700.0, 5500.0), 13_000.0)
    assert replace(task, spectrum=replace(task.spectrum, sqrt_s=14_000.0)).hash != task.hash
    without = plan(study(**CHANGES)).searches()[0]
    how = without.settings.model_dump(exclude={"null_sets", "sets_per_task", "data"})
    assert without.spectrum is None
    assert without.hash == digest({"task": without.task.hash, "search": how, "data": None})


def test_a_signal_region_of_two_windows(samples, tmp_path):
    cuts = (VALLEY.selection.region("signal_region"), VALLEY.selection.region("sideband"))
    regions = (replace(cuts[0], windows=((4700.0, 5000.0), (5100.0, 5500.0))), cuts[1])
    other = replace(VALLEY, selection=replace(VALLEY.selection, regions=regions))
    plan = Plan(study(**FITTED), replace(samples, benchmark=other), tmp_path, lambda *_: None)
    with pytest.raises(
        ValueError, match=r"search.background: .* of one window for spectrum; got 2"
    ):
        plan.searches()


@pytest.mark.slow
def test_a_search_by_the_spectrum(plan):
    (first, *_) = plan(study(**FITTED)).searches()
    for one in first.run()["sets"][:3]:
        fitted, other = (one["outcomes"][how] for how in ("spectrum", "interpolation"))
        for cut, same in zip(fitted["cuts"], other["cuts"], strict=True):
            assert (cut["n"], cut["n_template"]) == (same["n"], same["n_template"])
            (value, error), (expected, sigma) = (c["background"].values() for c in (cut, same))
            assert abs(value - expected) < 4 * np.hypot(error, sigma)


@pytest.mark.slow
def test_a_search_from_the_study_to_the_report(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "prepare", lambda *_, **__: samples)
    monkeypatch.setattr(studies, "LocalCluster", IN_PROCESS)
    made = run(
        study(**CHANGES),
        out=tmp_path,
        store=tmp_path / "store",
        workers=1,
        report=lambda *_: None,
    )
    results = json.loads(save(made, tmp_path).read_text())
    assert list(results["search"]) == ["trees, interpolation", "trees, template"]
    for one in results["search"].values():
        assert one["null"]["n_sets"] == 40
        assert list(one["power"]) == ["ID10"]
        assert one["power"]["ID10"]["shape"]["s_over_sqrt_b"] == [2, 4]
        assert len(one["null"]["calibrated"]["any"]["p"]) == 40
        assert list(one["null"]["argos"]) == ["0.2", "0.1", "any"]
    assert len(results["summary"]) == 3
    assert "data sets without a signal" in results["summary"][0]
    assert "share events" in results["summary"][2], "half of the simulated events are in each"
    assert results["shared"]["signal_region"] > 0.5
    page = write_report(tmp_path).read_text()
    assert "Without a signal" in page
    assert "ARGOS" in page
    for name in ("null", "power"):
        assert json.loads((tmp_path / "tables" / f"{name}.json").read_text())
    assert not (tmp_path / "figures" / "data_spectrum.png").exists()
    with_data_of_one_method(results)
    (tmp_path / "results.json").write_text(json.dumps(results))
    page = write_report(tmp_path).read_text()
    assert "area without a signal" in page
    assert (tmp_path / "figures" / "data_spectrum.png").stat().st_size > 10_000
    assert "low_gev" in (tmp_path / "hepdata" / "data_spectrum.yaml").read_text()


def with_data_of_one_method(results):
    """As where the task of the other has failed."""
    rng = np.random.default_rng(1)
    null = Null([record(rng) for _ in range(40)], "template")
    results["search"]["trees, template"]["data"] = null.of_data(record(rng, excess=3.0))
