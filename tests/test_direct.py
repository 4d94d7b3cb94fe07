"""Training on the target alone: what it learns, how it splits, and what is augmented."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from toys import ANALYTIC_AUC, Tiny, auc, blobs, clouds, gaussians

from fivesigma.augmentations import Rotation, View
from fivesigma.losses import CrossEntropy
from fivesigma.networks.cloud import CloudNet
from fivesigma.networks.cnn import CNN
from fivesigma.networks.mlp import MLP
from fivesigma.representations import JetClouds
from fivesigma.strategies import STRATEGIES, Augmentation, Learner
from fivesigma.training import TrainingSettings, fit, predict

SETTINGS = TrainingSettings(
    learning_rate=3e-3, batch_size=200, max_epochs=30, patience=5, precision="float32"
)

SHORT = replace(SETTINGS, batch_size=50, max_epochs=2, validation_fraction=0.3)


def direct(network, target, *, settings, seed, augmentation=None):
    """Train on one data set; returns its scores and history."""
    learner = Learner(settings=settings, seeds=(seed,), augmentation=augmentation)
    fitted = STRATEGIES["direct"]()(lambda seed: network, [target], learner)
    return partial(fitted.score, 0), fitted.histories[0]


def test_mixed_samples_learn_what_labels_would():
    """Labels that are right for 80 % of the events give the same classifier."""
    data = gaussians(8000)
    flip = np.random.default_rng(3).random(len(data)) < 0.2
    mixed = replace(data, y=np.where(flip, 1 - data.y, data.y))
    scores, _ = direct(Tiny(), mixed, settings=SETTINGS, seed=0)
    test = gaussians(20_000, seed=2)
    assert auc(scores(test.x), test.y) == pytest.approx(ANALYTIC_AUC, abs=0.01)


def test_equal_mixtures_learn_nothing():
    """The network separates nothing held out by its label, whatever the truth of the events."""
    train, test = gaussians(4000), gaussians(4000, seed=2)
    rng = np.random.default_rng(4)
    coin = replace(train, y=rng.integers(0, 2, len(train)))
    scores, _ = direct(Tiny(), coin, settings=SETTINGS, seed=0)
    y = rng.integers(0, 2, len(test))
    error = math.sqrt((len(y) + 1) / (12 * (y == 1).sum() * (y == 0).sum()))
    assert auc(scores(test.x), y) == pytest.approx(0.5, abs=3 * error)


def test_cnn_learns():
    settings = TrainingSettings(learning_rate=1e-3, batch_size=50, max_epochs=4)
    scores, history = direct(CNN((2, 8, 8), seed=0), blobs(600), settings=settings, seed=0)
    test = blobs(400, seed=1)
    assert auc(scores(test.x), test.y) > 0.9
    assert min(history.validation_loss) < 0.5


def test_splits_by_event():
    sizes = []

    @dataclass(frozen=True)
    class Spy(CrossEntropy):
        def __call__(self, logits, y, weight):
            sizes.append(len(y))
            return super().__call__(logits, y, weight)

    settings = replace(SETTINGS, max_epochs=1, batch_size=10_000, validation_fraction=0.25)
    train, validation = gaussians(1000).split(0.75, rng=np.random.default_rng(5))
    fit(Tiny(), train, validation, loss=Spy(), settings=settings, seed=5)
    assert sizes == [750, 250]
    scores, history = direct(Tiny(), gaussians(1000), settings=settings, seed=5)
    expected, expected_history = fit(
        Tiny(), train, validation, loss=CrossEntropy(), settings=settings, seed=5
    )
    x = gaussians(1000, seed=6).x
    wanted = predict(expected, x, precision=settings.precision)
    np.testing.assert_array_equal(scores(x), wanted)
    assert history.validation_loss == expected_history.validation_loss


# Augmentation


def numbered(n, *, seed=0):
    """Clouds whose hardest constituent has the number of the event as its momentum [GeV]."""
    data = clouds(n, seed=seed)
    data.x[:, 0, 0, 0] = 1000 + np.arange(n)
    return data


class Spy:
    """A view that remembers the numbers of the events it was shown, and with which keys."""

    def __init__(self):
        self.view = View(JetClouds(particles=12), (Rotation(),))
        self.shape, self.as_they_are, self.changed = self.view.shape, set(), {}

    def __call__(self, x, keys=None):
        numbers = x[:, 0, 0, 0].astype(int) - 1000
        if keys is None:
            self.as_they_are |= set(numbers.tolist())
        else:
            for number, key in zip(numbers.tolist(), keys.tolist(), strict=True):
                self.changed.setdefault(number, set()).add(key)
        return self.view(x, keys)


@pytest.mark.parametrize(("copies", "keys"), [(None, 2), (1, 1), (3, 3)])
def test_only_events_to_train_on_are_augmented(copies, keys):
    """Each has a key for each copy, or one in each of two epochs."""
    spy, data = Spy(), numbered(100)
    network = CloudNet(spy.shape, seed=0)
    numbers = replace(data, x=np.arange(100.0)[:, None])
    train, validation = (
        set(part.x[:, 0].astype(int).tolist())
        for part in numbers.split(0.7, rng=np.random.default_rng(4))
    )
    augmentation = Augmentation(spy, copies)
    scores, _ = direct(network, data, settings=SHORT, seed=4, augmentation=augmentation)
    assert (len(train), len(validation)) == (70, 30)
    assert set(spy.changed) == train
    assert {len(k) for k in spy.changed.values()} == {keys}
    assert spy.as_they_are == (validation if copies is None else validation | train)
    spy.changed.clear()
    scores(numbered(40, seed=1).x)
    assert spy.changed == {}


def test_events_without_weight_are_left_out_before_others_are_augmented():
    """Both of those to train on and of those to validate on."""
    spy, data = Spy(), numbered(100)
    data = replace(data, weight=np.arange(100) % 3 > 0)
    direct(
        CloudNet(spy.shape, seed=0), data, settings=SHORT, seed=4, augmentation=Augmentation(spy, 2)
    )
    assert {i % 3 for i in spy.as_they_are | set(spy.changed)} == {1, 2}
    assert len(spy.as_they_are | set(spy.changed)) == 66


def test_exact_copies_are_the_events_again():
    """Without maps a copy is the event: the loss of an epoch is that of the events alone."""
    data, view = clouds(300), View(JetClouds(particles=12))
    losses = []
    for copies, batch_size in ((1, 420), (3, 840)):
        settings = replace(SHORT, batch_size=batch_size, max_epochs=1)
        network, augmentation = CloudNet(view.shape, seed=0), Augmentation(view, copies)
        _, history = direct(network, data, settings=settings, seed=0, augmentation=augmentation)
        losses.append(history.train_loss[0])
    plain = replace(data, x=view(data.x))
    settings = replace(SHORT, batch_size=210, max_epochs=1)
    _, history = direct(CloudNet(view.shape, seed=0), plain, settings=settings, seed=0)
    assert losses == pytest.approx([history.train_loss[0]] * 2, rel=1e-5)


def test_learns_from_augmented_clouds():
    """The angle of a jet means nothing, so that turned jets teach the same."""
    data, test = clouds(1500), clouds(1500, seed=1)
    augmentation = Augmentation(View(JetClouds(particles=12), (Rotation(),)), None)
    settings = replace(SETTINGS, learning_rate=2e-3, batch_size=100, max_epochs=5)
    network = CloudNet((2, 12, 3), seed=0)
    scores, _ = direct(network, data, settings=settings, seed=0, augmentation=augmentation)
    assert auc(scores(test.x), test.y) > 0.9


# Members


def test_members_are_averaged_and_the_first_is_that_of_one_alone():
    """Each has weights and a split of its own."""
    data, x, seeds = gaussians(600), gaussians(200, seed=7).x, []

    def scores(members, seed=3):
        learner = Learner(settings=SHORT, seeds=(seed,))

        def start(seed):
            seeds.append(seed)
            return MLP((4,), seed=seed)

        fitted = STRATEGIES["direct"](members=members)(start, [data], learner)
        return fitted.score(0, x), fitted.histories[0], fitted.networks[0]

    one, history, _ = scores(1)
    three, first, network = scores(3)
    assert len(set(seeds[1:])) == 3
    assert seeds[0] == seeds[1]
    np.testing.assert_array_equal(predict(network.members[0], x), one)
    each = [predict(member, x) for member in network.members]
    assert not np.allclose(each[0], each[1])
    np.testing.assert_allclose(three, np.mean(each, axis=0), rtol=1e-5)
    assert first.validation_loss == history.validation_loss


class Constant(Tiny):
    """Says the same of all events, whatever it learns."""

    def forward(self, x):
        return 0 * super().forward(x)


@pytest.mark.parametrize("constant", [0, 1, 2, None])
def test_a_member_that_collapsed_is_not_averaged_away(constant):
    networks = iter([Constant() if i == constant else Tiny() for i in range(3)])
    learner = Learner(settings=SHORT, seeds=(3,))
    fitted = STRATEGIES["direct"](members=3)(lambda seed: next(networks), [gaussians(300)], learner)
    assert fitted.histories[0].collapsed is (constant is not None)


@pytest.mark.parametrize("members", [0, -1, 1.5, True, "2"])
def test_members_out_of_range(members):
    with pytest.raises(ValueError, match="members of at least 1"):
        STRATEGIES["direct"](members=members)
