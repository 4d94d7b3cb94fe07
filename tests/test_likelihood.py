"""Fits, test statistics and limits against closed forms, slow references, pyhf and toys."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kstest

from fivesigma import likelihood
from fivesigma.counting import asimov_exclusion, p_value, poisson_deviance, poisson_p, significance
from fivesigma.likelihood import Data, Model, asimov_data, fit, q0, q_mu, toys
from fivesigma.limits import discovery, exclusion, upper_limit
from fivesigma.statistics import asimov

B = np.array([100.0, 50.0, 20.0])
S = np.array([2.0, 6.0, 9.0])
N = np.array([105.0, 60.0, 33.0])
CORRELATED = np.outer(0.05 * B, 0.05 * B) + np.diag([30.0, 8.0, 2.0])
MODELS = {  # with data
    "known": (Model.independent([5.0], [10.0]), [15.0]),
    "counting": (Model.independent([5.0], [10.0], 2.0), [14.0]),
    "shape": (Model.independent(S, B, 0.1, kind="relative"), N),
    "correlated": (Model(S, B, CORRELATED), N),
    "one shift": (Model(S, B, np.outer(0.1 * B, 0.1 * B)), N),
    "deficit": (Model(S, B, CORRELATED), [90.0, 41.0, 15.0]),
    "empty": (Model.independent([1.0, 3.0], [0.4, 2.0], 0.3, kind="relative"), [0.0, 0.0]),
    "poor": (Model.independent([3.0, 1.0], [2.0, 5.0], [2.5, 6.0]), [3.0, 2.0]),
    "a control bin": (
        Model(np.array([0, 4.0]), np.array([900, 9.0]), np.diag([0, 4.0])),
        [911, 12],
    ),
    "many": (Model.independent([3e4, 2e4], [1e7, 3e6], [9e3, 2e3]), [1.0021e7, 3.012e6]),
}
every_model = pytest.mark.parametrize(("model", "n"), MODELS.values(), ids=MODELS.keys())


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def slow(model, n, a, mu):
    """-2 ln L of one data set by a general minimiser from several starts; mu or None."""
    L = model.shifts

    def deviance(x):
        theta = x[1:]
        beta = model.background + L @ theta
        nu = beta + (x[0] if mu is None else mu) * model.signal
        if np.any(beta < 0) or np.any(nu < 0) or np.any((nu == 0) & (n > 0)):
            return 1e9
        return np.sum(poisson_deviance(n, nu)) + np.sum((theta - a) ** 2)

    start = np.zeros(1 + L.shape[1])
    for step in (0.5, 0.05, 0.5):
        simplex = start + np.vstack([np.zeros(len(start)), step * np.eye(len(start))])
        options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 20_000, "initial_simplex": simplex}
        start = minimize(deviance, start, method="Nelder-Mead", options=options).x
    return deviance(start)


@pytest.mark.parametrize("n", [3.0, 11.0, 15.0, 40.0])
@pytest.mark.parametrize("sigma", [0.5, 3.0, 9.0])
def test_one_bin_with_uncertainty(n, sigma):
    """β² + (σ² - b + μ s) β - ... = 0 for the profiled background; the free fit is perfect."""
    s, b, v = 4.0, 10.0, sigma**2
    model = Model.independent([s], [b], sigma)

    def D(mu):
        h = b - v - mu * s
        beta = (h + math.sqrt(h**2 + 4 * (mu * s * (b - v) + n * v))) / 2
        beta = max(beta, 0)
        return poisson_deviance(n, mu * s + beta) + (beta - b) ** 2 / v

    found = D(0) if n > b else 0
    assert q0(model, [n])[0] == pytest.approx(found, rel=1e-8, abs=1e-9)
    for mu in (0.5, 1.0, 6.0):
        below = mu > (n - b) / s
        assert q_mu(model, [n], mu, "q")[0] == pytest.approx(D(mu) * below, rel=1e-8, abs=1e-9)
        least = D(0) if n < b else 0
        expected = (D(mu) - least) * below
        assert q_mu(model, [n], mu)[0] == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("sigma", [1.0, 2.9, 3.5, 50.0])
def test_background_stays_positive(sigma):
    """Without events -2 ln L = 2 (μ s + β) + (β - b)²/σ², smallest at β = b - σ² or at 0."""
    s, b, mu = 2.0, 9.0, 1.5
    model = Model.independent([s], [b], sigma)
    beta = max(b - sigma**2, 0)
    result = fit(model, [0.0], mu)
    D = 2 * (mu * s + beta) + (beta - b) ** 2 / sigma**2
    assert result.deviance[0] == pytest.approx(D, abs=1e-8)
    assert b + (model.shifts @ result.theta[0])[0] == pytest.approx(beta, abs=1e-5)
    free = fit(model, [0.0])
    assert (free.deviance[0], free.mu[0]) == pytest.approx((0, -b / s), abs=1e-5)


@pytest.mark.parametrize("name", ["shape", "deficit", "empty", "poor", "a control bin"])
@pytest.mark.parametrize("mu", [None, 1.7])
def test_fit_against_a_general_minimiser(name, mu, rng):
    model, n = MODELS[name]
    a = rng.normal(size=model.shifts.shape[1])
    data = Data(np.array([n], float), a[None])
    deviance = fit(model, data, "free" if mu is None else mu).deviance[0]
    reference = slow(model, np.asarray(n), a, mu)
    assert deviance == pytest.approx(reference, rel=1e-6, abs=1e-6)
    assert deviance <= reference + 1e-8


def test_slope_vanishes_at_the_solution(rng):
    """θ - a = L^T (n / ν - 1) and s (n / ν - 1) = 0, where no background is at its border."""
    model = MODELS["correlated"][0]
    data = toys(model, 1.0, 1000, rng=rng)
    result = fit(model, data)
    nu = model.background + result.theta @ model.shifts.T + result.mu[:, None] * S
    pull = data.counts / nu - 1
    np.testing.assert_allclose(pull @ model.shifts, result.theta - data.auxiliary, atol=1e-6)
    np.testing.assert_allclose(pull @ S, 0, atol=1e-5)
    one_by_one = [fit(model, Data(data.counts[[i]], data.auxiliary[[i]])) for i in range(5)]
    np.testing.assert_allclose([f.deviance[0] for f in one_by_one], result.deviance[:5], atol=1e-8)


@every_model
def test_all_toys_converge(model, n, rng):
    data = toys(model, 1.0, 5000, rng=rng)  # more than one chunk
    for mu in ("free", 0.0, 5.0):
        result = fit(model, data, mu)
        assert np.all(np.isfinite(result.deviance) & (result.deviance >= 0))
        beta = model.background + result.theta @ model.shifts.T
        assert np.all(beta >= -1e-9 * model.background)


@every_model
def test_properties(model, n):
    found, best = q0(model, n)[0], fit(model, n)
    assert found >= 0
    assert (found > 0) == (best.mu[0] > 0)
    tests = [exclusion(model, n, mu) for mu in (0.0, 0.1, 1.0, 3.0, 30.0)]
    values = np.array([[t.cls, t.clsb, t.clb, *t.expected] for t in tests])
    assert np.all((values >= 0) & (values <= 1))
    assert np.all(np.diff(values[:, 0]) <= 1e-12)
    assert tests[0].cls == pytest.approx(1, abs=1e-6)
    limit = upper_limit(model, n)
    assert np.all(np.diff(limit.expected) > 0)
    assert exclusion(model, n, limit.observed).cls == pytest.approx(0.05, rel=1e-6)
    for i, expected in enumerate(limit.expected):
        assert exclusion(model, n, expected).expected[i] == pytest.approx(0.05, rel=1e-6)
    scaled = Model(4 * model.signal, model.background, model.covariance)
    assert exclusion(scaled, n, limit.observed / 4).cls == pytest.approx(0.05, rel=1e-6)
    assert exclusion(model, n + np.ceil(model.signal), limit.observed).cls > 0.05


@every_model
def test_splitting_a_bin_changes_nothing(model, n):
    n = np.asarray(n, dtype=float)
    parts = [0.3, 0.7]  # of the first bin, correlated
    T = np.vstack([np.outer(parts, np.eye(len(n))[0]), np.eye(len(n))[1:]])
    split = Model(T @ model.signal, T @ model.background, T @ model.covariance @ T.T)
    assert split.shifts.shape[1] == model.shifts.shape[1]
    assert q0(split, T @ n)[0] == pytest.approx(q0(model, n)[0], rel=1e-7, abs=1e-8)
    one, other = exclusion(split, T @ n, 1.3), exclusion(model, n, 1.3)
    np.testing.assert_allclose(one.expected, other.expected, rtol=1e-6)
    assert (one.q, one.cls) == pytest.approx((other.q, other.cls), rel=1e-6, abs=1e-8)


@every_model
def test_expected_data_give_back_what_was_put_in(model, n):
    theta = np.full((1, model.shifts.shape[1]), 0.1)
    result = fit(model, asimov_data(model, 2.5, theta))
    assert result.deviance[0] == pytest.approx(0, abs=1e-8)
    assert result.mu[0] == pytest.approx(2.5, abs=1e-4)
    np.testing.assert_allclose(result.theta, theta, atol=1e-4)
    np.testing.assert_allclose(model.shifts @ model.shifts.T, model.covariance, atol=1e-9)


def test_counting_experiments_agree():
    for n in (9.0, 11.0, 40.0, 1e6):
        found = 2 * (n * math.log(n / 10) - n + 10) * (n > 10)
        assert q0(Model.independent([4.0], [10.0]), [n]) == pytest.approx(found, rel=1e-9)
    for s, b in ((3.0, 10.0), (100.0, 2e4)):
        model = Model.independent([s], [b])
        assert q0(model, [s + b]) == pytest.approx(asimov(s, b) ** 2, rel=1e-8)
        assert q_mu(model, [b], 1.0) == pytest.approx(asimov_exclusion(s, b) ** 2, rel=1e-8)
        assert discovery(model, [s + b]).z == pytest.approx(asimov(s, b), rel=1e-8)


def test_toys_of_a_known_background_are_exact(rng):
    """Poisson probabilities; without events CLs = exp(-μ s) for any background."""
    model, n_toys = Model.independent([5.0], [3.0]), 20_000
    found = discovery(model, [8.0], n_toys=n_toys, rng=rng)
    p = poisson_p(8, 3.0)
    assert abs(found.p - p) < 4 * math.sqrt(p / n_toys)
    assert found.z == significance(found.p)
    assert (found.n_toys, found.n_failed) == (n_toys, 0)
    assert discovery(model, [2.0], n_toys=100, rng=rng).p == 1
    test = exclusion(model, [0.0], 0.4, n_toys=n_toys, rng=rng)
    assert test.clsb == pytest.approx(math.exp(-5), rel=4 / math.sqrt(n_toys * math.exp(-5)))
    assert test.cls == pytest.approx(math.exp(-2), rel=0.4)
    limit = upper_limit(Model.independent([5.0], [0.5]), [0.0], level=0.8, n_toys=500, rng=rng)
    assert limit.observed == pytest.approx(-math.log(0.2) / 5, rel=0.3)


def test_toys_are_drawn_about_the_background_that_fits_the_data(rng):
    """A control bin says 3 events, not 1, to 0.6 %: enough that a tie counts half, as in mid-p."""
    model = Model(np.array([1.0, 0.0]), np.array([1.0, 1e4]), np.outer([1.0, 1e4], [1.0, 1e4]))
    found = discovery(model, [5.0, 3e4], n_toys=4000, rng=rng)
    assert found.p == pytest.approx(poisson_p(5, 3.0, tail="mid"), abs=0.02)
    test = exclusion(model, [1.0, 3e4], 1.0, n_toys=4000, rng=rng)
    for p, mean in ((test.clsb, 4.0), (test.clb, 3.0)):
        assert p == pytest.approx(1 - poisson_p(1, mean, tail="mid"), abs=0.02)


def test_toys_agree_with_asymptotic_formulae(rng):
    model, n_toys = Model(20 * S, 400 * B, 400 * CORRELATED), 8000
    n = np.round(400 * B + [50, 200, 200])
    found, by_toys = discovery(model, n), discovery(model, n, n_toys=n_toys, rng=rng)
    assert found.q0 == by_toys.q0 > 1
    assert abs(by_toys.p - found.p) < 4 * math.sqrt(found.p / n_toys)
    one, other = exclusion(model, n, 1.4), exclusion(model, n, 1.4, n_toys=n_toys, rng=rng)
    for a, b in ((one.clsb, other.clsb), (one.clb, other.clb)):
        assert abs(a - b) < 4 * math.sqrt(a * (1 - a) / n_toys) + 1 / n_toys
    for a, b, accuracy in zip(one.expected[2:], other.expected[2:], (0.6, 0.3, 0.15), strict=True):
        assert b == pytest.approx(a, rel=accuracy)


def test_asymptotic_p_is_uniform_without_signal(rng):
    model = Model(20 * S, 400 * B, 400 * CORRELATED)
    z = np.sqrt(q0(model, toys(model, 0.0, 20_000, rng=rng)))
    assert np.mean(z == 0) == pytest.approx(0.5, abs=0.02)
    p = p_value(z[z > 0])
    assert kstest(2 * p, "uniform").pvalue > 1e-3


def test_fits_that_fail_are_counted(monkeypatch, rng):
    solve = likelihood._interior_point

    def fails(X, v, *arguments):
        x, v, converged = solve(X, v, *arguments)
        return x, v, converged & (np.arange(len(v)) % 10 != 9)

    monkeypatch.setattr(likelihood, "_interior_point", fails)
    model, n = MODELS["shape"]
    found = discovery(model, n, n_toys=1000, rng=np.random.default_rng(5))
    assert found == discovery(model, n, n_toys=1000, rng=np.random.default_rng(5))
    assert (found.n_toys, found.n_failed) == (900, 100)
    test = exclusion(model, n, 1.0, n_toys=1000, rng=rng)
    assert (test.n_toys, test.n_failed) == (1800, 200)
    assert np.isnan(q0(model, np.tile(n, (10, 1)))).tolist() == [False] * 9 + [True]
    monkeypatch.setattr(
        likelihood, "_interior_point", lambda *a: (*solve(*a)[:2], np.array([False]))
    )
    with pytest.raises(RuntimeError, match="has not converged"):
        discovery(model, n)


GOOD = MODELS["shape"][0]
BAD = {
    "shapes": (lambda: Model(S, B[:2], CORRELATED), r"expected shapes \(K,\), \(K,\) and \(K, K\)"),
    "signal": (
        lambda: Model.independent([0.0, 0.0], [1, 1]),
        "expected signal >= 0 with a bin > 0",
    ),
    "background": (lambda: Model.independent([1.0], [0.0]), r"expected background > 0; got \[0"),
    "nan": (lambda: Model.independent([1.0], [math.nan]), "expected background > 0"),
    "uncertainty": (lambda: Model.independent([1.0], [1.0], -1), "expected uncertainty >= 0"),
    "asymmetric": (lambda: Model(S, B, np.triu(CORRELATED)), "expected a finite symmetric"),
    "indefinite": (lambda: Model(S, B, CORRELATED - 60 * np.eye(3)), "with eigenvalues >= 0"),
    "bins": (lambda: q0(GOOD, [1.0, 2.0]), r"expected counts \(T, 3\)"),
    "counts": (lambda: q0(GOOD, [1.0, -2.0, 3]), "expected finite counts >= 0; got -2.0"),
    "strength": (lambda: fit(GOOD, N, -0.5), "expected finite mu >= 0"),
    "several": (lambda: discovery(GOOD, [N, N]), "expected one data set; got 2"),
    "rng": (lambda: discovery(GOOD, N, n_toys=5), "expected a random generator"),
    "kind": (lambda: exclusion(GOOD, N, 1.0, kind="tilde"), r"\('q', 'q~'\); got 'tilde'"),
    "level": (lambda: upper_limit(GOOD, N, level=95), r"expected a level in \(0, 1\); got 95"),
    "few": (lambda: upper_limit(GOOD, N, n_toys=100), "expected at least 1000 toys; got 100"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_rejects(call, message):
    with pytest.raises(ValueError, match=message):
        call()
