"""Cross-training: what a model has seen, ranks, and cuts that keep what they should."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from fivesigma.datasets import Dataset
from fivesigma.folds import cross_score, deal, rank, threshold
from fivesigma.schedule import TrainingSettings
from fivesigma.strategies import Fitted, Learner
from fivesigma.strategies.trees import Trees

K = 5
LEARNER = Learner(settings=TrainingSettings(patience=3), seeds=(1,))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def numbered(n, rng):
    """Events that are their own number, two thirds of them in the signal region."""
    x = np.arange(n, dtype=np.float32)[:, None]
    y = (np.arange(n) % 3 > 0).astype(np.float32)
    return Dataset(x, y, np.zeros(n), np.ones(n))


@dataclass(frozen=True)
class Memory:
    """Scores 1 for what it was trained on, 0 for the rest, and remembers its seeds."""

    source = "none"
    together = "all"

    def __call__(self, start, targets, learner):
        seen = [set(target.x[:, 0].tolist()) for target in targets]
        start(len(set(learner.seeds)))

        def score(i, x):
            return np.array([float(v in seen[i]) for v in x[:, 0].tolist()], dtype=np.float32)

        return Fitted(score, (None,) * len(targets))


def nothing(_seed):
    """No network."""


def test_no_model_scores_what_it_has_seen(rng):
    """Else an event would rank above those of the template, which no model has seen either."""
    data = numbered(300, rng)
    fold = deal(data.y, K, rng=rng)
    seeds = []
    (scored,) = cross_score(Memory(), seeds.append, [data], [fold], LEARNER, members=3)
    np.testing.assert_allclose(scored.score, 0.5)
    assert scored.collapsed == (True,) * K
    assert seeds == [3 * K]
    seen = scored.of(data.x)
    assert seen.shape == (K, 300)
    for f in range(K):
        np.testing.assert_allclose(seen[f], np.where(fold == f, 0.5, 1.0), atol=0.01)


def test_events_are_weighed_with_those_of_their_training_alone(rng):
    data = numbered(300, rng)
    fold, seen = deal(data.y, K, rng=rng), []

    def weigh(part):
        seen.append(set(part.x[:, 0].tolist()))
        return replace(part, weight=np.full(len(part), 7.0))

    @dataclass(frozen=True)
    class Weighed(Memory):
        def __call__(self, start, targets, learner):
            assert all((target.weight == 7).all() for target in targets)
            return super().__call__(start, targets, learner)

    cross_score(Weighed(), nothing, [data], [fold], LEARNER, members=3, weigh=weigh)
    assert len(seen) == K
    for f, part in enumerate(seen):
        assert part.isdisjoint(set(np.flatnonzero(fold == f)))


def test_several_data_sets_at_once_are_as_one_by_one(rng):
    data = [shifted(400, shift, np.random.default_rng(s)) for s, shift in enumerate((0.0, 2.0))]
    folds = [deal(d.y, K, rng=rng) for d in data]
    learner = replace(LEARNER, seeds=(1, 2))
    together = cross_score(Trees(members=1), nothing, data, folds, learner)
    for d, fold, seed, one in zip(data, folds, (1, 2), together, strict=True):
        alone = replace(LEARNER, seeds=(seed,))
        (expected,) = cross_score(Trees(members=1), nothing, [d], [fold], alone)
        np.testing.assert_array_equal(one.score, expected.score)


def shifted(n, shift, rng):
    """Half of the events in the signal region, whose first number is larger."""
    y = np.repeat([1.0, 0.0], n // 2)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    x[y == 1, 0] += shift
    return Dataset(x, y, np.zeros(n), np.ones(n))


def test_scores_find_what_differs(rng):
    data = shifted(2000, 2.0, rng)
    (scored,) = cross_score(Trees(members=2), nothing, [data], [deal(data.y, K, rng=rng)], LEARNER)
    assert scored.score[data.y == 1].mean() > 0.85
    assert scored.score[data.y == 0].mean() == pytest.approx(0.5, abs=0.01)
    assert scored.collapsed == (False,) * K


def test_without_a_difference_as_much_passes_inside_as_outside(rng):
    """On average over data sets: that is what folds are for."""
    shares = []
    for _ in range(12):
        data = shifted(600, 0.0, rng)
        fold = deal(data.y, K, rng=rng)
        (scored,) = cross_score(Trees(members=1), nothing, [data], [fold], LEARNER)
        cuts = [threshold(scored.score[(fold == f) & (data.y == 0)], 0.1) for f in range(K)]
        shares.append((scored.score >= np.array(cuts)[fold])[data.y == 1].mean())
    assert np.mean(shares) == pytest.approx(0.1, abs=4 * np.std(shares) / 12**0.5)


def test_folds_are_even_in_each_label(rng):
    labels = np.repeat([1.0, 0.0], [103, 52])
    fold = deal(labels, K, rng=rng)
    for label in (0, 1):
        counts = np.bincount(fold[labels == label], minlength=K)
        assert counts.max() - counts.min() <= 1
    again = deal(labels, K, rng=np.random.default_rng(2))
    assert (again != fold).any()


def test_ranks():
    template = np.array([1.0, 2.0, 2.0, 4.0])
    scores = np.array([0.0, 1.0, 2.0, 3.0, 9.0])
    expected = np.array([0, 0.125, 0.5, 0.75, 1]) + scores / (1 + scores) / 16
    np.testing.assert_allclose(rank(scores, template), expected)


def test_ranks_keep_the_order(rng):
    """Also above and below the template, whatever the scores."""
    template, scores = np.sort(rng.normal(0, 3, 50)), np.sort(rng.normal(0, 9, 1000))
    assert (np.diff(rank(scores, template)) > 0).all()


@pytest.mark.parametrize("n", [1, 5, 40])
def test_a_cut_keeps_the_fraction_n_over_t_plus_one(n, rng):
    """Of scores that are distributed like the template, on average."""
    T = 99
    kept = [np.mean(1 - threshold(rng.uniform(size=T), n / T)) for _ in range(3000)]
    assert np.mean(kept) == pytest.approx(n / (T + 1), abs=4 * np.std(kept) / 3000**0.5)


def test_a_cut_is_passed_by_as_many_of_the_template(rng):
    template = rng.normal(size=200)
    for eps in (0.005, 0.1, 0.5):
        assert np.sum(template >= threshold(template, eps)) == round(200 * eps)


BAD = {
    "one fold": (lambda rng: deal(np.ones(9), 1, rng=rng), "expected at least 2 folds; got 1"),
    "few events": (lambda rng: deal(np.ones(9), 5, rng=rng), "at least 10 events of label 1"),
    "no template": (
        lambda _: rank(np.ones(3), np.ones(0)),
        "outside the signal region .*none",
    ),
    "tight cut": (lambda _: threshold(np.ones(100), 0.004), "at least 0.005, .* got 0.004"),
    "all": (lambda _: threshold(np.ones(100), 1.0), r"within \(0, 1\); got 1"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_errors(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(rng)


@dataclass(frozen=True)
class Broken(Memory):
    """Scores that are no numbers."""

    def __call__(self, start, targets, learner):
        return Fitted(lambda _, x: np.full(len(x), np.nan), (None,) * len(targets))


def test_scores_that_are_not_finite(rng):
    data = numbered(100, rng)
    with pytest.raises(ValueError, match="expected finite scores; got"):
        cross_score(Broken(), nothing, [data], [deal(data.y, 2, rng=rng)], LEARNER)
