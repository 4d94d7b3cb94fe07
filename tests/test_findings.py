"""Findings of searches, from records by hand."""

import re
from dataclasses import replace

import numpy as np
import pytest
from fabricated import SOURCES, ZERO_SHOT, study
from fabricated import samples as fabricated_samples
from fabricated_searches import CHANGES, FITTED, TREES, record

from fivesigma.background import Estimate
from fivesigma.findings import Null, measures, power
from fivesigma.plan import Plan
from fivesigma.searched import Searches, _best, _failed, _fault


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
        *("excess beyond the sidebands 0.1", "excess beyond the sidebands 0.01"),
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


@pytest.mark.parametrize(
    ("doctor", "words"),
    [
        ([("a", "fine")], ""),
        ([("a", "look"), ("b", "fault")], ", but b it is, which makes it wrong"),
        (
            [("simulation behind 0.1", "fault"), ("excess beyond the sidebands 0.1", "fine")],
            ", but simulation behind 0.1 it is: a simulation that is wrong, or a signal in the "
            "sidebands; excess beyond the sidebands 0.1 it is",
        ),
    ],
)
def test_a_fault_in_words(doctor, words):
    found = [{"check": name, "verdict": v, "words": f"{name} it is"} for name, v in doctor]
    assert _fault(found) == words


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
