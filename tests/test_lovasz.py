"""Surrogates of significances: against the equations, set by set, and the definition of Lovász."""

import itertools
import math

import numpy as np
import pytest
import torch

from fivesigma.lovasz import ERRORS, LovaszAsimov, LovaszSignificance

RNG = np.random.default_rng(0)


def ratio(s, b):
    return s / math.sqrt(b)


def asimov(s, b):
    return math.sqrt(max(0, 2 * ((s + b) * math.log((s + b) / b) - s)))


LOSSES = {  # loss, the significance it is of
    "significance": (LovaszSignificance(), ratio),
    "small epsilon": (LovaszSignificance("hinge", epsilon=0.05), ratio),
    "scaled": (LovaszSignificance("cross_entropy", n_s=3.0, n_b=200.0), ratio),
    "asimov": (LovaszAsimov(), asimov),
    "scaled asimov": (LovaszAsimov("focal", epsilon=0.3, n_s=20.0, n_b=5.0), asimov),
}
every_loss = pytest.mark.parametrize(("loss", "Z"), LOSSES.values(), ids=LOSSES.keys())
every_error = pytest.mark.parametrize("error", ERRORS)
both = pytest.mark.parametrize("kind", [LovaszSignificance, LovaszAsimov])


def events(n, *, rng=RNG):
    """Labels of both kinds and weights, shape (n,)."""
    y = np.append([1.0, 0.0], rng.integers(0, 2, n - 2))
    return y, rng.uniform(0.1, 3, n)


def cost(loss, Z, y, w, errs):
    """Delta of a set, written as in the equations."""
    S, B = w @ y, w @ (1 - y)
    S_0, B_0 = loss.n_s or S, loss.n_b or B
    n, p = w @ (y * errs) * S_0 / S, w @ ((1 - y) * errs) * B_0 / B
    return Z(S_0, loss.epsilon) - Z(max(0, S_0 - n), loss.epsilon + p)


def table(loss, Z, y, w):
    """Delta of all sets of events."""
    return {M: cost(loss, Z, y, w, np.array(M)) for M in itertools.product([0, 1], repeat=len(y))}


def tensors(*arrays):
    return [torch.tensor(a, dtype=torch.float64) for a in arrays]


@every_loss
def test_corners_are_the_sets(loss, Z):
    y, w = events(8)
    for M, delta in table(loss, Z, y, w).items():
        m = np.array(M, dtype=float)
        assert loss.extension(*tensors(m, y, w)).item() == pytest.approx(delta, rel=1e-9, abs=1e-9)


@every_loss
def test_definition(loss, Z):
    """One set larger by an event after the other, in the order of the errors."""
    for n in (2, 3, 20):
        (y, w), m, M = events(n), RNG.exponential(size=n), np.zeros(n)
        total = before = 0.0
        for i in np.argsort(-m):
            M[i] = 1
            total += m[i] * ((after := cost(loss, Z, y, w, M)) - before)
            before = after
        assert loss.extension(*tensors(m, y, w)).item() == pytest.approx(total, rel=1e-9)


def submodular(delta):
    """Whether Delta(A) + Delta(B) >= Delta(A or B) + Delta(A and B) for all sets."""
    pairs = itertools.combinations(delta, 2)
    union = lambda A, B: tuple(map(max, zip(A, B, strict=True)))  # noqa: E731
    meet = lambda A, B: tuple(map(min, zip(A, B, strict=True)))  # noqa: E731
    return all(
        delta[A] + delta[B] >= delta[union(A, B)] + delta[meet(A, B)] - 1e-9 for A, B in pairs
    )


def test_submodular():
    for seed in range(5):
        y, w = events(7, rng=np.random.default_rng(seed))
        assert submodular(table(LovaszSignificance(epsilon=0.2), ratio, y, w))


def test_not_submodular():
    """Two signal events missed cost more than twice one: 1.610 > 2 x 0.731."""
    y, w = np.array([1.0, 1.0, 0.0]), np.ones(3)
    delta = table(LovaszAsimov(), asimov, y, w)
    assert not submodular(delta)
    once, twice = delta[1, 0, 0], delta[1, 1, 0]
    assert once == pytest.approx(
        math.sqrt(2 * (3 * math.log(3) - 2)) - math.sqrt(4 * math.log(2) - 2)
    )
    assert twice == pytest.approx(math.sqrt(2 * (3 * math.log(3) - 2)))
    corners = [LovaszAsimov().extension(*tensors(m, y, w)) for m in np.eye(3)[:2]]
    middle = LovaszAsimov().extension(*tensors([0.5, 0.5, 0], y, w))
    assert middle > sum(corners) / 2 + 0.05


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_convex_in_errors(epsilon):
    loss = LovaszSignificance(epsilon=epsilon)
    for _ in range(200):
        (y, w), m = events(12), RNG.exponential(size=(2, 12)).round(1)
        L = [loss.extension(*tensors(m_j, y, w)).item() for m_j in (*m, m.mean(axis=0))]
        assert L[2] <= (L[0] + L[1]) / 2 + 1e-9


@pytest.mark.parametrize("error", ["hinge", "cross_entropy"])
def test_convex_in_logits(error):
    loss = LovaszSignificance(error)
    for _ in range(200):
        (y, w), z = events(12), RNG.normal(size=(2, 12), scale=2)
        L = [loss(*tensors(z_j, y, w)).item() for z_j in (*z, z.mean(axis=0))]
        assert L[2] <= (L[0] + L[1]) / 2 + 1e-9


@every_loss
def test_positively_homogeneous(loss, Z):
    (y, w), m = events(15), RNG.exponential(size=15)
    one, many = (loss.extension(*tensors(c * m, y, w)).item() for c in (1, 7))
    assert many == pytest.approx(7 * one, rel=1e-12)
    assert one > 0


@every_error
@both
def test_gradients(kind, error):
    (y, w), z = events(10), RNG.normal(size=10)
    z, y, w = tensors(z, y, w)
    assert torch.autograd.gradcheck(lambda z: kind(error)(z, y, w), (z.requires_grad_(),))
    G = torch.autograd.grad(kind(error)(z, y, w), z)[0]
    assert (G * (1 - 2 * y) >= 0).all()
    assert (G != 0).any()


def test_ties_have_a_subgradient():
    """The tangent at equal errors is below the convex function everywhere."""
    for _ in range(100):
        (y, w), m = events(9), RNG.integers(1, 4, 9).astype(float)
        m, y, w, other = tensors(m, y, w, RNG.exponential(2, size=9))
        L = LovaszSignificance().extension(m.requires_grad_(), y, w)
        (g,) = torch.autograd.grad(L, m)
        assert L + g @ (other - m) <= LovaszSignificance().extension(other, y, w) + 1e-9


@every_loss
@pytest.mark.parametrize("decimals", [0, 9])
def test_order_does_not_matter(loss, Z, decimals):
    """Neither to the loss nor to its gradient, also where errors are equal."""
    (y, w), z = events(30), RNG.normal(size=30).round(decimals)
    order = RNG.permutation(30)
    results = []
    for i in (np.arange(30), order):
        z_i, y_i, w_i = tensors(z[i], y[i], w[i])
        L = loss(z_i.requires_grad_(), y_i, w_i)
        results.append((L.item(), torch.autograd.grad(L, z_i)[0].numpy()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    np.testing.assert_allclose(results[0][1][order], results[1][1], rtol=1e-9, atol=1e-12)
    assert np.abs(results[0][1]).max() > 1e-3


@every_loss
def test_weights_weigh(loss, Z):
    """An event of weight three is three events, and one of weight zero is none."""
    y, z = np.array([1.0, 0, 1, 0, 0]), RNG.normal(size=5)
    k = np.array([3, 1, 0, 2, 1])
    weighed = loss(*tensors(z, y, k))
    repeated = loss(*tensors(z.repeat(k), y.repeat(k), np.ones(k.sum())))
    torch.testing.assert_close(weighed, repeated)
    assert weighed != loss(*tensors(z, y, np.ones(5)))


def test_processes_are_weights():
    """Two signals and two backgrounds, in events expected; no cross section is seen but by them."""
    y, w = np.array([1.0, 1, 0, 0]), np.array([2.0, 0.5, 100, 7])
    missed_second_kept_first_background = tensors(np.array([0.0, 1, 1, 0]), y, w)
    L = LovaszSignificance().extension(*missed_second_kept_first_background)
    assert L.item() == pytest.approx(2.5 - 2 / math.sqrt(101))


def test_part_of_the_events():
    """A part that looks like the whole has its loss, if totals are given; else it has another."""
    y, w, z = np.array([1.0, 0, 0]), np.array([1.0, 5, 2]), RNG.normal(size=3)
    part, whole = tensors(z, y, w), tensors(*(np.tile(a, 8) for a in (z, y, w)))
    scaled, plain = LovaszSignificance(n_s=8, n_b=56), LovaszSignificance()
    torch.testing.assert_close(scaled(*part), plain(*whole))
    assert plain(*whole) > 2 * plain(*part)


@every_error
@both
def test_perfect_is_zero(kind, error):
    y, w = events(20)
    right, wrong = 800.0 * (2 * y - 1), -800.0 * (2 * y - 1)
    assert kind(error)(*tensors(right, y, w)) == 0
    worst = cost(kind(), ratio if kind is LovaszSignificance else asimov, y, w, np.ones(20))
    assert kind(error)(*tensors(wrong, y, w)).item() >= worst * (1 - 1e-9) > 0


@pytest.mark.parametrize(
    ("error", "at_0", "at_1"),
    [
        ("hinge", 1.0, 0.0),
        ("sigmoid", 0.5, 1 / (1 + math.e)),
        ("cross_entropy", math.log(2), math.log(1 + 1 / math.e)),
        ("focal", math.log(2) / 4, math.log(1 + 1 / math.e) / (1 + math.e) ** 2),
    ],
)
def test_errors(error, at_0, at_1):
    m = ERRORS[error](torch.tensor([0.0, 1.0, -50.0, 50.0], dtype=torch.float64))
    assert m[:2].tolist() == pytest.approx([at_0, at_1])
    assert m[2] >= 1 - 1e-9
    assert 0 <= m[3] < 1e-20


@both
def test_float32(kind):
    """Of many events of small weights, where differences of the cost are a millionth of it."""
    rng = np.random.default_rng(0)
    y = (rng.random(50_000) < 0.5).astype(float)
    z, w = rng.normal(size=50_000) + y, rng.uniform(0.5, 1.5, 50_000) * np.where(y, 1e-3, 1)
    results = []
    for dtype in (torch.float32, torch.float64):
        z_t, y_t, w_t = (torch.tensor(a, dtype=dtype) for a in (z.astype(np.float32), y, w))
        L = kind("cross_entropy")(z_t.requires_grad_(), y_t, w_t)
        results.append((L, torch.autograd.grad(L, z_t)[0]))
    (L, G), (L_64, G_64) = results
    assert L.dtype == G.dtype == torch.float32
    torch.testing.assert_close(L.double(), L_64, rtol=1e-5, atol=0)
    torch.testing.assert_close(G.double(), G_64, rtol=1e-3, atol=0)


BAD = {  # logits, labels, weights
    "no signal": (np.zeros(2), np.zeros(2), np.ones(2), "expected signal and background"),
    "no background": (np.zeros(2), np.ones(2), np.ones(2), "expected signal and background"),
    "signal of no weight": (np.zeros(2), [0, 1], [1, 0], "expected signal and background"),
    "negative": (np.zeros(2), [0, 1], [1, -1], "expected finite weights of at least 0; got -1"),
    "NaN": (np.zeros(2), [0, 1], [1, math.nan], "expected finite weights of at least 0; got nan"),
    "label": (np.zeros(3), [0, 1, 2], np.ones(3), "expected labels of 0 and 1"),
    "shape": (np.zeros((2, 1)), [0, 1], np.ones(2), "shape"),
}


@pytest.mark.parametrize(("z", "y", "w", "message"), BAD.values(), ids=BAD.keys())
def test_bad_events(z, y, w, message):
    with pytest.raises(ValueError, match=message):
        LovaszSignificance()(*tensors(z, y, w))


@pytest.mark.parametrize(
    "bad", [{"error": "square"}, {"epsilon": 0.0}, {"n_s": -1.0}, {"n_b": math.inf}]
)
@both
def test_bad_losses(kind, bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"expected {name} .*; got"):
        kind(**bad)


@both
def test_telling_nothing(kind):
    """It costs what a cut costs that reaches half of the significance at no error at all."""
    y, w = events(10)
    Z = (ratio if kind is LovaszSignificance else asimov)(w @ y, 2.0)
    for error, cost_of_half in (("sigmoid", Z - Z / 2), ("hinge", 2 * (Z - Z / 2))):
        L = kind(error, epsilon=2.0)(*tensors(np.zeros(10), y, w))
        assert L.item() == pytest.approx(cost_of_half, rel=1e-12)


def test_ties_are_shared():
    """Half of the signal event's cost is without the background event of equal error."""
    m, *rest = tensors([1.0, 1.0], [1.0, 0.0], [3.0, 8.0])
    (g,) = torch.autograd.grad(LovaszSignificance().extension(m.requires_grad_(), *rest), m)
    assert g.tolist() == pytest.approx([(3 + 3 / 3) / 2, (3 - 3 / 3) / 2])
