"""Estimates of the background of toys whose background is known."""

import math

import numpy as np
import pytest

from fivesigma.background import (
    Estimate,
    Spectrum,
    closure,
    closures,
    from_spectrum,
    from_template,
    interpolated,
)

SIDEBANDS = ((4400.0, 4700.0), (5500.0, 5800.0))
REGION = (4700.0, 5500.0)
SPECTRUM = Spectrum(SIDEBANDS, REGION, sqrt_s=13_000.0)
SLOPES = {"flat": 0.0, "rising": 0.8, "falling": -1.5}


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def masses(n, rng, scale=420.0):
    """A falling spectrum between 4400 and 5800 GeV."""
    low, high = (math.exp(-m / scale) for m in (0, 1400))
    return 4400 - scale * np.log(low + rng.random(n) * (high - low))


def within(m, window):
    return (m >= window[0]) & (m < window[1])


@pytest.mark.parametrize("slope", SLOPES.values(), ids=SLOPES.keys())
@pytest.mark.parametrize("eps", [0.1, 0.02])
def test_interpolation_is_right_within_its_error(slope, eps, rng):
    pulls = []
    for _ in range(200):
        m = masses(3900, rng)
        inside = within(m, REGION)
        p = 1 / (1 + np.exp(-(math.log(eps / (1 - eps)) + slope * (m - 5000) / 700)))
        found = interpolated(m, rng.random(len(m)) < p, inside)
        pulls.append((found.value - p[inside].sum()) / found.error)
    assert abs(np.mean(pulls)) < 0.5  # the prior pulls steep slopes of few events
    assert np.std(pulls) == pytest.approx(1, abs=0.15)


def test_a_curve_needs_its_degree(rng):
    m = masses(60_000, rng)
    inside = within(m, REGION)
    p = 1 / (1 + np.exp(2 + 2 * ((m - 5100) / 700) ** 2))
    passed, true = rng.random(len(m)) < p, p[inside].sum()
    line, curve = (interpolated(m, passed, inside, degree=d) for d in (1, 2))
    assert abs(line.value - true) > 5 * line.error
    assert abs(curve.value - true) < 3 * curve.error
    assert curve.error > line.error


def test_constant_efficiency_by_hand():
    """Degree 0: the share of the sidebands that passes, with half an event on either side."""
    m = np.linspace(4400, 5800, 1401)[:-1]
    inside = within(m, REGION)
    passed = np.arange(len(m)) % 10 == 0
    k, n, N = passed[~inside].sum(), (~inside).sum(), inside.sum()
    eps = (k + 0.5) / (n + 1)
    found = interpolated(m, passed, inside, degree=0)
    assert found.value == pytest.approx(N * eps)
    assert found.error == pytest.approx(N * math.sqrt(eps * (1 - eps) / (n + 1)))


def test_nothing_passes(rng):
    m = masses(2000, rng)
    found = interpolated(m, np.zeros(2000, bool), within(m, REGION))
    assert 0 < found.value < found.error < 3


@pytest.mark.parametrize("scale", [420.0, 800.0])
@pytest.mark.parametrize("n", [3000, 300, 150])
def test_pulls_of_a_falling_spectrum(n, scale, rng):
    """Mean 0 and width 1 within four times their errors, where three events or more pass."""
    pulls = []
    for _ in range(400):
        m = masses(rng.poisson(n), rng, scale)
        if min(within(m, window).sum() for window in SIDEBANDS) >= 3:
            found = from_spectrum(m, SPECTRUM)
            observed = within(m, REGION).sum()
            pulls.append((observed - found.value) / math.hypot(found.value**0.5, found.error))
    assert len(pulls) > 350
    assert abs(np.mean(pulls)) < 4 / len(pulls) ** 0.5
    assert abs(np.std(pulls) - 1) < 4 / (2 * len(pulls)) ** 0.5


def test_spectrum_is_right_within_its_error(rng):
    pulls = []
    for _ in range(150):
        m = masses(rng.poisson(3000), rng)
        low, up = (math.exp(-(e - 4400) / 420) for e in REGION)
        true = 3000 * (low - up) / (1 - math.exp(-1400 / 420))
        found = from_spectrum(m, SPECTRUM)
        pulls.append((found.value - true) / found.error)
    assert abs(np.mean(pulls)) < 0.35
    assert np.std(pulls) == pytest.approx(1, abs=0.2)


def test_a_spectrum_of_the_function_itself():
    """Counts that follow it exactly are extended exactly; the mean is above by the error."""
    x = np.linspace(4400, 5800, 56_001) / 13_000
    f = (1 - x) ** 8 / x**5
    steps = np.interp(np.linspace(0, f.sum(), 4_000_001)[:-1], np.cumsum(f), x * 13_000)
    found = from_spectrum(steps, SPECTRUM)
    assert found.value == pytest.approx(within(steps, REGION).sum(), rel=1e-3)


@pytest.mark.parametrize(("low", "up"), [(3, 3), (40, 3)])
def test_few_events_make_a_wide_spectrum(low, up, rng):
    m = np.concatenate([rng.uniform(*w, n) for w, n in zip(SIDEBANDS, (low, up), strict=True)])
    found = from_spectrum(m, SPECTRUM)
    assert 0 < found.value < 3 * found.error


def test_template_by_hand():
    """Of 200 simulated events 20 pass the cut of a fold and 10 that of another."""
    passed = np.arange(200) < np.array([[20], [10]])
    found = from_template(740, passed, ~passed)
    assert found.value == pytest.approx(740 * 15 / 185)
    assert found.error == pytest.approx(60 * (1 / 740 + 1 / 15 + 1 / 185) ** 0.5)
    none = from_template(1000, np.zeros((1, 200), bool), np.ones((1, 200), bool))
    assert none.value == pytest.approx(1000 * 0.5 / 200)
    assert none.error == pytest.approx(2.5 * (1 / 1000 + 1 / 0.5 + 1 / 200) ** 0.5)
    assert from_template(0, passed, ~passed) == Estimate(0.0, 0.0)


@pytest.mark.parametrize("eps", [0.5, 0.1, 0.01])
def test_pulls_of_a_template(eps, rng):
    """Counts of 4000 events on average, one score in all folds, cuts of 4000 simulated events."""
    pulls = []
    for _ in range(2000):
        n_pass, n_fail = rng.poisson([4000 * eps, 4000 * (1 - eps)])
        passed = np.tile(rng.random(4000) < eps, (2, 1))
        B = from_template(n_fail, passed, ~passed)
        pulls.append((n_pass - B.value) / (B.value + B.error**2) ** 0.5)
    assert abs(np.mean(pulls)) < 0.1
    assert np.std(pulls) == pytest.approx(1, abs=0.07)


def test_closure_is_what_statistics_leave(rng):
    """10 % beyond Poisson counts on a background known to 5 %."""
    B, delta = 400.0, 0.1
    estimates = [Estimate(b, 20.0) for b in rng.normal(B, 20, 4000)]
    n = rng.poisson(B * rng.normal(1, delta, 4000))
    assert closure(n, estimates) == pytest.approx(delta, rel=0.15)
    exact = closure(rng.poisson(B, 4000), [Estimate(B, 0.0)] * 4000)
    assert exact < 0.02


def test_closures_of_correlated_errors(rng):
    """10 and 20 % beyond statistics, half of their variance in common."""
    B, T = np.array([400.0, 300.0]), 20_000
    Delta = np.array([[0.01, 0.01], [0.01, 0.04]])
    shift = 1 + rng.multivariate_normal([0, 0], Delta, T)
    n = rng.poisson(B * np.maximum(shift, 0)).astype(float)
    found = closures([(n[:, j], [Estimate(B[j], 0.0)] * T) for j in range(2)])
    np.testing.assert_allclose(found, Delta, atol=0.002)
    fair = rng.poisson(B, (T, 2)).astype(float)
    none = closures([(fair[:, j], [Estimate(B[j], 0.0)] * T) for j in range(2)])
    assert np.linalg.eigvalsh(none).min() > -1e-12
    assert np.abs(none).max() < 3e-4


M = np.linspace(4400, 5800, 100)
BAD = {
    "no sideband": (lambda: interpolated(M, M > 5000, M > 0), "got 100 and 0"),
    "no signal region": (lambda: interpolated(M, M > 5000, M < 0), "got 0 and 100"),
    "few events": (
        lambda: from_spectrum(np.array([4500.0, 5600.0, 5700.0, 5750.0]), SPECTRUM),
        "expected 3 events or more in each sideband; got 1 and 3",
    ),
    "vague": (
        lambda: from_spectrum(np.repeat([4410.0, 5790.0], 3), SPECTRUM),
        "expected ln B known to 2 or better; got",
    ),
    "no background": (lambda: closure(np.ones(1), [Estimate(0.0, 1.0)]), "background above 0"),
    "no data sets": (lambda: closure(np.ones(0), []), "background above 0"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
