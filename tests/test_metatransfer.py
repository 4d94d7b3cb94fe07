"""Meta-transfer learning at known answers: a noisy channel to turn off, and its promises."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fivesigma.datasets import Dataset
from fivesigma.networks import NETWORKS, Sliceable
from fivesigma.rows import Rows
from fivesigma.strategies import Learner, metatransfer
from fivesigma.strategies.metatransfer import MetaSettings, Scaled, meta_train
from fivesigma.strategies.transfer import Transfer
from fivesigma.training import TrainingSettings

NOISE = 3.0
"""Width of the second channel; that of the first is 1, and the tower adds them."""

SETTINGS = MetaSettings(
    events=100,
    base_learning_rate=0.1,
    meta_learning_rate=0.02,
    batch_size=50,
    max_epochs=3,
    precision="float32",
)


class Toy(nn.Module):
    """Two channels, added by the tower, shape (N, 2, 1, 1), and a dense head."""

    def __init__(self, *, bias=True):
        super().__init__()
        self.layer = nn.Conv2d(2, 1, 1, bias=bias)
        self.head = self.new_head(0)
        nn.init.ones_(self.layer.weight)
        if bias:
            nn.init.zeros_(self.layer.bias)

    def tower(self, x):
        return self.layer(x)

    def forward(self, x):
        return self.head(self.tower(x))

    def new_head(self, seed):
        head = nn.Sequential(nn.Flatten(), nn.Linear(1, 1), nn.Flatten(0))
        nn.init.constant_(head[1].weight, 0.1 + seed % 2)
        nn.init.zeros_(head[1].bias)
        return head


class NoTower(Toy):
    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def new_head(self, seed):
        return nn.Linear(2, 1)


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


SHAPES = {"cnn": (2, 8, 8), "cloud": (2, 6, 3), "mlp": (5,), "mixed": (2 * 8 * 8 + 3,)}
every_network = pytest.mark.parametrize("name", SHAPES)


def network_of(name, seed=1):
    """A network that has seen events, with no bias at its initial value."""
    options = {"pixels": 8} if name == "mixed" else {}
    network = NETWORKS[name](SHAPES[name], seed=seed, **options)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for theta in network.parameters():
            theta += 0.05 * torch.randn(theta.shape, generator=g)
        network.train()(events_of(name, 64))
    return network


def events_of(name, n, seed=0):
    x = torch.rand(n, *SHAPES[name], generator=torch.Generator().manual_seed(seed))
    return x - 0.5 * (x < 0.3) if name != "cloud" else x


def task_of(name, k, n=300):
    """Signal is shifted along a direction of its own."""
    y = np.arange(n) % 2
    x = events_of(name, n, seed=10 + k).numpy()
    direction = np.random.default_rng(k).normal(size=SHAPES[name])
    x = x + 0.2 * direction.astype("f4") * y.reshape(-1, *[1] * (x.ndim - 1))
    return Dataset(np.abs(x), y, y, np.ones(n))


def moved(network, seed=3):
    """The scaled network with no scale at 1 and no shift at 0."""
    scaled = Scaled(network).eval()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for phi in (*scaled.phi_1, *scaled.phi_2):
            phi += 0.3 * torch.randn(phi.shape, generator=g)
    return scaled


def states_equal(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def instances(monkeypatch):
    """The scaled networks that a meta-training makes."""
    made = []

    class Spy(Scaled):
        def __init__(self, network):
            super().__init__(network)
            made.append(self)

    monkeypatch.setattr(metatransfer, "Scaled", Spy)
    return made


@every_network
def test_identity_is_the_network(name):
    network, x = network_of(name).eval(), events_of(name, 20)
    scaled = Scaled(network)
    assert torch.equal(scaled(x), network(x))
    assert states_equal(scaled.merged(), network)


@every_network
def test_merging_is_applying(name):
    network, x = network_of(name).eval(), events_of(name, 20)
    scaled = moved(network)
    torch.testing.assert_close(scaled.merged()(x), scaled(x), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(scaled(x), network(x), rtol=1e-2)
    assert states_equal(scaled.network, network)
    assert type(scaled.merged()) is type(network)


@every_network
def test_gradient_reaches_scales_and_head_only(name):
    scaled, x = moved(network_of(name)).train(), events_of(name, 64)
    scaled(x).square().mean().backward()
    assert all(phi.grad.any() for phi in (*scaled.phi_1, *scaled.phi_2, *scaled.theta))
    with_gradient = {theta for theta in scaled.network.parameters() if theta.grad is not None}
    assert with_gradient == set(scaled.theta)


@every_network
def test_events_are_not_coupled(name):
    scaled, x = moved(network_of(name)).train(), events_of(name, 40)
    before = copy.deepcopy(scaled.network)
    assert isinstance(scaled, Sliceable)
    slices = torch.cat([scaled.logits(x_s) for x_s in scaled.standardise(x).split(7)])
    torch.testing.assert_close(slices, scaled(x), rtol=1e-5, atol=1e-5)
    assert states_equal(scaled.network, before)
    assert scaled.network.head.training
    assert not scaled.network.training


def test_shapes_of_scales():
    """One for each pair of channels of a convolution, one for each output of a dense layer."""
    scaled = moved(network_of("cnn"))
    assert [tuple(phi.shape) for phi in scaled.phi_1] == [
        *[(64, 1, 1, 1), (64, 64, 1, 1), (128, 64, 1, 1), (128, 128, 1, 1)]
    ]
    assert [phi.shape for phi in scaled.phi_2] == [(64,), (64,), (128,), (128,)]
    W, b = scaled.network.convolutions[2].parameters()
    merged = scaled.merged().convolutions[2]
    assert torch.equal(merged.weight[5, 7], W[5, 7] * scaled.phi_1[2][5, 7, 0, 0])
    assert torch.equal(merged.bias, b + scaled.phi_2[2])
    assert [tuple(phi.shape) for phi in Scaled(network_of("mlp")).phi_1] == [(128, 1)]
    layers = {"cloud": ["phi.0", "phi.2", "phi.4", "rho.layers.0", "rho.layers.2"]}
    layers["mixed"] = [f"towers.images.convolutions.{i}" for i in range(4)]
    layers["mixed"] += ["towers.features.first.layers.0"]
    assert all(Scaled(network_of(name)).layers == tuple(layers[name]) for name in layers)


def test_noise_is_turned_off():
    """A head alone reaches Phi(1 / sqrt 10) = 0.62; scales that know the tasks Phi(1) = 0.84."""
    tasks = [noisy_task(d, n=4000, seed=k) for k, d in enumerate((2, -2, 2))]
    settings = replace(SETTINGS, events=400, batch_size=100, max_epochs=12)
    alone = replace(settings, meta_learning_rate=1e-9, max_epochs=3)
    _, without = meta_train(Toy(), tasks, alone, seed=0)
    network, history = meta_train(Toy(), tasks, settings, seed=0)
    assert max(without.accuracy) == pytest.approx(accuracy(2, NOISE), abs=0.03)
    assert history.accuracy[history.best_epoch] == pytest.approx(accuracy(2, 0), abs=0.03)
    assert min(history.loss) < min(without.loss) - 0.2
    signal, noise = network.layer.weight.flatten().abs().tolist()
    assert noise < 0.1 * signal


def test_target_gains():
    """Transfer with a new head, to a target that was no task."""
    tasks = [noisy_task(d, seed=k) for k, d in enumerate((2, -2))]
    network, _ = meta_train(Toy(), tasks, replace(SETTINGS, max_epochs=15), seed=0)
    settings = TrainingSettings(learning_rate=0.1, max_epochs=30, precision="float32")
    test = noisy_task(1.5, n=8000, seed=9)
    for start, noise in ((Toy(), NOISE), (network, 0)):
        learner = Learner(settings=settings, seeds=(1,))
        fitted = Transfer()(lambda _, s=start: s, [noisy_task(1.5, n=4000, seed=8)], learner)
        right = (fitted.score(0, test.x) > 0.5) == (test.y > 0)
        assert right.mean() == pytest.approx(accuracy(1.5, noise), abs=0.03)


def test_cnn_scales_move_and_weights_stay(instances):
    network = network_of("cnn")
    given, state = copy.deepcopy(network), torch.get_rng_state()
    settings = replace(SETTINGS, events=30, base_learning_rate=1e-3, meta_learning_rate=3e-3)
    tasks = [task_of("cnn", k) for k in range(2)]
    result, history = meta_train(network, tasks, settings, seed=0)
    (scaled,) = instances
    assert states_equal(network, given)
    assert torch.equal(torch.get_rng_state(), state)
    assert states_equal(scaled.network.convolutions, given.convolutions)
    assert states_equal(result.norm.statistics, given.norm.statistics)
    assert not torch.equal(result.norm.scale, given.norm.scale)
    assert not torch.equal(result.head.layers[0].weight, given.head.layers[0].weight)
    assert history.layers == tuple(f"convolutions.{i}" for i in range(4))
    assert np.shape(history.scale_rms) == np.shape(history.shift_rms) == (3, 4)
    assert (np.array([history.scale_rms, history.shift_rms]) > 1e-3).all()
    assert (np.array(history.scale_rms[-1]) > history.scale_rms[0]).all()
    assert not result.training
    assert all(theta.requires_grad for theta in result.parameters())


@pytest.mark.parametrize("name", ["cloud", "mlp", "cnn"])
def test_embedding_once_is_exact(name, monkeypatch):
    """Where no norm is trained, step (a) on embedded events is that on the whole network."""
    network, tasks = network_of(name), [task_of(name, k) for k in range(2)]
    if name == "cnn":
        assert Scaled(network).trains_norms
        network.norm.requires_grad_(requires_grad=False)
    assert not Scaled(network).trains_norms
    settings = replace(SETTINGS, events=30, base_learning_rate=1e-3, meta_learning_rate=3e-3)
    x = torch.from_numpy(tasks[0].x)
    fast, _ = meta_train(network, tasks, replace(settings, max_epochs=2), seed=0)
    original = Scaled.__init__

    def init(self, network):
        original(self, network)
        self.trains_norms = True

    monkeypatch.setattr(Scaled, "__init__", init)
    slow, _ = meta_train(network, tasks, replace(settings, max_epochs=2), seed=0)
    torch.testing.assert_close(fast(x), slow(x), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(fast(x), network.eval()(x), rtol=1e-2, atol=1e-2)


class Spied:
    """Events that remember which of them were read."""

    def __init__(self, x):
        self.x, self.shape, self.reads = x, x.shape, []

    def __getitem__(self, index):
        self.reads.append(set(index.tolist()))
        return self.x[index]


def test_events_are_disjoint_and_new_and_hard_tasks_are_learnt_again():
    n, distances, epochs = 600, (3.0, 0.0, 2.0, 0.5), 3
    tasks = [noisy_task(d, n=n, seed=k) for k, d in enumerate(distances)]
    spied = Spied(np.concatenate([task.x for task in tasks]))
    tasks = [replace(t, x=Rows(spied, np.arange(k * n, (k + 1) * n))) for k, t in enumerate(tasks)]
    network = Toy()
    with torch.no_grad():
        network.layer.weight[0, 1] = 0
    settings = replace(SETTINGS, events=50, hard_tasks=2, max_epochs=epochs)
    _, history = meta_train(network, tasks, settings, seed=0)
    for hard, each in zip(history.hard_tasks, history.task_accuracy, strict=True):
        assert hard == tuple(np.argsort(each)[:2])
        assert set(hard) == {1, 3}

    def task_of_read(read):
        (k,) = {i // n for i in read}
        assert len(read) == 100
        assert sum(i % 2 for i in read) == 50
        return k

    reads, passes, held_out, others = list(spied.reads), [], set(), set()
    for epoch in range(epochs):
        again = history.hard_tasks[epoch - 1] if epoch else ()
        for k in again:
            a, b = reads.pop(0), reads.pop(0)
            assert task_of_read(a) == task_of_read(b) == k
            used = set.union(*next(p for e, task, p in passes if (e, task) == (epoch - 1, k)))
            assert not a & b
            assert not (a | b) & used
            others |= a | b
        for _ in distances:
            parts = [reads.pop(0) for _ in range(3)]
            (k,) = {task_of_read(part) for part in parts}
            assert len(set.union(*parts)) == 300
            passes.append((epoch, k, parts))
            others |= parts[0] | parts[1]
            held_out |= parts[2]
        assert {k for e, k, _ in passes if e == epoch} == {0, 1, 2, 3}
    assert reads == []
    assert not held_out & others
    assert len(held_out) <= 4 * n // 5
    for k in range(4):
        for part in range(3):
            a, b, c = (parts[part] for _, task, parts in passes if task == k)
            assert a != b != c != a
    orders = {tuple(k for e, k, _ in passes if e == epoch) for epoch in range(epochs)}
    assert len(orders) > 1


def test_stops_and_restores_the_best(instances):
    settings = replace(SETTINGS, events=20, meta_learning_rate=0.3, patience=2, max_epochs=50)
    tasks, after, seen = [noisy_task(1, n=200)], [], []

    def progress(*report):
        seen.append(report)
        after.append(instances[0].merged())

    network, history = meta_train(Toy(), tasks, settings, seed=1, progress=progress)
    epochs = len(history.loss)
    assert epochs == history.best_epoch + 2 + 1 < 50
    assert 0 < history.best_epoch == int(np.argmin(history.loss))
    assert states_equal(network, after[history.best_epoch])
    assert not states_equal(network, after[-1])
    assert [r[:2] for r in seen] == [(i + 1, 50) for i in range(epochs)]
    assert tuple(r[3] for r in seen) == history.loss
    assert len(history.seconds) == len(history.accuracy) == epochs


def test_same_seed_same_result():
    tasks = [task_of("mlp", k) for k in range(2)]
    settings = replace(SETTINGS, events=30, hard_tasks=1, max_epochs=2)
    runs = [meta_train(network_of("mlp"), tasks, settings, seed=s) for s in (5, 5, 6)]
    (first, history), (same, same_history), (other, _) = runs
    assert states_equal(first, same)
    assert replace(history, seconds=()) == replace(same_history, seconds=())
    assert not states_equal(first, other)


def test_weights_that_need_no_gradient_stay():
    network = network_of("mlp")
    network.head.layers[0].requires_grad_(requires_grad=False)
    result, _ = meta_train(network, [task_of("mlp", 0)], replace(SETTINGS, events=30), seed=0)
    assert torch.equal(result.head.layers[0].weight, network.head.layers[0].weight)
    assert not torch.equal(result.head.layers[2].weight, network.head.layers[2].weight)


BAD_SETTINGS = {
    "events": [0],
    "base_learning_rate": [0.0, -1.0, math.nan, math.inf],
    "base_epochs": [0],
    "meta_learning_rate": [0.0, math.nan],
    "batch_size": [0],
    "max_epochs": [0],
    "patience": [0],
    "hard_tasks": [-1],
    "precision": ["float16"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_SETTINGS.items() for value in values]
)
def test_bad_settings(name, value):
    with pytest.raises(ValueError, match=f"expected {name} .*; got"):
        MetaSettings(**{name: value})


GOOD = noisy_task(1.0)
BAD = {
    "no tower": (nn.Linear(2, 1), [GOOD], {}, "expected a network of tower and head; got Linear"),
    "no layers": (NoTower(), [GOOD], {}, r"expected a tower of layers with biases; got \[\]"),
    "no bias": (Toy(bias=False), [GOOD], {}, r"layers with biases; got \['layer'\]"),
    "no tasks": (Toy(), [], {}, "expected at least 1 tasks; got 0"),
    "few tasks": (Toy(), [GOOD], {"hard_tasks": 2}, "expected at least 2 tasks; got 1"),
    "few events": (
        *(Toy(), [GOOD, GOOD.subset(slice(999))], {}),
        "expected 500 events of labels 0 and 1 each; got 499 in task 1",
    ),
    "other labels": (Toy(), [replace(GOOD, y=2 * GOOD.y)], {}, "got 0 in task 0"),
    "no weight": (Toy(), [replace(GOOD, weight=np.arange(1000) > 1)], {}, "got 499 in task 0"),
}


@pytest.mark.parametrize(("network", "tasks", "changes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(network, tasks, changes, message):
    with pytest.raises(ValueError, match=message):
        meta_train(network, tasks, replace(SETTINGS, **changes), seed=0)


def test_events_that_are_not_finite():
    spoilt = replace(GOOD, x=np.where(np.arange(1000)[:, None, None, None] % 7, GOOD.x, np.nan))
    with pytest.raises(FloatingPointError, match="expected finite losses; got"):
        meta_train(Toy(), [spoilt], SETTINGS, seed=0)
