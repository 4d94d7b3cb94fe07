"""Searches of fabricated events, from the grid to the report."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from fabricated import CWOLA, SOURCES, SUPERVISED, VALLEY, ZERO_SHOT, arm, study
from fabricated import samples as fabricated_samples
from fabricated_studies import IN_PROCESS
from scipy.special import ndtr

from fivesigma import studies
from fivesigma.background import Estimate, Spectrum
from fivesigma.digest import digest
from fivesigma.findings import Null, measures, power
from fivesigma.folds import Scored
from fivesigma.plan import Plan
from fivesigma.report import write_report
from fivesigma.results import save
from fivesigma.search import search
from fivesigma.searched import Searches, _best, _failed
from fivesigma.searches import SearchTask
from fivesigma.studies import run

TREES = arm(
    CWOLA,
    name="trees",
    strategy="trees",
    options={"members": 1, "max_iter": 5},
    representation={"kind": "features", "observables": ["width", "lha"]},
)
CHANGES = {
    "arms": [TREES],
    "luminosity_fb": 1.0,
    "held_out": {"signal": 40, "background": 60},
    "grid": {"s_over_sqrt_b": [0, 2, 4], "repeats": 3, "eps_b": [0.2, 0.1]},
    "search": {"folds": 2, "null_sets": 40, "sets_per_task": 20},
}


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


FITTED = CHANGES | {
    "grid": {"s_over_sqrt_b": [0], "eps_b": [0.6, 0.3]},
    "search": CHANGES["search"] | {"background": ["interpolation", "spectrum"]},
}


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


# Findings, from records by hand


def record(rng, *, strength=0.0, excess=0.0, width=1.0):
    """Counts about 100 and 10 with an excess, in standard deviations."""
    cuts, intervals = [], []
    for eps, B in ((0.1, 100.0), (0.01, 10.0)):
        n = max(0, round(B + B**0.5 * (excess + width * rng.normal())))
        background = {"value": B, "error": 0.0}
        cuts.append({"eps_b": eps, "n": n, "background": background, "n_template": n})
        intervals.append({"n": n, "background": background})
    found = {"cuts": cuts, "intervals": intervals, "collapsed": 0}
    found["n_signal"] = [round(B**0.5 * excess) for B in (100.0, 10.0)]
    spectra = {"all": [600, 400], "0.1": [n, 0], "0.01": [0, n]}
    found["m_jj"] = {"edges_gev": [4500.0, 5000.0, 5500.0], "counts": spectra}
    naive = {"0.1": 5.0, "0.01": 3.0}
    outcomes = {"template": found}
    about = {"s_over_sqrt_b": strength, "n_events": 1000, "n_sideband": 1000, "naive": naive}
    return about | {"auc": 0.5, "repeat": 0, "outcomes": outcomes}


def test_closure_is_of_the_counts():
    rng = np.random.default_rng(1)
    fair = Null([record(rng) for _ in range(400)], "template")
    assert fair.closure.cuts[0.1] < 0.05
    assert fair.summary()["calibrated"]["0.1"]["ks_p"] > 0.001
    assert fair.summary()["naive_z"]["0.1"]["median"] == 5
    wide = Null([record(rng, width=3.0) for _ in range(400)], "template")
    assert wide.closure.cuts[0.1] == pytest.approx(8**0.5 * 0.1, rel=0.15)
    assert wide.summary()["local"]["0.1"]["z_max"] < 4


def test_power_of_a_known_excess():
    """An excess of five standard deviations per unit of strength reaches five at one."""
    rng = np.random.default_rng(2)
    null = Null([record(rng) for _ in range(200)], "template")
    hits = [record(rng, strength=s, excess=5 * s) for s in (0.5, 1.0, 1.5) for _ in range(40)]
    found = power(hits, null, rng=rng)
    assert found["0.1"]["reach"]["local"]["5"]["value"] == pytest.approx(1, abs=0.25)
    calibrated = found["0.1"]["reach"]["calibrated"]["5"]["value"]
    assert found["0.1"]["reach"]["local"]["5"]["value"] <= calibrated < 1.6
    assert found["0.1"]["origin"][-1] == ["extrapolated"]
    assert set(found) == {"0.1", "0.01", "shape", "any"}


def test_the_measure_beside_the_p_values():
    """Of 1000 events in the signal region it is (n - B) / sqrt(1000 B)."""
    rng = np.random.default_rng(3)
    null = Null([record(rng) for _ in range(400)], "template")
    found = null.summary()["argos"]
    assert set(found) == {"0.1", "0.01", "any"}
    for name in ("0.1", "0.01"):
        assert found[name]["median"] == pytest.approx(0, abs=0.005)
        assert found[name]["high"] == pytest.approx(1 / 1000**0.5, rel=0.2)
    hit = record(rng, excess=5.0, width=0.0)
    assert null.of_data(hit)["argos"]["0.1"] == pytest.approx(50 / 100_000**0.5)
    outcome = null.outcome(hit)
    assert measures(outcome, 1000)["any"] == pytest.approx(16 / 10_000**0.5)
    few = replace(outcome.cuts[1], background=Estimate(9.9, 0.0))
    tight = replace(outcome, cuts=(outcome.cuts[0], few))
    assert measures(tight, 1000)["any"] == pytest.approx(50 / 100_000**0.5)
    assert measures(replace(tight, cuts=(few,)), 1000)["any"] == measures(tight, 1000)["0.01"]


def test_the_best_of_several_methods():
    """Beside the best of as many without a signal, which is better than one of them."""
    rng = np.random.default_rng(4)
    nulls = [Null([record(rng) | {"repeat": r} for r in range(100)], "template") for _ in range(4)]
    names = ("one", "other", "third", "fourth")

    def told(*excesses):
        data = [record(rng, excess=excess, width=0.0) for excess in excesses]
        return _best(dict(zip(names, zip(nulls, data, strict=False), strict=False)))

    (text,) = told(1.0, 4.0, 0.0, 0.0)
    assert "the best of 4 methods in the data is other, with 0.130; without a signal" in text
    assert "says nothing" not in text
    assert "extrapolated" in text
    (text,) = told(1.1, 0.5, 0.0, 0.0)
    assert "is one, with 0.035" in text
    assert "so that this says nothing" in text, "above most of one method, not of the best of four"
    assert told(4.0) == []


def test_data_are_compared_with_what_calibrates_them():
    rng = np.random.default_rng(5)
    null = Null([record(rng) | {"n_events": 1000 + i % 60} for i in range(100)], "template")

    def verdicts(**changes):
        found = null.of_data(record(rng, width=0.0) | changes)["doctor"]
        return {finding["check"]: finding["verdict"] for finding in found}

    fine = verdicts()
    assert set(fine.values()) == {"fine"}
    assert set(fine) == {
        *("events, signal region", "events, sidebands", "area without a signal"),
        *("simulation behind 0.1", "simulation behind 0.01"),
    }
    assert verdicts(n_events=19_000)["events, signal region"] == "fault"
    knowing = [one | {"auc": 0.9} for one in null.records]
    for taught, verdict in ((False, "look"), (True, "fine")):
        *_, area = replace(null, records=knowing, taught=taught).of_data(record(rng))["doctor"]
        assert (area["check"], area["verdict"]) == ("area without a signal", verdict)
    assert verdicts(n_events=1150)["events, signal region"] == "fine", "a strong signal is no fault"
    assert verdicts(n_sideband=500)["events, sidebands"] == "fault"
    other = record(rng, width=0.0)
    for cut in other["outcomes"]["template"]["cuts"]:
        cut["n_template"] *= 2
    found = {f["check"]: f["verdict"] for f in null.of_data(other)["doctor"]}
    assert found["simulation behind 0.1"] == "fault"


@pytest.mark.slow
def test_a_data_set_that_fails_takes_no_other_with_it(plan):
    """A fit of the spectrum asks for three events in each sideband, which few sets have."""
    tight = FITTED | {"grid": {"s_over_sqrt_b": [0], "eps_b": [0.6, 0.02]}}
    (first, *_) = plan(study(**tight)).searches()
    sets = first.run()["sets"]
    failed = [one for one in sets if "failed" in one]
    assert 0 < len(failed) < len(sets)
    message = r"background behind the cut at 2 %: .* in each sideband"
    assert all(re.search(message, one["failed"]) for one in failed)


def test_methods_without_enough_data_sets_are_named():
    few = Searches(
        "one",
        "one",
        [{"failed": "x"}] * 3 + [{}] * 38,
        {"ID10": [{"failed": "y"}, {}]},
        [],
        taught=False,
    )
    enough = Searches("other", "other", [{}] * 40, {}, [], taught=False)
    told = _failed([few, enough])
    assert [f["task"] for f in told] == [
        "one, no signal: 3 of 41 data sets",
        "one, ID10: 1 of 2 data sets",
        "one",
    ]
    assert told[-1]["error"] == "expected 40 data sets without a signal to calibrate with; got 38"
    assert (len(few.without), len(few.by_target["ID10"])) == (38, 1)


def test_each_target_has_its_own_calibration_where_networks_differ(tmp_path):
    made = fabricated_samples(tmp_path, targets=("ID10", "DD10"))
    both = {"targets": ["ID10", "DD10"], "sources": SOURCES, "arms": [TREES, ZERO_SHOT]}
    tasks = Plan(study(**CHANGES | both), made, tmp_path / "store", lambda *_: None).searches()
    without = {
        (t.task.arm.name, t.task.target) for t in tasks if t.task.trainings[0].strengths == (0.0,)
    }
    assert without == {("trees", "ID10"), ("zero shot", "ID10"), ("zero shot", "DD10")}


def test_too_few_data_sets():
    with pytest.raises(ValueError, match="expected 20 data sets without a signal; got 1"):
        Null([record(np.random.default_rng(1))], "template")


@pytest.mark.slow
def test_a_network_that_learns_nothing_of_the_data(plan):
    """A pretrained network is searched with, too: one strength a data set."""
    ours = plan(study(**CHANGES | {"arms": [ZERO_SHOT], "sources": SOURCES}))
    tasks = ours.searches()
    assert {len(training.strengths) for t in tasks for training in t.task.trainings} == {1}
    for pretraining in ours.pretraining():
        pretraining.run()
    assert len(tasks[-1].run()["sets"]) == 3
