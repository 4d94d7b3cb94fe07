"""p-values that are too small, too large or right, and what calibration makes of them."""

import numpy as np
import pytest
from scipy.stats import norm

from fivesigma.calibration import calibrate, crossed, uniformity


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def nulls(rng, n=2000, mean=0.0, width=1.0):
    return norm.sf(rng.normal(mean, width, n))


CASES = {"right": (0.0, 1.0), "too small": (1.0, 1.5), "too large": (-0.5, 0.7)}


@pytest.mark.parametrize(("mean", "width"), CASES.values(), ids=CASES.keys())
def test_calibrated_p_values_are_right(mean, width, rng):
    """Whatever those are that they are made of; here where data sets without a signal reach."""
    null = nulls(rng, 20_000, mean, width)
    for z in (0.0, 1.0, 2.0):
        found = calibrate(float(norm.sf(mean + width * z)), null)
        assert found.origin == "empirical"
        assert found.z == pytest.approx(z, abs=0.06)


@pytest.mark.parametrize(("mean", "width"), CASES.values(), ids=CASES.keys())
def test_crossed_p_values_are_uniform(mean, width, rng):
    p = crossed(nulls(rng, 400, mean, width))
    assert len(p) == 400
    assert uniformity(p).p > 0.01


def test_extrapolation_by_hand():
    """Mean 1 and standard deviation 2: 9 standard deviations are 4; never more than there were."""
    z = np.tile([-1.0, 3.0], 500)
    found = calibrate(float(norm.sf(9)), norm.sf(z))
    assert (found.origin, found.n_null) == ("extrapolated", 1000)
    assert found.z == pytest.approx((9 - 1) / z.std(ddof=1))
    narrow = calibrate(float(norm.sf(6)), norm.sf(z / 4 - 2))
    assert narrow.z == pytest.approx(6)


def test_a_long_tail_is_counted(rng):
    """Four of 200 data sets as far, where a normal distribution of the others promises more."""
    null = np.concatenate([nulls(rng, 196), norm.sf([3.6, 3.7, 3.8, 3.9])])
    found = calibrate(float(norm.sf(3.55)), null)
    assert (found.origin, found.p) == ("empirical", pytest.approx(5 / 201))
    beyond = calibrate(float(norm.sf(6)), null)
    assert beyond.origin == "extrapolated"
    assert beyond.z < 6


def test_p_is_never_zero(rng):
    found = calibrate(0.0, nulls(rng))
    assert 0 < found.p < 1e-9 or found.z > 6
    five = np.concatenate([np.full(5, 1e-9), np.full(95, 0.5)])
    assert calibrate(1e-9, five).p == pytest.approx(6 / 101)


def test_uniformity(rng):
    assert uniformity(rng.uniform(size=500)).p > 0.01
    assert uniformity(rng.uniform(size=500) ** 2).p < 1e-6
    assert uniformity([0.5, norm.sf(3)]).z_max == pytest.approx(3)


BAD = {
    "few": (lambda: calibrate(0.5, np.full(19, 0.5)), "expected 20 data sets .*; got 19"),
    "beyond 1": (lambda: calibrate(1.5, np.full(20, 0.5)), r"within \[0, 1\]; got 1.5"),
    "NaN": (lambda: calibrate(0.5, np.full(20, np.nan)), r"within \[0, 1\]"),
    "none": (lambda: uniformity([]), "expected p-values; got none"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
