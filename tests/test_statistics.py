import math

import numpy as np
import pytest

from fivesigma.statistics import asimov, components, significance_after


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_published_significances():
    """The authors' note behind arXiv 2412.00198: B = 18 922; printed to two decimals."""
    B = 18_922
    s = np.array([1, 2, 3, 4, 5, 7, 10])
    published = [1.00, 2.00, 2.99, 3.98, 4.97, 6.94, 9.88]
    np.testing.assert_allclose(asimov(s * math.sqrt(B), B), published, atol=0.0051)


def test_matches_the_equation():
    S, B = np.meshgrid(np.geomspace(1, 1e4, 9), np.geomspace(1, 1e3, 7))
    direct = np.sqrt(2 * ((S + B) * np.log(1 + S / B) - S))
    np.testing.assert_allclose(asimov(S, B), direct, rtol=1e-9)


def test_matches_the_equation_with_background_uncertainty():
    S, B, v = np.meshgrid([3.0, 30.0, 300.0], [10.0, 100.0], np.array([1.0, 5.0, 50.0]) ** 2)
    first = (S + B) * np.log((S + B) * (B + v) / (B**2 + (S + B) * v))
    second = B**2 / v * np.log(1 + v * S / (B * (B + v)))
    np.testing.assert_allclose(asimov(S, B, np.sqrt(v)), np.sqrt(2 * (first - second)), rtol=1e-9)


@pytest.mark.parametrize("ratio", [1e-8, 1e-6, 1e-4, 5e-3, 9.999e-3, 1.0001e-2])
def test_small_signals_lose_no_digits(ratio):
    B = 1e6
    expansion = ratio * math.sqrt(B) * (1 - ratio / 6 + 5 * ratio**2 / 72)
    assert asimov(ratio * B, B) == pytest.approx(expansion, rel=ratio**3 + 1e-14)
    with_error = ratio * B / math.sqrt(B + 500.0**2)
    assert asimov(ratio * B, B, 500.0) == pytest.approx(with_error, rel=ratio + 1e-13)


def test_series_joins_the_logarithm():
    below, above = asimov(0.01 * 1e6, 1e6), asimov(np.nextafter(0.01, 1) * 1e6, 1e6)
    assert below == pytest.approx(above, rel=1e-13)


def test_background_uncertainty_vanishes_smoothly():
    Z = asimov(50.0, 100.0)
    differences = [Z - asimov(50.0, 100.0, sigma) for sigma in (1e-3, 1e-2, 1e-1, 1.0)]
    assert asimov(50.0, 100.0, 0.0) == Z
    assert np.all(np.diff(differences) > 0)
    assert 0 < differences[0] < 1e-6 * Z
    assert differences[1] / differences[0] == pytest.approx(100, rel=1e-3)


def test_no_signal_is_no_significance():
    assert asimov(0.0, 10.0) == 0
    assert asimov(0.0, 10.0, 3.0) == 0


def test_scalars_give_floats_and_arrays_broadcast():
    assert isinstance(asimov(3, 10), float)
    assert asimov(np.ones((4, 1)), np.ones(3)).shape == (4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 10.0), "expected finite n_s >= 0; got -1.0"),
        ((1.0, 0.0), "expected finite n_b > 0; got 0.0"),
        ((1.0, 10.0, -2.0), "expected finite sigma_b >= 0; got -2.0"),
        ((np.array([1.0, np.nan]), 10.0), "expected finite n_s >= 0; got nan"),
        ((1.0, math.inf), "expected finite n_b > 0; got inf"),
    ],
)
def test_asimov_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        asimov(*arguments)


def test_significance_after_a_cut():
    assert significance_after(138, 18_922, eps_s=1.0, eps_b=1.0) == asimov(138, 18_922)
    assert significance_after(138, 18_922, eps_s=0.5, eps_b=0.01) == asimov(69.0, 189.22)
    eps = np.array([0.1, 0.01, 0.001])
    after = significance_after(1.0, 1e6, eps_s=eps, eps_b=eps)
    np.testing.assert_allclose(after, np.sqrt(eps) * 1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="n_b > 0"):
        significance_after(138, 18_922, eps_s=0.5, eps_b=0.0)


def test_components_of_drawn_data_sets(rng):
    """2000 data sets of spread 3, five measurements of spread 2 on each."""
    x = rng.normal(1, 3, (2000, 1)) + rng.normal(0, 2, (2000, 5))
    found = components(x)
    assert found.mean == pytest.approx(1, abs=4 * 3.2 / 2000**0.5)
    assert found.between == pytest.approx(3, rel=0.07)
    assert found.within == pytest.approx(2, rel=0.05)


def test_components_by_hand():
    found = components([[1.0, 3.0], [5.0, 7.0, 6.0]])
    assert found.mean == 4
    assert found.within == pytest.approx(1.5**0.5)
    assert found.between == pytest.approx((8 - 1.5 * (1 / 2 + 1 / 3) / 2) ** 0.5)
    assert components([[0.0, 2.0], [1.0, 1.0]]).between == 0


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [[1.0, 2.0], [3.0]]])
def test_components_need_repetition(values):
    with pytest.raises(ValueError, match="expected two data sets with two measurements"):
        components(values)
