"""One task of a projection: its name, its weights, and its numbers at known answers."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import weighted
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import norm
from weighted import drawn

from fivesigma.losses import CrossEntropy
from fivesigma.lovasz import LovaszSignificance
from fivesigma.projection import ProjectionArm, SplitShares, TrainShare
from fivesigma.projections import ProjectionTask, measured, of_the_whole, training_weights
from fivesigma.statistics import asimov
from fivesigma.strategies import Fitted
from fivesigma.yields import Slice, Yields

SLICES = (
    Slice("signal", Path("/store/aaaa/numbers-1"), 2.0, 0.1, 1000),
    Slice("many", Path("/store/bbbb/numbers-1"), 300.0, 1.0, 2000),
)
TREES = ProjectionArm.model_validate(weighted.TREES)
TASK = ProjectionTask(
    arm=TREES,
    point="m1",
    repeat=0,
    seed=1,
    luminosity_fb=3000.0,
    slices=SLICES,
    shares=SplitShares(),
    train_share=TrainShare(),
)


def arm(**changes):
    return ProjectionArm.model_validate(weighted.TREES | changes)


# The name of a task

OTHER = {
    "arm's name": replace(TASK, arm=arm(name="other")),
    "options": replace(TASK, arm=arm(options={"trees": 21})),
    "strategy": replace(TASK, arm=arm(strategy="direct", options={})),
    "architecture": replace(TASK, arm=arm(architecture={"norm": "batch"})),
    "training": replace(TASK, arm=arm(training={"patience": 2})),
    "weights": replace(TASK, arm=arm(weights="expected")),
    "weights by process": replace(TASK, arm=arm(weights={"size": 0.5})),
    "point": replace(TASK, point="m2"),
    "repeat": replace(TASK, repeat=1),
    "seed": replace(TASK, seed=2),
    "luminosity": replace(TASK, luminosity_fb=1.0),
    "cross section": replace(TASK, slices=(replace(SLICES[0], cross_section_fb=3.0), SLICES[1])),
    "generated": replace(TASK, slices=(replace(SLICES[0], n_generated=999), SLICES[1])),
    "events": replace(
        TASK, slices=(replace(SLICES[0], folder=Path("/store/cccc/numbers-1")), SLICES[1])
    ),
    "shares": replace(TASK, shares=SplitShares(train=2)),
    "spread": replace(TASK, spread=0.2),
    "train share": replace(TASK, train_share=TrainShare(background=0.1)),
}


def test_everything_that_decides_a_task_is_in_its_hash():
    assert len({TASK.hash, *(task.hash for task in OTHER.values())}) == 1 + len(OTHER)
    moved = tuple(
        replace(one, folder=Path("/elsewhere") / one.folder.relative_to("/")) for one in SLICES
    )
    assert replace(TASK, slices=moved).hash == TASK.hash
    assert TASK.title == "trees, m1, repeat 0"


# Weights in the loss


def three():
    """A signal and two backgrounds; events of the second process are of two slices."""
    events = drawn([30, 20, 40])
    events.weight[events.process == 1] = np.tile([1.0, 3.0], 10)
    return replace(events, cross_section_fb=np.array([0.02, 5.0, 80.0]))


def totals(weights):
    events = three()
    w = training_weights(arm(weights=weights), events)
    return np.bincount(events.process, w)


def test_equal_weights_are_one_on_average():
    assert totals("equal") == pytest.approx([30, 20, 40])
    assert totals({"size": 0, "cross_section": 0}) == pytest.approx([30, 20, 40])


def test_weights_by_process():
    """As in the thesis, with cross sections in ab for their logarithm."""
    assert totals({"size": 1, "cross_section": 0}) == pytest.approx([1, 1, 1])
    sigma = np.array([20, 5000, 80_000])
    assert totals({"size": 1, "cross_section": 1}) == pytest.approx(sigma)
    assert totals({"size": 1, "cross_section": "log"}) == pytest.approx(np.log(sigma))
    root = totals({"size": 0.5, "cross_section": 0.5})
    assert root == pytest.approx(np.sqrt(sigma * [30, 20, 40]))
    lifted = totals({"size": 1, "cross_section": "lifted"})
    assert lifted == pytest.approx([20_000, 5000, 80_000])


@pytest.mark.parametrize("weights", ["equal", "expected", {"size": 0.5}])
def test_slices_of_a_process_have_the_rates_of_nature(weights):
    events = three()
    w = training_weights(arm(weights=weights), events)[events.process == 1]
    assert w[1::2] / w[::2] == pytest.approx(3)


def test_expected_weights_are_the_events():
    events = three()
    assert (training_weights(arm(weights="expected"), events) == events.weight).all()


def test_a_significance_is_that_of_the_whole_luminosity():
    events = three()
    loss = of_the_whole(LovaszSignificance(), events, events.weight)
    assert (loss.n_s, loss.n_b) == (30, 40 + 120)
    said = of_the_whole(LovaszSignificance(n_s=7.0), events, events.weight)
    assert (said.n_s, said.n_b) == (7, 160)


def test_what_an_arm_learns_with(monkeypatch):
    """Means have weights of mean 1, significances events at the luminosity."""
    seen = []

    class Learnt(Exception):
        """Instead of a training."""

    def fitted(strategy, _start, data, _learner):
        seen.append((strategy.loss, float(data.weight.mean())))
        raise Learnt

    monkeypatch.setattr("fivesigma.projections._fitted", fitted)
    loss = {"loss": {"kind": "significance"}}
    for changes in ({}, {"options": loss}, {"weights": "expected"}):
        with pytest.raises(Learnt):
            replace(TASK, arm=arm(**changes)).learn(three(), 1)
    with pytest.raises(Learnt):
        replace(TASK, arm=arm(weights="expected", options=loss)).learn(three(), 1)
    assert [type(one) for one, _ in seen] == [
        *(CrossEntropy, LovaszSignificance, CrossEntropy, LovaszSignificance)
    ]
    assert [mean for _, mean in seen] == pytest.approx([1, 1, 1, 190 / 90])
    assert seen[1][0].n_s is None
    assert (seen[3][0].n_s, seen[3][0].n_b) == (30, 160)


# Numbers behind a threshold

S, B_NEAR, B_FAR = 400.0, 20_000.0, 60_000.0
D, FAR = 2.0, -1.0
SLOPE = 1.5
N = 60_000


def gaussians(seed):
    """A signal about D, backgrounds about 0 and FAR, all of width 1, for a luminosity."""
    rng = np.random.default_rng(seed)
    means, totals_ = (D, 0.0, FAR), (S, B_NEAR, B_FAR)
    process = np.repeat([0, 1, 2], N)
    return Yields(
        x=(rng.normal(size=3 * N) + np.repeat(means, N)).astype(np.float32)[:, None],
        process=process,
        weight=np.repeat(totals_, N) / N,
        origin=np.arange(3 * N),
        names=("signal", "near", "far"),
        cross_section_fb=np.array(totals_) / 3000,
        cross_section_error_fb=np.zeros(3),
    )


def exact(t):
    """S, and B of both processes, behind a threshold on the score."""
    c = logit(t) / SLOPE
    return S * norm.sf(c - D), B_NEAR * norm.sf(c), B_FAR * norm.sf(c - FAR)


def z_of(t):
    s, *b = exact(t)
    return asimov(s, sum(b))


@pytest.fixture(scope="module")
def found():
    fitted = Fitted(lambda _i, x: expit(SLOPE * x[:, 0]), (None,))
    return measured(gaussians(0), gaussians(1), gaussians(2), fitted)


def test_yields_behind_the_threshold(found):
    numbers, rows = found["numbers"], found["yields"]
    expected = dict(zip(("signal", "near", "far"), exact(found["threshold"]), strict=True))
    for process, value in expected.items():
        row = rows[process]
        assert abs(row["after"] - value) < 4 * row["after_error"]
        share = row["after"] / row["before"]
        assert row["effective_after"] == pytest.approx(N * share)  # of equal weights
        assert row["after_error"] == pytest.approx(row["after"] / (N * share) ** 0.5)
    assert numbers["n_s"] == pytest.approx(rows["signal"]["after"])
    assert numbers["n_b"] == pytest.approx(rows["near"]["after"] + rows["far"]["after"])
    background = math.hypot(rows["near"]["after_error"], rows["far"]["after_error"])
    assert numbers["n_b_error"] == pytest.approx(background)
    for process, before in zip(expected, (S, B_NEAR, B_FAR), strict=True):
        assert rows[process]["before"] == pytest.approx(before)
        assert rows[process]["before_error"] == pytest.approx(before / N**0.5)


def test_significances(found):
    numbers = found["numbers"]
    assert numbers["z_before"] == pytest.approx(asimov(S, B_NEAR + B_FAR))
    z = z_of(found["threshold"])
    assert abs(numbers["z"] - z) < 4 * numbers["z_error"]
    assert 0.005 < numbers["z_error"] / numbers["z"] < 0.05
    known = minimize_scalar(lambda t: -z_of(t), bounds=(0.3, 0.9999), method="bounded")
    assert numbers["z"] == pytest.approx(-known.fun, rel=0.06)
    assert numbers["z_max"] == pytest.approx(-known.fun, rel=0.06)
    for t in (0.3, 0.5, 0.8, 0.95):
        assert numbers[f"z_{t:g}"] == pytest.approx(z_of(t), rel=0.02)
    # P(score of a signal event > that of a background event) of each background
    share = [B_NEAR / (B_NEAR + B_FAR), B_FAR / (B_NEAR + B_FAR)]
    auc = share @ norm.cdf(np.array([D, D - FAR]) / 2**0.5)
    assert numbers["auc"] == pytest.approx(auc, abs=0.002)


def test_the_threshold_is_chosen_on_validation_events(found):
    """Those of the test would say another one."""
    fitted = Fitted(lambda _i, x: expit(SLOPE * x[:, 0]), (None,))
    swapped = measured(gaussians(0), gaussians(2), gaussians(1), fitted)
    assert swapped["numbers"]["z"] == pytest.approx(found["numbers"]["z"], rel=0.05)
    assert swapped["numbers"]["z_validation"] != found["numbers"]["z_validation"]
    same = measured(gaussians(0), gaussians(1), gaussians(1), fitted)
    assert same["threshold"] == found["threshold"]
    assert same["numbers"]["z"] == same["numbers"]["z_validation"]


def test_curves(found):
    curves = found["curves"]
    t = np.array(curves["threshold"])
    assert len(t) == 200
    assert (t[0], t[-1]) == (0, 1)
    inside = (t > 0.05) & (t < 0.9)
    s, near, far = exact(t[inside])
    assert np.array(curves["n_s"])[inside] == pytest.approx(s, rel=0.02)
    assert np.array(curves["n_b"])[inside] == pytest.approx(near + far, rel=0.05)
    assert np.array(curves["z"])[inside] == pytest.approx(asimov(s, near + far), rel=0.03)


def thinned(step):
    """A part of the events, for the same luminosity."""
    few = gaussians(0).subset(np.arange(0, 3 * N, step))
    return replace(few, weight=step * few.weight)


ONE_NUMBER = Fitted(lambda _i, x: expit(x[:, 0]), (None,))


def test_no_stable_threshold():
    few = thinned(2000)
    with pytest.raises(ValueError, match="expected a threshold that leaves enough signal"):
        measured(few, few, few, ONE_NUMBER)


def test_too_little_signal_counts_as_none():
    """8 events before any cut, whatever the score."""
    events = gaussians(0)
    events.weight[events.signal] *= 8 / S
    found = measured(events, events, events, ONE_NUMBER)
    assert found["threshold"] == 0
    assert [found["numbers"][k] for k in ("z", "z_error", "z_perfect", "z_max")] == [0, 0, 0, 0]
    assert found["numbers"]["n_s"] == pytest.approx(8)


def test_a_perfect_score_is_limited_by_the_simulated_events():
    """It keeps all signal, and as much background as is known as well as it has to be."""
    few = thinned(100)
    few = few.subset(few.process < 2)  # one background, of equal weights
    w = few.weight[few.process == 1][0]
    for r, n in ((0.1, 101), (0.3, 13)):  # n + 1 <= (r n)^2
        found = measured(few, few, few, ONE_NUMBER, spread=r)["numbers"]
        assert found["z_perfect"] == pytest.approx(asimov(S, n * w), rel=0.02)
        assert found["z"] < found["z_perfect"]
