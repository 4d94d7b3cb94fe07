"""Meta-transfer learning at known answers: a noisy channel to turn off, and what is refused."""

import math
from dataclasses import replace

import metatraining
import numpy as np
import pytest
from metatraining import SETTINGS, same
from torch import nn

from fivesigma.datasets import Dataset
from fivesigma.rows import Rows
from fivesigma.strategies import Learner
from fivesigma.strategies.metatransfer import meta_train
from fivesigma.strategies.transfer import Transfer
from fivesigma.training import TrainingSettings

NOISE = 3.0  # width of the toy's second channel; that of the first is 1, and the tower adds them


class Toy(nn.Module):
    """Two channels, added by the tower, events of shape (2, 1, 1), and a dense head."""

    def __init__(self, layer=None):
        super().__init__()
        self.layer = nn.Conv2d(2, 1, 1) if layer is None else layer
        for theta in self.layer.parameters():
            nn.init.constant_(theta, theta.ndim > 1)
        self.head = self.new_head(0)

    def tower(self, x):
        return self.layer(x)

    def forward(self, x):
        return self.head(self.tower(x))

    def new_head(self, seed):
        head = nn.Sequential(nn.Flatten(), nn.Linear(1, 1), nn.Flatten(0))
        nn.init.constant_(head[1].weight, 0.1 + seed)
        nn.init.zeros_(head[1].bias)
        return head


def noisy_task(distance, n=1000, seed=0):
    """Signal and background lie at +- distance / 2 in the first channel."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 2)) * (1, NOISE)
    x[:, 0] += distance * (y - 0.5)
    return Dataset(x[:, :, None, None], y, y, np.ones(n))


def accuracy(distance, noise):
    """Phi(distance / 2 sigma) of Gaussians of width sigma."""
    return 0.5 * (1 + math.erf(distance / math.sqrt(8 * (1 + noise**2))))


instances = pytest.fixture(metatraining.instances)


def test_noise_is_turned_off():
    """A head alone reaches Phi(1 / sqrt 10) = 0.62; scales that know the tasks Phi(1) = 0.84."""
    tasks = [noisy_task(d, n=4000, seed=k) for k, d in enumerate((2, -2))]
    settings = replace(SETTINGS, events=400, max_epochs=12)
    alone = replace(settings, meta_learning_rate=1e-9, max_epochs=2)
    _, without = meta_train(Toy(), tasks, alone, seed=0)
    network, history = meta_train(Toy(), tasks, settings, seed=0)
    assert max(without.accuracy) == pytest.approx(accuracy(2, NOISE), abs=0.03)
    assert history.accuracy[history.best_epoch] == pytest.approx(accuracy(2, 0), abs=0.03)
    assert min(history.loss) < min(without.loss) - 0.2
    signal, noise = network.layer.weight.flatten().abs().tolist()
    assert noise < 0.1 * signal
    learner = Learner(settings=TrainingSettings(learning_rate=0.1, max_epochs=20), seeds=(1,))
    target, test = noisy_task(1.5, n=3000, seed=8), noisy_task(1.5, n=8000, seed=9)
    for start, width in ((Toy(), NOISE), (network, 0)):
        fitted = Transfer()(lambda _, s=start: s, [target], learner)
        right = (fitted.score(0, test.x) > 0.5) == (test.y > 0)
        assert right.mean() == pytest.approx(accuracy(1.5, width), abs=0.03)


class Spied:
    """Events that remember which of them were read."""

    def __init__(self, x):
        self.x, self.shape, self.reads = x, x.shape, []

    def __getitem__(self, index):
        self.reads.append(set(index.tolist()))
        return self.x[index]


def test_events_are_disjoint_and_new_and_hard_tasks_are_learnt_again():
    n, epochs = 600, 3
    tasks = [noisy_task(d, n=n, seed=k) for k, d in enumerate((3, 0, 2, 0.5))]
    spied = Spied(np.concatenate([task.x for task in tasks]))
    tasks = [replace(t, x=Rows(spied, np.arange(k * n, (k + 1) * n))) for k, t in enumerate(tasks)]
    network = Toy()
    nn.init.dirac_(network.layer.weight)
    settings = replace(SETTINGS, events=50, hard_tasks=2, max_epochs=epochs)
    _, history = meta_train(network, tasks, settings, seed=0)
    for hard, each in zip(history.hard_tasks, history.task_accuracy, strict=True):
        assert hard == tuple(np.argsort(each)[:2])
        assert set(hard) == {1, 3}
    reads, order = iter(spied.reads), []
    learnt, held_out, used = set(), set(), [{} for _ in range(epochs)]
    for epoch in range(epochs):
        for k in history.hard_tasks[epoch - 1] if epoch else ():
            again = next(reads) | next(reads)
            assert {i // n for i in again} == {k}
            assert len(again | used[epoch - 1][k][0] | used[epoch - 1][k][1]) == 400
            learnt |= again
        for _ in tasks:
            parts = [next(reads) for _ in range(3)]
            (k,) = {i // n for part in parts for i in part}
            assert [(len(part), sum(i % 2 for i in part)) for part in parts] == [(100, 50)] * 3
            used[epoch][k] = parts
            learnt |= parts[0] | parts[1]
            held_out |= parts[2]
        order.append(tuple(used[epoch]))
        assert sorted(order[-1]) == [0, 1, 2, 3]
    assert next(reads, None) is None
    assert not held_out & learnt
    assert len(set(order)) > 1
    for k, i in np.ndindex(4, 3):
        a, b, c = (used[epoch][k][i] for epoch in range(epochs))
        assert a != b != c != a


@pytest.mark.parametrize("shared", ["all", "some"])
def test_what_is_evaluated_in_a_task_is_learnt_in_none(shared):
    """Tasks of one background: its split is that of rows, not that of each task."""
    n, rng = 1000, np.random.default_rng(0)
    spied = Spied(rng.normal(size=(4 * n, 2, 1, 1)).astype("f4"))
    tasks = []
    for k in range(3):
        background = np.arange(3 * n, 4 * n)[(100 * k if shared == "some" else 0) :]
        y = np.repeat([1, 0], [n, len(background)])
        rows = np.concatenate([np.arange(k * n, (k + 1) * n), background])
        tasks.append(Dataset(Rows(spied, rows), y, y, np.ones(len(y))))
    settings = replace(SETTINGS, events=60 if shared == "some" else n // 5, max_epochs=3)
    meta_train(Toy(), tasks, settings, seed=0)
    assert len(spied.reads) == 3 * 3 * 3
    held_out = set().union(*spied.reads[2::3])
    learnt = set().union(*spied.reads[::3], *spied.reads[1::3])
    assert not held_out & learnt
    assert len({i for i in held_out if i >= 3 * n}) > 60
    if shared == "all":
        assert len(held_out) == 4 * n // 5


def test_stops_and_restores_the_best(instances):
    settings = replace(SETTINGS, events=20, meta_learning_rate=0.3, patience=2, max_epochs=50)
    after, seen = [], []

    def progress(*report):
        seen.append(report)
        after.append(instances[0].merged())

    network, history = meta_train(Toy(), [noisy_task(1)], settings, seed=1, progress=progress)
    assert (epochs := len(history.loss)) == history.best_epoch + 2 + 1 < 50
    assert 0 < history.best_epoch == int(np.argmin(history.loss))
    assert same(network, after[history.best_epoch])
    assert not same(network, after[-1])
    assert [(r[0], r[1]) for r in seen] == [(i + 1, 50) for i in range(epochs)]
    assert tuple(r[3] for r in seen) == history.loss


GOOD, FEW = noisy_task(1.0), "expected 500 events of labels 0 and 1 each; got "
NAN = np.where(np.arange(1000)[:, None, None, None] % 7, GOOD.x, np.nan)
BAD_SETTINGS = [
    *[(name, 0) for name in ("events", "base_epochs", "batch_size", "max_epochs", "patience")],
    *[("base_learning_rate", value) for value in (0.0, -1.0, math.nan, math.inf)],
    *[("reserved", 0.0), ("reserved", 1.0), ("reserved", math.nan)],
    *[("meta_learning_rate", 0.0), ("hard_tasks", -1), ("precision", "float16")],
]
BAD = {
    "no tower": (nn.Linear(2, 1), [GOOD], {}, "expected a network of tower and head; got Linear"),
    "no layers": (Toy(nn.ReLU()), [GOOD], {}, r"expected a tower of layers with biases; got \[\]"),
    "no bias": (Toy(nn.Conv2d(2, 1, 1, bias=False)), [GOOD], {}, r"with biases; got \['layer'\]"),
    "no tasks": (Toy(), [], {}, "expected at least 1 tasks; got 0"),
    "few tasks": (Toy(), [GOOD], {"hard_tasks": 2}, "expected at least 2 tasks; got 1"),
    "few events": (Toy(), [GOOD, GOOD.subset(slice(999))], {}, FEW + "499 in task 1"),
    "other labels": (Toy(), [replace(GOOD, y=2 * GOOD.y)], {}, FEW + "0 in task 0"),
    "no weight": (Toy(), [replace(GOOD, weight=np.arange(1000) > 1)], {}, FEW + "499 in task 0"),
    "NaN": (Toy(), [replace(GOOD, x=NAN)], {}, "expected finite losses; got"),
    **{f"{n}: {v}": (Toy(), [GOOD], {n: v}, f"{n} .*; got {v!r}") for n, v in BAD_SETTINGS},
}


@pytest.mark.parametrize(("network", "tasks", "changes", "message"), BAD.values(), ids=BAD)
def test_bad_input(network, tasks, changes, message):
    with pytest.raises((ValueError, FloatingPointError), match=message):
        meta_train(network, tasks, replace(SETTINGS, **changes), seed=0)
