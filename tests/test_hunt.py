"""The smallest of many p-values: independent windows, Gaussian processes, and another program."""

import numpy as np
import pytest
from pyBumpHunter import BumpHunter1D
from scipy.ndimage import gaussian_filter1d
from scipy.stats import kstest, norm

from fivesigma.counting import poisson_p
from fivesigma.hunt import global_p, upcrossings


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# Data sets without a signal


@pytest.mark.parametrize("shape", [(1,), (8,), (8, 3)])
def test_independent_windows(shape, rng):
    """Of W uniform p-values the smallest is below p with 1 - (1 - p)^W."""
    W, T = np.prod(shape), 40_000
    null = rng.random((T, *shape))
    for p in (0.2, 0.02, 0.002):
        data = rng.uniform(p, 1, shape)
        best = tuple(int(rng.integers(n)) for n in shape)
        data[best] = p
        found, expected = global_p(data, null), 1 - (1 - p) ** W
        assert found.p == pytest.approx(expected, abs=5 * np.sqrt(expected / T))
        assert found.z == pytest.approx(norm.isf(found.p))
        assert (found.best, found.origin, found.n_null) == (best, "empirical", T)


def test_windows_that_are_the_same_are_no_trials(rng):
    null = np.repeat(rng.random((20_000, 1)), 10, axis=1)
    assert global_p(np.full(10, 0.05), null).p == pytest.approx(0.05, abs=0.008)


def scans(rng, T, *, W=200, length=5.0):
    """Gaussian processes of unit variance with rho = exp(-x^2 / 2 l^2), a window a step of 1."""
    noise = rng.normal(size=(T, W + 200))
    smooth = gaussian_filter1d(noise, length / np.sqrt(2), axis=1, mode="wrap")[:, 100:-100]
    return smooth / smooth.std()


def test_scans_without_a_signal_are_uniform(rng):
    """Whatever the p-values are that windows give; and not, if those are of other searches."""
    p = norm.sf(1.5 * scans(rng, 2400, W=40) + 0.3)
    null, tests = p[:2000], p[2000:]
    assert kstest([global_p(one, null).p for one in tests], "uniform").pvalue > 0.01
    assert kstest([global_p(one**2, null).p for one in tests], "uniform").pvalue < 1e-6


def test_a_bound_is_told(rng):
    null = rng.uniform(0.01, 1, (99, 4))
    found = global_p([0.5, 1e-9, 0.5, 0.5], null)
    assert (found.p, found.origin, found.best) == (0.01, "bound", (1,))
    null[:5, 2] = 1e-10
    found = global_p([0.5, 1e-9, 0.5, 0.5], null)
    assert (found.p, found.origin) == (0.06, "empirical")


# Up-crossings


def test_up_crossings_of_a_gaussian_process(rng):
    """Rice: exp(-z^2 / 2) / (2 pi l) for each unit of length, here also far above the level."""
    W, length = 200, 6.0
    null = norm.sf(scans(rng, 2000, W=W, length=length))
    for level in (0.5, 1.0):
        data = np.full(W, 0.5)
        data[77] = norm.sf(3.0)
        found = upcrossings(data, null, level=level)
        rice = (W - 1) * np.exp(-(level**2) / 2) / (2 * np.pi * length)
        assert found.mean == pytest.approx(rice, rel=0.04)
        limit = norm.sf(3.0) + rice * np.exp(-(9 - level**2) / 2)
        assert found.p == pytest.approx(limit, rel=0.04)
        assert found.obstacle == ""


def test_up_crossings_by_hand():
    """Half of 20 scans cross the level twice upwards, half never: a variance of 20 / 19."""
    up, down, level = 0.2, 0.4, norm.isf(0.3)
    null = np.array([[down, up, up, down, up], [up, down, down, down, down]] * 10)
    found = upcrossings([0.5, 0.001, 0.5, 0.5, 0.5], null, level=level)
    assert (found.mean, found.error) == (1.0, pytest.approx(19**-0.5))
    assert found.level == level


def test_up_crossings_against_data_sets(rng):
    """Both ways give the same global p-value; the limit is the larger one, not by much."""
    W = 60
    null = norm.sf(scans(rng, 40_000, W=W, length=6.0))
    for z in (2.5, 3.0, 3.5):
        data = np.full(W, 0.5)
        data[20] = norm.sf(z)
        counted, limit = global_p(data, null), upcrossings(data, null[:500])
        assert counted.origin == "empirical"
        error = np.sqrt(counted.p / 40_000)
        assert counted.p - 3 * error < limit.p < 1.25 * counted.p + 3 * error


def test_few_windows_make_the_limit_larger(rng):
    """Independent ones, the opposite of a continuous scan."""
    null = rng.random((2000, 10))
    for z in (2.0, 3.0, 4.0):
        data = np.full(10, 0.5)
        data[4] = norm.sf(z)
        exact = -np.expm1(10 * np.log1p(-norm.sf(z)))
        found = upcrossings(data, null)
        assert found.mean == pytest.approx(9 * norm.cdf(0.5) * norm.sf(0.5), rel=0.06)
        assert exact < found.p < 5 * exact


def peak(z, W=40):
    data = np.full(W, 0.5)
    data[7] = norm.sf(z)
    return data


NULLS = {
    "one window": (lambda z: z[:, :1], peak(3, 8)[7:], "there is one window"),
    "no excess": (lambda z: z, peak(0.4), r"significance, 0.40, is not above the level of 0.5"),
    "no crossing": (lambda z: np.minimum(z, 0.4), peak(3), "no scan without a signal crosses"),
    "shifted": (lambda z: z + 0.5, peak(3), r"above 0.5 sigma, where 0.309 should be"),
    "wide": (lambda z: 1.3 * z, peak(3), r"above 2 sigma, where 0.023 should be"),
    "tails": (lambda z: np.vstack([z, np.full((3, 40), 6.0)]), peak(5), "as extreme than"),
}


@pytest.mark.parametrize(("change", "data", "obstacle"), NULLS.values(), ids=NULLS.keys())
def test_where_up_crossings_do_not_apply(change, data, obstacle, rng):
    found = upcrossings(data, norm.sf(change(scans(rng, 400, W=40))))
    assert (found.p, found.z) == (None, None)
    assert obstacle in found.obstacle or pytest.fail(found.obstacle)


def test_p_values_that_are_too_large_are_no_obstacle(rng):
    found = upcrossings(peak(4), norm.sf(0.7 * scans(rng, 400, W=40)))
    assert found.p > norm.sf(4)


# Another program


def test_a_bump_hunter_finds_the_same():
    """Poisson counts in 3 bins on a known background: place, local and global p-value."""
    rng, T, width = np.random.default_rng(3), 4000, 3
    centre = np.linspace(4425, 5775, 28)
    background = 60 * np.exp(-(centre - 4400) / 500)
    bump = 12 * np.exp(-(((centre - 5100) / 60) ** 2) / 2)
    data = rng.poisson(background + bump)

    def windows(n):
        return np.lib.stride_tricks.sliding_window_view(n, width, axis=-1).sum(axis=-1)

    null = rng.poisson(background, (T, len(centre)))
    p = poisson_p(windows(data), windows(background))
    ours = global_p(p, poisson_p(windows(null), windows(background)))

    theirs = BumpHunter1D(
        width_min=width, width_max=width, npe=T, nworker=1, seed=4, bins=len(centre)
    )
    theirs.bump_scan(data=data, bkg=background, is_hist=True)
    assert ours.best == (int(theirs.min_loc_ar[0]),)
    assert abs(centre[ours.best[0] + 1] - 5100) < 100
    assert p.min() == pytest.approx(theirs.min_Pval_ar[0], rel=1e-9)
    excess = windows(data) > windows(background)  # they leave p = 1 where there is none
    assert theirs.res_ar[0][excess] == pytest.approx(p[excess], rel=1e-9)
    error = np.sqrt(2 * ours.p / T)
    assert 0.002 < theirs.global_Pval < 0.05
    assert ours.p == pytest.approx(theirs.global_Pval, abs=4 * error)


# Errors


def bad(p=(0.5, 0.5), null=None, call=global_p, **others):
    null = np.full((20, 2), 0.5) if null is None else null
    return lambda: call(p, null, **others)


NAN = np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 0.5)
BAD = {
    "few": (bad(null=np.full((19, 2), 0.5)), "expected 20 data sets without a signal; got 19"),
    "shape": (bad(null=np.full((20, 3), 0.5)), r"got \(2,\) and \(20, 3\)"),
    "one number": (bad(p=0.5, null=np.full(20, 0.5)), r"got \(\) and \(20,\)"),
    "no window": (bad(p=[], null=np.ones((20, 0))), r"got \(0,\) and \(20, 0\)"),
    "beyond 1": (bad(p=(0.5, 1.5)), r"within \[0, 1\]; got 1.5"),
    "negative": (bad(null=np.full((20, 2), -0.1)), r"within \[0, 1\]; got -0.1"),
    "NaN": (bad(p=(np.nan, 0.5)), r"within \[0, 1\]; got nan"),
    "NaN there": (bad(null=NAN), r"within \[0, 1\]; got nan"),
    "crossings NaN": (bad(null=NAN, call=upcrossings), r"within \[0, 1\]; got nan"),
    "cuts": (
        bad(p=np.full((2, 3), 0.5), null=np.full((20, 2, 3), 0.5), call=upcrossings),
        r"expected one p-value for each window; got shape \(2, 3\)",
    ),
    "level": (bad(call=upcrossings, level=0.0), "expected a level above 0; got 0.0"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
