"""Heads that are trained together against each of them alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import weights

from fivesigma import heads as module
from fivesigma.datasets import Dataset
from fivesigma.heads import Chosen, Stack, fit_heads
from fivesigma.losses import CrossEntropy
from fivesigma.networks.mlp import Dense
from fivesigma.training import TrainingSettings, fit, predict

D = 6
SETTINGS = TrainingSettings(
    learning_rate=5e-3, batch_size=64, max_epochs=12, patience=3, precision="float32"
)
QUICK = replace(SETTINGS, learning_rate=0.02, patience=2, max_epochs=20)


def head(seed):
    return Dense(D, 16, 1).another(seed)


def embedding(n=3000, seed=0):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


E = embedding()
"""Events in which the label of data set k follows from the number k."""


def chosen(k, n=200, *, noise=1.0, seed=0, weighted=True):
    """Events of data set k, of which some are those of others."""
    g = torch.Generator().manual_seed(100 * seed + k)
    index = torch.randperm(len(E), generator=g)[:n]
    y = (E[index, k % D] + noise * torch.randn(n, generator=g) > 0).float()
    weight = torch.rand(n, generator=g) + 0.5 if weighted else torch.ones(n)
    return Chosen(index, y, weight)


def together(hs, train, validation, *, settings=SETTINGS, seeds=None, **options):
    return fit_heads(
        hs,
        E,
        train,
        validation,
        loss=CrossEntropy(),
        settings=settings,
        seeds=range(len(hs)) if seeds is None else seeds,
        **options,
    )


def alone(hs, train, validation, *, settings=SETTINGS):
    return [
        together([h], [t], [v], settings=settings, seeds=[k])[0]
        for k, (h, t, v) in enumerate(zip(hs, train, validation, strict=True))
    ]


def same(ours, theirs, atol=1e-5):
    for (one, history), (other, expected) in zip(ours, theirs, strict=True):
        torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=atol)
        assert history.validation_loss == pytest.approx(expected.validation_loss, rel=1e-5)
        assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
        assert history.best_epoch == expected.best_epoch
        assert history.collapsed == expected.collapsed


def test_a_stack_is_its_heads():
    hs = [head(seed) for seed in range(4)]
    stack, x = Stack(hs), torch.randn(4, 7, D)
    z = stack(x)
    assert z.shape == (4, 7)
    for k, h in enumerate(hs):
        torch.testing.assert_close(z[k], h(x[k]))
        assert all(torch.equal(stack.state(k)[name], v) for name, v in h.state_dict().items())
    some = stack.only([3, 1])
    torch.testing.assert_close(some(x[:2]), torch.stack([hs[3](x[0]), hs[1](x[1])]))
    with torch.no_grad():
        some.values[0].zero_()
    torch.testing.assert_close(stack(x), z)


def test_gradient_of_a_head_is_its_own():
    """Of the sum over heads, each has the gradient that it has alone."""
    hs = [head(seed) for seed in range(3)]
    stack, x = Stack(hs), torch.randn(3, 7, D)
    stack(x).square().sum().backward()
    for k, h in enumerate(hs):
        h(x[k]).square().sum().backward()
        for theta, values in zip(h.parameters(), stack.values, strict=True):
            torch.testing.assert_close(values.grad[k], theta.grad)


@pytest.mark.parametrize(("anchor", "decay"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize("embedded", ["float32", "bfloat16"])
def test_together_is_alone(embedded, anchor, decay, monkeypatch):
    """Same sizes, so the same steps; some stop early, and the others go on unchanged."""
    hs = [head(seed) for seed in range(5)]
    settings = replace(QUICK, anchor=anchor, weight_decay=decay)
    monkeypatch.setitem(globals(), "E", E.to(getattr(torch, embedded)))
    noises = (0.1, 30.0, 1.0, 10.0, 3.0)
    train = [chosen(k, noise=noise) for k, noise in enumerate(noises)]
    validation = [chosen(k, 90, noise=noise, seed=1) for k, noise in enumerate(noises)]
    ours = together(hs, train, validation, settings=settings)
    theirs = alone(hs, train, validation, settings=settings)
    same(ours, theirs)
    epochs = [len(history.train_loss) for _, history in ours]
    assert len(set(epochs)) > 2
    for (_, history), n in zip(ours, epochs, strict=True):
        assert n == min(history.best_epoch + 1 + settings.patience, settings.max_epochs)
        assert history.best_epoch == int(np.argmin(history.validation_loss))


def test_the_batch_becomes_smaller(monkeypatch):
    """Heads that stopped are not computed."""
    sizes, forward = [], Stack.forward
    monkeypatch.setattr(Stack, "forward", lambda self, x: sizes.append(len(x)) or forward(self, x))
    noises = (0.1, 30.0, 1.0)
    train = [chosen(k, noise=noise) for k, noise in enumerate(noises)]
    validation = [chosen(k, 90, noise=noise, seed=1) for k, noise in enumerate(noises)]
    fitted = together([head(k) for k in range(3)], train, validation, settings=QUICK)
    epochs = sorted(len(history.train_loss) for _, history in fitted)
    assert epochs[0] < epochs[2]
    each = 4 + 1  # steps and validation of an epoch
    expected = [sum(n > epoch for n in epochs) for epoch in range(epochs[2]) for _ in range(each)]
    assert sizes == expected


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_head_is_the_network_that_it_would_be_alone(decay, monkeypatch):
    """One batch an epoch, so that the order of the events does not matter."""
    settings = replace(SETTINGS, batch_size=200, max_epochs=40, anchor=0.01, weight_decay=decay)
    hs = [head(seed) for seed in range(3)]
    train = [chosen(k) for k in range(3)]
    validation = [chosen(k, 90, seed=1) for k in range(3)]
    theirs = []
    for k, h in enumerate(hs):
        data = [Dataset(E[c.index].numpy(), c.y, c.y, c.weight) for c in (train[k], validation[k])]
        theirs.append(fit(h, *data, loss=CrossEntropy(), settings=settings, seed=0))
    same(together(hs, train, validation, settings=settings), theirs)


def test_the_best_by_the_measure(monkeypatch):
    """Of padded data sets with weights, the same as alone, and as by `fit`."""
    settings = replace(SETTINGS, batch_size=200, max_epochs=15, best_by="argos")
    hs = [head(seed) for seed in range(3)]
    train = [chosen(k) for k in range(3)]
    validation = [chosen(k, n, seed=1) for k, n in enumerate((300, 401, 250))]
    theirs = []
    for k, h in enumerate(hs):
        data = [Dataset(E[c.index].numpy(), c.y, c.y, c.weight) for c in (train[k], validation[k])]
        theirs.append(fit(h, *data, loss=CrossEntropy(), settings=settings, seed=0))
    ours = together(hs, train, validation, settings=settings)
    same(ours, theirs)
    for (_, history), (_, expected) in zip(ours, theirs, strict=True):
        assert history.argos == pytest.approx(expected.argos, abs=1e-3)
        assert history.best_epoch == int(np.argmax(history.argos))
        assert len(history.argos) == len(history.validation_loss)


def test_the_order_of_events_is_that_of_a_fit(monkeypatch):
    """With its random numbers a head takes the very steps of `fit`."""
    h, train, validation = head(0), chosen(0, 250), chosen(0, 90, seed=1)
    data = [Dataset(E[c.index].numpy(), c.y, c.y, c.weight) for c in (train, validation)]
    theirs = fit(h, *data, loss=CrossEntropy(), settings=SETTINGS, seed=7)
    same(together([h], [train], [validation], seeds=[7]), [theirs])


@pytest.mark.parametrize("sizes", [(200, 150, 101), (200, 199, 37)])
def test_padding_does_not_matter(sizes):
    """Data sets of different sizes, against the same number of steps of each alone."""
    n = len(sizes)
    hs = [head(seed) for seed in range(n)]
    train = [chosen(k, size) for k, size in enumerate(sizes)]
    validation = [chosen(k, size // 2, seed=1) for k, size in enumerate(sizes)]
    settings = replace(SETTINGS, max_epochs=4, patience=4)
    theirs = []
    for k, (h, t, v) in enumerate(zip(hs, train, validation, strict=True)):
        small = replace(settings, batch_size=-(-len(t) // 4))  # four steps, as in the largest
        theirs += together([h], [t], [v], settings=small, seeds=[k])
    same(together(hs, train, validation, settings=settings), theirs)


def test_rows_that_nobody_chose_do_not_matter(monkeypatch):
    """They may never have been written, the first as well as any other."""
    hs = [head(seed) for seed in range(3)]
    sizes = (50, 200, 130)
    train = [chosen(k, n) for k, n in enumerate(sizes)]
    validation = [chosen(k, n // 2, seed=1) for k, n in enumerate(sizes)]
    expected = together(hs, train, validation)
    used = torch.cat([c.index for c in train + validation])
    assert 0 not in used
    unwritten = torch.full_like(E, torch.nan)
    unwritten[used] = E[used]
    monkeypatch.setitem(globals(), "E", unwritten)
    same(together(hs, train, validation), expected, atol=0)


def test_a_data_set_of_fewer_events_than_steps():
    """Four steps for three events: the step without one is no step."""
    hs, train = [head(0), head(1)], [chosen(0), chosen(1, 3)]
    validation = [chosen(k, 90, seed=1) for k in range(2)]
    ours = together(hs, train, validation, settings=replace(SETTINGS, max_epochs=2))
    assert all(np.isfinite(history.train_loss).all() for _, history in ours)
    assert all(weights(h).isfinite().all() for h, _ in ours)


def test_large_validation_samples_come_in_slices(monkeypatch):
    hs = [head(k) for k in range(3)]
    train = [chosen(k) for k in range(3)]
    validation = [chosen(k, n, seed=1) for k, n in enumerate((90, 201, 64))]
    whole = together(hs, train, validation)
    monkeypatch.setattr(module, "VALIDATION_SLICE", 32)
    same(together(hs, train, validation), whole)


def test_a_strong_anchor_holds():
    hs = [head(seed) for seed in range(3)]
    data = [chosen(k) for k in range(3)], [chosen(k, 90, seed=1) for k in range(3)]
    moved = []
    for anchor in (0.0, 0.03, 1e6):
        fitted = together(hs, *data, settings=replace(SETTINGS, anchor=anchor))
        changes = [weights(f) - weights(h) for (f, _), h in zip(fitted, hs, strict=True)]
        moved.append([float(change.norm()) for change in changes])
    far, nearer, nowhere = np.array(moved)
    assert (far > nearer).all()
    assert (nearer > 3 * nowhere).all()


def test_frozen_layers_stay():
    hs = [head(seed) for seed in range(2)]
    for h in hs:
        h.layers[0].requires_grad_(requires_grad=False)
    fitted = together(hs, [chosen(k) for k in range(2)], [chosen(k, 90, seed=1) for k in range(2)])
    for (f, _), h in zip(fitted, hs, strict=True):
        assert torch.equal(f.layers[0].weight, h.layers[0].weight)
        assert not torch.equal(f.layers[2].weight, h.layers[2].weight)


def test_same_seed_same_weights():
    hs, data = [head(0), head(0)], ([chosen(0)] * 2, [chosen(0, 90, seed=1)] * 2)
    first, other = together(hs, *data, seeds=[3, 4])
    torch.manual_seed(5)
    again, same_again = together(hs, *data, seeds=[3, 3])
    assert torch.equal(weights(first[0]), weights(again[0]))
    assert torch.equal(weights(again[0]), weights(same_again[0]))
    assert not torch.equal(weights(first[0]), weights(other[0]))


def test_leaves_what_it_is_given():
    hs, data = [head(0), head(1)], ([chosen(0)] * 2, [chosen(0, 90, seed=1)] * 2)
    before, state = [weights(h) for h in hs], torch.get_rng_state()
    for (f, _), h, w in zip(together(hs, *data), hs, before, strict=True):
        assert f is not h
        assert not f.training
        assert torch.equal(weights(h), w)
    assert torch.equal(torch.get_rng_state(), state)


def test_histories_and_scores():
    """The weights are those of the lowest validation loss."""
    hs, told = [head(k) for k in range(3)], []
    train = [chosen(k, noise=3) for k in range(3)]
    validation = [chosen(k, 90, noise=3, seed=1) for k in range(3)]
    fitted = together(hs, train, validation, progress=lambda *a: told.append(a))
    for (f, history), v in zip(fitted, validation, strict=True):
        p = torch.from_numpy(predict(f, E[v.index].numpy(), precision="float32"))
        l = -torch.where(v.y == 1, p, 1 - p).log()
        assert float((v.weight * l).sum() / v.weight.sum()) == pytest.approx(
            min(history.validation_loss), rel=1e-4
        )
        assert not history.collapsed
        assert history.precision == "float32"
        assert len(history.seconds) == len(history.train_loss)
    epochs = max(len(history.train_loss) for _, history in fitted)
    assert [step[:2] for step in told] == [(i + 1, SETTINGS.max_epochs) for i in range(epochs)]
    assert told[0][3] == pytest.approx(np.mean([h.validation_loss[0] for _, h in fitted]))


def test_a_collapsed_head_is_reported():
    dead = head(1)
    with torch.no_grad():
        dead.layers[0].weight.zero_()
        dead.layers[0].bias.fill_(-1)
    data = [chosen(k) for k in range(2)], [chosen(k, 90, seed=1) for k in range(2)]
    fitted = together([head(0), dead], *data)
    assert [history.collapsed for _, history in fitted] == [False, True]


T, V = [chosen(0), chosen(1)], [chosen(0, 90, seed=1), chosen(1, 90, seed=1)]
BAD = {
    "no heads": ([], [], [], []),
    "a head too many": ([head(0)] * 3, T, V, [0, 1]),
    "data": ([head(0)] * 2, T[:1], V, [0, 1]),
    "validation": ([head(0)] * 2, T, V[:1], [0, 1]),
    "seeds": ([head(0)] * 2, T, V, [0]),
}


@pytest.mark.parametrize(("hs", "train", "validation", "seeds"), BAD.values(), ids=BAD.keys())
def test_bad_input(hs, train, validation, seeds):
    with pytest.raises(ValueError, match="expected as many heads as data sets and seeds"):
        together(hs, train, validation, seeds=seeds)


def test_diverging_training():
    data = [chosen(0)], [chosen(0, 90, seed=1)]
    with pytest.raises(FloatingPointError, match="expected finite losses; got"):
        together([head(0)], *data, settings=replace(SETTINGS, learning_rate=1e30))
