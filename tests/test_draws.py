"""The events that a task draws, shown to a strategy that only remembers them."""

import numpy as np
import pytest
from fabricated import CLOUDS, arm, study

from fivesigma.strategies import STRATEGIES, Fitted
from fivesigma.strategies.direct import Direct


class Spy(Direct):
    """A strategy that learns nothing and remembers what it was given."""

    targets, learners, tests = [], [], []

    def forget(self):
        for memory in (self.targets, self.learners, self.tests):
            memory.clear()

    def __call__(self, _start, targets, learner):
        self.targets.extend(targets)
        self.learners.append(learner)

        def score(i, x):
            self.tests.append(x)
            return np.random.default_rng([i, len(x)]).random(len(x)).astype("f4")

        return Fitted(score, (None,) * len(targets))


@pytest.fixture
def spy(monkeypatch):
    spy = Spy()
    monkeypatch.setitem(STRATEGIES, "spy", lambda: spy)
    return spy


def drawn(spy, plan, **changes):
    """Data, test events and records of an arm at the study's grid."""
    spy.forget()
    wanted = plan(study(arms=[arm(strategy="spy", **changes)])).tasks()
    return [task.run() for task in wanted]


def rows(x):
    return set(x.index.tolist())


def test_data_and_test_events_share_none(spy, plan):
    """The test events of a repeat are the same for all strengths; those of another are not."""
    drawn(spy, plan)
    tests = [spy.tests[2 * k : 2 * k + 2] for k in range(4)]
    for data, (signal, background) in zip(spy.targets, tests, strict=True):
        assert (len(signal), len(background)) == (50, 60)
        used, held_out = rows(data.x), rows(signal) | rows(background)
        assert len(held_out) == 110
        assert len(used) == len(data)
        assert used & held_out == set()
    for k in (0, 2):
        for one, other in zip(tests[k], tests[k + 1], strict=True):
            assert np.array_equal(one.index, other.index)
    assert rows(tests[0][0]) != rows(tests[2][0])


def test_arms_are_compared_in_pairs(spy, plan):
    """Repeat r at strength s: the same events and seed in every arm, and others elsewhere."""
    kept = []
    for name in ("one", "other"):
        drawn(spy, plan, name=name)
        kept.append(
            [
                (d.x.index, learner.seeds)
                for d, learner in zip(spy.targets, spy.learners, strict=True)
            ]
        )
    for (a, seeds), (b, others) in zip(*kept, strict=True):
        assert np.array_equal(a, b)
        assert seeds == others
    assert len({seeds for _, seeds in kept[0]}) == 4
    assert not np.array_equal(kept[0][1][0][:68], kept[0][3][0][:68])


def test_counts_of_the_data(spy, plan):
    """B and S = s sqrt(B) in the signal region, each with as much in the sidebands as measured."""
    records = drawn(spy, plan)
    for data, record, strength in zip(spy.targets, records, (0, 5, 0, 5), strict=True):
        inside = data.y == 1
        S = round(strength * 68**0.5)
        assert (inside & (data.truth == 1)).sum() == S
        assert (inside & (data.truth == 0)).sum() == 68
        (training,) = record["trainings"]
        assert training["n_train"] == {"signal_region": 68 + S, "other": (~inside).sum()}
        assert (data.weight == 1).all()


def test_supervised_data(spy, plan):
    records = drawn(spy, plan, label="supervised", supervised_events=40)
    assert len(records) == 2  # one a repeat
    for data, record in zip(spy.targets, records, strict=True):
        assert np.array_equal(data.y, data.truth)
        assert (data.y == 1).sum() == (data.y == 0).sum() == 40
        (training,) = record["trainings"]
        assert [point["s_over_sqrt_b"] for point in training["points"]] == [0, 5]
    drawn(spy, plan, label="supervised")
    assert {len(data) for data in spy.targets} == {2 * 68}


def test_events_are_those_of_the_representation(spy, plan):
    """Of all four arrays end to end, the signal's before the background's."""
    drawn(spy, plan)
    (task, *_) = plan(study(arms=[arm(strategy="spy")])).tasks()
    whole = [
        np.load(folder / f"{region}.npy")
        for folder in task.pools
        for region in ("signal_region", "sideband")
    ]
    data = spy.targets[1]
    process = np.repeat([0, 1, 2, 3], [len(part) for part in whole])[data.x.index]
    assert np.array_equal(data.truth, process < 2)
    assert np.array_equal(data.y, process % 2 == 0)
    np.testing.assert_array_equal(data.x[:], np.concatenate(whole)[data.x.index])


def test_contrast_has_the_kinematics_of_the_events(spy, plan):
    """Balanced sidebands have the mean dijet mass of the signal region, of the drawn events."""
    drawn(spy, plan, contrast={"sidebands": "balanced"})
    (task, *_) = plan(study(arms=[arm(strategy="spy", contrast={"sidebands": "balanced"})])).tasks()
    m = np.concatenate(
        [
            np.load(folder / f"{region}.npy")[:, 0]
            for folder in task.dijet
            for region in ("signal_region", "sideband")
        ]
    ).astype(float)
    for data in spy.targets:
        inside, m_drawn = data.y == 1, m[data.x.index]
        means = [np.average(m_drawn[s], weights=data.weight[s]) for s in (inside, ~inside)]
        assert means[1] == pytest.approx(means[0], abs=0.1)
        assert np.ptp(data.weight[~inside]) > 0


def test_augmentation_is_handed_on(spy, plan):
    """With unaligned clouds, which are what is kept."""
    clouds = {"representation": CLOUDS, "network": "cloud"}
    drawn(spy, plan, **clouds, augmentation={"maps": ["rotation"], "copies": 2})
    for data, learner in zip(spy.targets, spy.learners, strict=True):
        assert learner.augmentation.copies == 2
        assert learner.augmentation.view.shape == (2, 8, 3)
        assert data.x.shape[1:] == (2, 300, 3)
