"""p-values of counts against exact sums, published numbers, and the equations."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import special, stats

from fivesigma.counting import (
    asimov_exclusion,
    li_ma,
    observed_discovery,
    observed_exclusion,
    on_off,
    p_value,
    poisson_deviance,
    poisson_p,
    significance,
)
from fivesigma.statistics import asimov

# Test cases of Cousins, Linnemann, Tucker: n_on, n_off, tau, Z of the binomial test, Z of Li, Ma.
PUBLISHED = [
    (4, 5, 5.0, 1.66, 1.95),
    (9, 17.83, 4.69, 1.82, 1.99),
    (17, 40.11, 10.56, 4.46, 4.57),
    (50, 55, 2.0, 2.93, 3.02),
    (67, 15, 0.5, 2.89, 3.04),
    (200, 10, 0.1, 2.20, 2.38),
    (523, 2327, 5.99, 5.93, 5.95),
    (498426, 493434, 1.0, 5.01, 5.01),
    (2119449, 23650096, 11.21, 6.40, 6.41),
]
ESTIMATES = {  # background, its standard deviation
    "known": (7.3, 0.0),
    "good": (120.0, 4.0),
    "poor": (3.0, 2.5),
    "hopeless": (0.5, 9.0),
    "many": (1e7, 3e3),
    "nothing": (0.0, 0.0),
    "nothing known": (0.0, 2.0),
}
every_estimate = pytest.mark.parametrize(("b", "sigma_b"), ESTIMATES.values(), ids=ESTIMATES.keys())


@pytest.mark.parametrize(("n_on", "n_off", "tau", "binomial", "likelihood"), PUBLISHED)
def test_published_significances(n_on, n_off, tau, binomial, likelihood):
    assert significance(on_off(n_on, n_off, tau)) == pytest.approx(binomial, abs=0.0051)
    assert li_ma(n_on, n_off, tau) == pytest.approx(likelihood, abs=0.0061)


@pytest.mark.parametrize("tau", [Fraction(1, 4), Fraction(1), Fraction(7, 2)])
@pytest.mark.parametrize("n_off", [0, 3, 40])
def test_on_off_is_a_binomial_tail(tau, n_off):
    """And a negative binomial one, both summed in fractions."""
    x = 1 / (1 + tau)
    for n_on in (0, 1, 5, 60):
        total = n_on + n_off
        terms = [math.comb(total, k) * x**k * (1 - x) ** (total - k) for k in range(total + 1)]
        whole = sum(terms[n_on:])
        # N counts the events on before the (n_off + 1)-th event off.
        equal = math.comb(total, n_on) * x**n_on * (1 - x) ** (n_off + 1)
        before = [math.comb(k + n_off, k) * x**k * (1 - x) ** (n_off + 1) for k in range(n_on)]
        assert whole == 1 - sum(before)
        assert on_off(n_on, n_off, float(tau)) == pytest.approx(float(whole), rel=1e-12)
        mid = on_off(n_on, n_off, float(tau), tail="mid")
        assert mid == pytest.approx(float(whole - equal / 2), rel=1e-12)


@every_estimate
def test_is_on_off_of_an_equivalent_count(b, sigma_b):
    if b > 0 and sigma_b > 0:
        n = np.array([0, 1, 3, 10, 200, 10_010_000])
        equivalent = on_off(n, b**2 / sigma_b**2, b / sigma_b**2)
        np.testing.assert_allclose(poisson_p(n, b, sigma_b), equivalent, rtol=1e-9)


@pytest.mark.parametrize(("b", "sigma_b"), [(3.0, 2.5), (120.0, 4.0), (0.5, 9.0)])
def test_averages_poisson_over_a_gamma_density(b, sigma_b):
    m, tau = b**2 / sigma_b**2, b / sigma_b**2
    density = stats.gamma(m + 1, scale=1 / tau)
    beta = density.ppf((np.arange(100_000) + 0.5) / 100_000)
    for n in (0, 1, 4, 130):
        average = np.mean(stats.poisson.sf(n - 1, beta))
        assert poisson_p(n, b, sigma_b) == pytest.approx(average, rel=1e-4)


@pytest.mark.parametrize("b", [1e-9, 0.02, 0.9, 7.3, 120.0, 3e4])
def test_known_background_is_exactly_poisson(b):
    n = np.unique(np.round(b + np.array([-3, 0, 1, 2, 5]) * math.sqrt(b) + [0, 1, 2, 4, 9]))
    above = np.arange(max(n[0], 0), b + 40 * math.sqrt(b) + 40)
    terms = np.exp(above * math.log(b) - b - special.gammaln(above + 1))
    exact = [math.fsum(terms[above >= k]) for k in n[n >= 0]]
    np.testing.assert_allclose(poisson_p(n[n >= 0], b), exact, rtol=1e-9)
    assert poisson_p(0, b) == 1
    assert poisson_p(1, b) == pytest.approx(-math.expm1(-b), rel=1e-13)


def test_poisson_tail_far_out():
    """P(N >= n) = pmf(n) [1 + b/(n+1) + b²/((n+1)(n+2)) + ...], in logarithms."""
    for n, b in ((24, 3.0), (1_005_000, 1e6), (10_015_811, 1e7), (300, 1e-3), (12_000_000, 1e7)):
        factors = np.cumprod(b / (n + np.arange(1.0, 200_000)))
        log_p = n * math.log(b) - b - math.lgamma(n + 1) + math.log1p(math.fsum(factors))
        assert poisson_p(n, b, scale="log") == pytest.approx(log_p, rel=1e-8)
        if log_p > -600:
            assert poisson_p(n, b) == pytest.approx(math.exp(log_p), rel=1e-7)


@every_estimate
@pytest.mark.parametrize("tail", ["whole", "mid"])
def test_properties(b, sigma_b, tail):
    n = np.concatenate([np.arange(60), np.round(b + math.sqrt(b + 1) * np.arange(60.0))])
    n = np.unique(n)
    p = poisson_p(n, b, sigma_b, tail=tail)
    log_p = poisson_p(n, b, sigma_b, tail=tail, scale="log")
    assert np.all((p >= 0) & (p <= 1) & (log_p <= 0))
    assert np.all(np.diff(p) <= 0)
    seen = p > 1e-290
    np.testing.assert_allclose(log_p[seen], np.log(p[seen]), rtol=1e-9, atol=1e-15)
    z = significance(log_p, scale="log")
    assert np.all(z[1:] >= z[:-1])
    larger = poisson_p(n[n > b + sigma_b], b, 1.5 * sigma_b + 0.1 * b, tail=tail)
    assert np.all(larger >= p[n > b + sigma_b] * (1 - 1e-12))


@pytest.mark.parametrize(("b", "sigma_b"), [(3.0, 2.5), (7.3, 0.0), (120.0, 4.0)])
def test_calibration_is_exact(b, sigma_b):
    """Over counts from the density itself mid-p has mean 1/2, and whole p is never too small."""
    n = np.arange(3000)
    whole = poisson_p(n, b, sigma_b)
    probability = whole - poisson_p(n + 1, b, sigma_b)
    assert np.sum(probability * poisson_p(n, b, sigma_b, tail="mid")) == pytest.approx(0.5)
    for alpha in (0.3, 0.05, 1e-3):
        assert np.sum(probability[whole <= alpha]) <= alpha


def test_closure_adds_in_quadrature():
    n, b = np.arange(40), 12.0
    np.testing.assert_array_equal(poisson_p(n, b, 4.0, closure=0.25), poisson_p(n, b, 5.0))


def test_edges():
    assert [on_off(n, 0, 0.0) for n in (0, 1, 50)] == [1, 1, 1]
    assert [poisson_p(n, 0.0) for n in (0, 1, 50)] == [1, 0, 0]
    assert poisson_p(0, 0.0, tail="mid") == 0.5
    assert [poisson_p(n, 0.0, 3.0) for n in (0, 1, 50)] == [1, 1, 1]
    assert poisson_p(5, 0.0, scale="log") == -math.inf
    assert (li_ma(0, 0, 1.0), li_ma(7, 0, 0.0), li_ma(0, 0, 0.0)) == (0, 0, 0)
    assert (observed_discovery(2, 0.0), observed_discovery(0, 5.0)) == (math.inf, 0)
    assert asimov_exclusion(8.0, 0.0) == asimov_exclusion(8.0, 0.0, 2.0) == 4
    assert isinstance(poisson_p(3, 1.0, 0.5), float)
    assert poisson_p(np.ones((4, 1)), 1.0, np.ones(3)).shape == (4, 3)


def test_significance_is_precise():
    z = np.array([-37.0, -8.0, -1.0, 0.0, 1e-9, 1.0, 5.0, 8.2, 30.0, 37.0])
    np.testing.assert_allclose(significance(p_value(z[2:])), z[2:], rtol=1e-13, atol=1e-15)
    log_p = p_value(z, scale="log")
    np.testing.assert_allclose(significance(log_p, scale="log"), z, rtol=1e-13, atol=1e-15)
    assert significance(2.866515718791939e-07) == pytest.approx(5, rel=1e-12)
    # erfc(x) ~ exp(-x²) / (x sqrt(pi)) (1 - 1/2x² + 3/4x⁴ - ...), 1e-300 at 37.047.
    z = significance(1e-300)
    series = 1 - z**-2 + 3 * z**-4 - 15 * z**-6
    assert math.log(series / z) - z**2 / 2 - math.log(2 * math.pi) / 2 == pytest.approx(
        -300 * math.log(10), abs=1e-9
    )
    assert significance(np.array([0.0, 0.5, 1.0])).tolist() == [math.inf, 0, -math.inf]
    assert significance(-1e9, scale="log") == pytest.approx(math.sqrt(2e9), rel=1e-7)


@pytest.mark.parametrize("n_on", [10_000_000, 30_000, 40])
def test_likelihood_and_exact_agree_for_large_counts(n_on):
    for tau in (0.5, 3.0):
        n_off = tau * (n_on - 3.0 * math.sqrt(n_on * (1 + 1 / tau)))
        exact = significance(on_off(n_on, n_off, tau, tail="mid"))
        shift = 1 / tau / math.sqrt(n_on * (1 + 1 / tau))  # m + 1 instead of m events off
        assert li_ma(n_on, n_off, tau) == pytest.approx(exact, abs=1.2 * shift)
        assert li_ma(0.9 * n_off / tau, n_off, tau) < 0 < li_ma(n_on, n_off, tau)


def test_deviance_loses_no_digits():
    n = 1e7
    for d in (1e-3, 1.0, 1e3):
        expansion = d**2 / n * (1 + 2 * d / (3 * n) + d**2 / (2 * n**2))
        assert poisson_deviance(n, n - d) == pytest.approx(expansion, rel=1e-9 + (d / n) ** 2)
    m = np.array([0.1, 3.0, 5.9, 6.1, 40.0])
    np.testing.assert_allclose(poisson_deviance(6, m), 2 * (6 * np.log(6 / m) - 6 + m), rtol=1e-12)
    assert poisson_deviance([0, 0, 2], [3.0, 0.0, 0.0]).tolist() == [6, 0, math.inf]


def test_observed_significances_without_uncertainty():
    N, S, B = np.array([20.0, 25.0, 29.0]), 9.0, 21.0
    exclusion = np.sqrt(2 * (S + B - N) - 2 * N * np.log((S + B) / N))
    np.testing.assert_allclose(observed_exclusion(N, S, B), exclusion, rtol=1e-12)
    N = np.array([22.0, 30.0, 60.0])
    found = np.sqrt(2 * N * np.log(N / B) + 2 * B - 2 * N)
    np.testing.assert_allclose(observed_discovery(N, B), found, rtol=1e-12)
    assert (observed_exclusion(31, S, B), observed_discovery(20, B)) == (0, 0)


def test_median_significances():
    S, B = np.meshgrid([0.3, 4.0, 60.0], [2.0, 50.0, 3000.0])
    median = np.sqrt(2 * S - 2 * B * np.log((S + B) / B))
    np.testing.assert_allclose(asimov_exclusion(S, B), median, rtol=1e-8)
    for sigma_b in (0.0, 1.5, 40.0):
        found = observed_discovery(S + B, B, sigma_b)
        np.testing.assert_allclose(found, asimov(S, B, sigma_b), rtol=1e-9)
    tiny = asimov_exclusion(1e-2, 1e8, 1e6)
    assert tiny == pytest.approx(1e-2 / math.hypot(1e4, 1e6), rel=1e-9)


@pytest.mark.parametrize("sigma_b", [0.5, 3.0, 30.0])
@pytest.mark.parametrize("n", [0, 4, 11, 17])
def test_exclusion_with_uncertainty_is_the_profile_likelihood(n, sigma_b):
    """A plain scan of the background: Poisson counts n and B² / sigma², tau = B / sigma²."""
    S, B = 9.0, 11.0
    m, tau = B**2 / sigma_b**2, B / sigma_b**2
    b = np.geomspace(1e-6, 200, 200_001)
    q = np.min(poisson_deviance(n, S + b) + poisson_deviance(m, tau * b))
    assert observed_exclusion(n, S, B, sigma_b) ** 2 == pytest.approx(q, rel=1e-5, abs=1e-5)


BAD = {
    "negative": (lambda: on_off(-1, 2, 1.0), "expected whole n_on >= 0; got -1.0"),
    "fraction": (lambda: poisson_p([1, 2.5], 2), "expected whole n >= 0; got 2.5"),
    "nan": (lambda: poisson_p([1, math.nan], 2), "expected whole n >= 0; got nan"),
    "nan background": (lambda: poisson_p(1, [math.nan, 3]), "expected finite b >= 0; got nan"),
    "infinite": (lambda: on_off(1, math.inf, 1.0), "expected finite n_off >= 0; got inf"),
    "tau": (lambda: li_ma(1, 1, -0.5), "expected finite tau >= 0; got -0.5"),
    "closure": (lambda: poisson_p(1, 1, closure=-0.1), "expected finite closure >= 0; got -0.1"),
    "signal": (lambda: asimov_exclusion(math.nan, 1), "expected finite n_s >= 0; got nan"),
    "p": (lambda: significance([0.2, 1.5]), r"expected p from 0 to 1 \(linear\); got 1.5"),
    "ln p": (lambda: significance(0.1, scale="log"), r"from -inf to 0 \(log\); got 0.1"),
    "nan p": (lambda: significance(math.nan), "expected p from 0 to 1"),
    "z": (lambda: p_value(math.nan), "expected z without NaN; got nan"),
    "tail": (lambda: on_off(1, 1, 1.0, tail="half"), r"\('whole', 'mid'\); got 'half'"),
    "scale": (lambda: p_value(1.0, scale="ln"), r"\('linear', 'log'\); got 'ln'"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_rejects(call, message):
    with pytest.raises(ValueError, match=message):
        call()
