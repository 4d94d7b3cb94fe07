"""What starts from a pretrained network: heads, schedules, and the network as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import blobs, clouds, search, weights

from fivesigma.datasets import Dataset
from fivesigma.losses import CrossEntropy
from fivesigma.networks.cloud import CloudNet
from fivesigma.networks.cnn import CNN
from fivesigma.networks.mlp import MLP
from fivesigma.prediction import apply, predict
from fivesigma.rows import Rows
from fivesigma.strategies import STRATEGIES, Embedding, Learner, base, direct, transfer
from fivesigma.training import TrainingSettings, fit

SETTINGS = TrainingSettings(
    learning_rate=2e-3, batch_size=200, max_epochs=6, patience=3, precision="float32"
)
TARGETS = [search(200, seed=1), search(0, n_background=700, seed=2), search(100, seed=3)]
X = search(0, seed=4).x


@pytest.fixture(scope="module")
def network():
    """A network that has learnt something like the target."""
    data = search(1500, n_background=1500, mean=(2, 0.5, 0, 0), seed=5)
    data = replace(data, y=data.truth)
    train, validation = data.split(0.8, rng=np.random.default_rng(0))
    return fit(
        MLP((4,), seed=0), train, validation, loss=CrossEntropy(), settings=SETTINGS, seed=0
    )[0]


def learn(kind, network, targets=TARGETS, *, settings=SETTINGS, seeds=(11, 12, 13), **options):
    learner = Learner(settings=settings, seeds=tuple(seeds[: len(targets)]))
    return STRATEGIES[kind](**options)(lambda _seed: network, targets, learner)


@pytest.fixture
def heads(monkeypatch):
    """Each call of `fit_heads`: the heads it was given, what it is to train, what it returned."""
    calls, fit_heads = [], transfer.fit_heads

    def spy(hs, **options):
        trainable = [[q.requires_grad for q in h.parameters()] for h in hs]
        fitted = fit_heads(hs, **options)
        calls.append((list(hs), trainable, fitted, options))
        return fitted

    monkeypatch.setattr(transfer, "fit_heads", spy)
    return calls


def test_a_new_head(network, heads):
    """Drawn anew for each data set, from its seed; all of it is trained."""
    learn("transfer", network)
    ((given, trainable, fitted, _),) = heads
    for h, seed in zip(given, (11, 12, 13), strict=True):
        assert torch.equal(weights(h), weights(network.new_head(seed)))
    assert all(all(flags) for flags in trainable)
    assert not torch.equal(weights(given[0]), weights(given[1]))
    for h, (f, _) in zip(given, fitted, strict=True):
        assert not torch.equal(weights(f), weights(h))


def test_the_head_of_the_source(network, heads):
    learn("transfer", network, head="source")
    ((given, _, _, _),) = heads
    for h in given:
        assert h is not network.head
        assert torch.equal(weights(h), weights(network.head))


@pytest.mark.parametrize("head", ["new", "source"])
def test_probe_first(head, network, heads):
    """First a new last layer, and nothing else; then all from where that ended."""
    learn("transfer", network, head=head, schedule="probe first")
    (probes, probing, probed, _), (given, training, fitted, _) = heads
    for k, seed in enumerate((11, 12, 13)):
        first, _, last = probes[k].layers
        before = network.head if head == "source" else network.new_head(seed)
        assert torch.equal(first.weight, before.layers[0].weight)
        assert not torch.equal(last.weight, before.layers[2].weight)
        assert probing[k] == [False, False, True, True]
        assert torch.equal(probed[k][0].layers[0].weight, first.weight)
        assert not torch.equal(probed[k][0].layers[2].weight, last.weight)
        assert training[k] == [True] * 4
        assert torch.equal(weights(given[k]), weights(probed[k][0]))
        assert not torch.equal(weights(fitted[k][0])[:100], weights(given[k])[:100])


@pytest.mark.parametrize("head", ["new", "source"])
def test_a_strong_anchor_holds(head, network, heads):
    for anchor in (0.0, 1e6):
        learn("transfer", network, head=head, settings=replace(SETTINGS, anchor=anchor))
    far, nowhere = (
        [(weights(f) - weights(h)).abs().max() for h, (f, _) in zip(given, fitted, strict=True)]
        for given, _, fitted, _ in heads
    )
    step = SETTINGS.learning_rate
    assert max(nowhere) < 2 * step < 4 * step < min(far)
    fitted = learn("transfer", network, head="source", settings=replace(SETTINGS, anchor=1e6))
    np.testing.assert_allclose(fitted.score(0, X), predict(network, X), atol=0.05)


def test_a_head_is_what_a_training_on_the_embedding_gives(network):
    """The tower frozen, the same seed and split: the very same head."""
    fitted = learn("transfer", network, head="source")
    for i, seed in enumerate((11, 12, 13)):
        e = apply(network.tower, network, TARGETS[i].x, precision="float32").numpy()
        embedded = replace(TARGETS[i], x=e)
        train, validation = embedded.split(0.8, rng=np.random.default_rng(seed))
        expected, history = fit(
            network.head, train, validation, loss=CrossEntropy(), settings=SETTINGS, seed=seed
        )
        x = apply(network.tower, network, X, precision="float32").numpy()
        s = predict(expected, x, precision="float32")
        np.testing.assert_allclose(fitted.score(i, X), s, rtol=1e-4, atol=1e-5)
        assert fitted.histories[i].validation_loss == pytest.approx(history.validation_loss)


def test_the_split_is_that_of_direct(network, heads, monkeypatch):
    """Same seed, same events to train on and to validate on."""
    parts = []

    def spy(_network, train, validation, **_options):
        parts.append([set(part.x[:, 0].tolist()) for part in (train, validation)])
        raise InterruptedError

    monkeypatch.setattr(direct, "fit", spy)
    numbered = [
        replace(
            target, x=np.concatenate([np.arange(len(target))[:, None], target.x[:, 1:]], axis=1)
        )
        for target in TARGETS
    ]
    for target, seed in zip(numbered, (11, 12, 13), strict=True):
        with pytest.raises(InterruptedError):
            learn("direct", network, [target], seeds=(seed,))
    learn("transfer", network, numbered)
    ((_, _, _, options),) = heads
    starts = np.cumsum([0, *map(len, TARGETS)])
    for k, (train, validation) in enumerate(parts):
        for expected, chosen in (
            (train, options["train"][k]),
            (validation, options["validation"][k]),
        ):
            rows = chosen.index.numpy() - starts[k]
            assert set(rows.tolist()) == expected
            assert np.array_equal(chosen.y.numpy(), TARGETS[k].y[rows])


def test_weights_stay_with_their_events(network, heads):
    data = replace(TARGETS[0], weight=np.random.default_rng(0).uniform(0.5, 2, len(TARGETS[0])))
    data.weight[::7] = 0
    learn("transfer", network, [data])
    ((_, _, _, options),) = heads
    used = []
    for (chosen,) in (options["train"], options["validation"]):
        rows = chosen.index.numpy()
        assert np.array_equal(chosen.weight.numpy(), data.weight[rows])
        assert np.array_equal(chosen.y.numpy(), data.y[rows])
        used += rows.tolist()
    assert sorted(used) == np.flatnonzero(data.weight).tolist()


def test_few_heads_at_a_time(network, monkeypatch):
    """Of data sets of one size the result does not depend on how many are in a batch."""
    whole = learn("transfer", network, TARGETS[:2])
    monkeypatch.setattr(transfer, "TOGETHER", 1)
    parts = learn("transfer", network, TARGETS[:2])
    for i in (0, 1):
        np.testing.assert_allclose(parts.score(i, X), whole.score(i, X), rtol=1e-4, atol=1e-5)
    assert len(parts.histories) == 2


# The network as it is

TOWERED = {
    "mlp": lambda: (MLP((4,), seed=1), X),
    "cloud": lambda: (CloudNet((2, 12, 3), seed=1), clouds(300).x),
    "cnn": lambda: (CNN((2, 8, 8), seed=1), blobs(300).x),
}


@pytest.mark.parametrize("name", TOWERED)
@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-6), ("bfloat16", 0.02)])
def test_zero_shot_is_the_network(name, precision, error):
    network, x = TOWERED[name]()
    network(torch.from_numpy(x))  # statistics of the norms
    targets = [Dataset(x, np.zeros(len(x)), np.zeros(len(x)), np.ones(len(x)))] * 2
    fitted = learn(
        "zero_shot", network.eval(), targets, settings=replace(SETTINGS, precision=precision)
    )
    expected = predict(network, x, precision=precision)
    for i in (0, 1):
        np.testing.assert_allclose(fitted.score(i, x), expected, rtol=0, atol=error)
    assert fitted.histories == (None, None)


# Embedded events


def test_an_event_is_embedded_once(network, monkeypatch):
    """However many data sets share it, and however often it is asked for."""
    embedded, tower = [], network.tower
    monkeypatch.setattr(
        network, "tower", lambda x: embedded.append(len(x)) or tower(x), raising=False
    )
    rng = np.random.default_rng(0)
    targets, asked = [], set(range(200))
    for _ in range(3):
        index = rng.choice(len(X), 500)
        asked |= set(index.tolist())
        y = rng.integers(0, 2, 500)
        targets.append(Dataset(Rows(X, index), y, y, np.ones(500)))
    fitted = learn("transfer", network, targets)
    for i in range(3):
        fitted.score(i, Rows(X, np.arange(100)))
        fitted.score(i, Rows(X, np.arange(50, 200)))
    assert sum(embedded) == len(asked) < len(X)


@pytest.mark.parametrize("largest", [0, 1 << 30])
def test_a_table_in_a_file_is_the_same(network, largest, monkeypatch):
    """Also if it is filled in several parts; the file itself is not seen."""
    monkeypatch.setattr(base, "LARGEST", largest)
    monkeypatch.setattr(base, "CHUNK", 64)
    embedding, rng = Embedding(network, SETTINGS), np.random.default_rng(0)
    expected = apply(network.tower, network, X, precision="float32")
    for n in (300, 0, 1000):
        index = rng.choice(len(X), n)
        x = embedding.of(Rows(X, index))
        assert len(x) == n
        torch.testing.assert_close(x[:], expected[index])


def test_a_full_disk_is_told_of(network, monkeypatch):
    """Before anything is written to the table."""

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(base, "LARGEST", 0)
    monkeypatch.setattr(base.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        Embedding(network, SETTINGS).of(X)


def test_joint_tables(network):
    """The rows of a joint table are the embedded events of each data set, of one array or many."""
    embedding = Embedding(network, SETTINGS)
    one, other = X[:300], X[300:700]
    events = [
        Rows(one, np.array([5, 5, 2])),
        other,
        Rows(one, np.array([299])),
        Rows(other, np.array([0, 9])),
    ]
    table, rows = embedding.joint(events)
    assert len(table) == sum(map(len, rows)) == 406
    for x, row in zip(events, rows, strict=True):
        expected = apply(network.tower, network, x[np.arange(len(x))], precision="float32")
        torch.testing.assert_close(table[row], expected)
        torch.testing.assert_close(embedding.of(x)[:], expected)
    table, rows = embedding.joint([events[0], events[2]])
    assert len(table) == len(one)
    assert [row.tolist() for row in rows] == [[5, 5, 2], [299]]


def test_bad_options():
    with pytest.raises(ValueError, match="expected head 'new' or 'source'; got 'old'"):
        transfer.Transfer(head="old")
    with pytest.raises(ValueError, match="expected schedule 'whole' or 'probe first'; got 'probe'"):
        transfer.Transfer(schedule="probe")
    with pytest.raises(ValueError, match="expected meta, a mapping of settings; got 3"):
        transfer.MetaTransfer(meta=3)


@pytest.mark.parametrize("kind", ["transfer", "metatransfer", "zero_shot"])
def test_a_network_without_tower(kind):
    with pytest.raises(ValueError, match=r"expected a network .*tower and head; got Linear"):
        learn(kind, nn.Linear(4, 1))
    with pytest.raises(ValueError, match=r"expected a network .*tower and head; got Linear"):
        Embedding(nn.Linear(4, 1), SETTINGS)
