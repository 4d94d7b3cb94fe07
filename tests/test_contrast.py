"""Weights with means and sums that can be written down."""

import numpy as np
import pytest

from fivesigma.contrast import Contrast
from fivesigma.datasets import Dataset

N = 4000
INSIDE = (4700.0, 5500.0)
WEIGHED = {
    "equal": Contrast(sidebands="equal"),
    "balanced": Contrast(sidebands="balanced"),
    "common": Contrast(kinematics="common"),
    "equal, common": Contrast(sidebands="equal", kinematics="common"),
    "balanced, common": Contrast(sidebands="balanced", kinematics="common"),
}
every_contrast = pytest.mark.parametrize("contrast", WEIGHED.values(), ids=WEIGHED.keys())


def falling(n=N, *, seed=0):
    """Masses that fall as those of dijets do, in signal region and sidebands, and their jets."""
    rng = np.random.default_rng(seed)
    m = 4400 + rng.exponential(400, 3 * n)
    m = m[m < 5800][:n]
    y = (m >= INSIDE[0]) & (m < INSIDE[1])
    eta = rng.normal(0, 0.8, (n, 2)) * (1 + 0.2 * y)[:, None]
    pt = m[:, None] / 2 / np.cosh(np.diff(eta, axis=1) / 2) * rng.uniform(0.85, 1, (n, 2))
    dijet = np.stack([m, pt[:, 0], eta[:, 0], pt[:, 1], eta[:, 1]], axis=1).astype("f4")
    return Dataset(m[:, None], y, np.zeros(n), np.ones(n)), dijet


def mean(x, data, sample):
    """Weighted mean of a sample, and its error."""
    w = data.weight[sample].astype(float)
    center = np.average(x[sample], weights=w)
    return center, np.sqrt((w**2 * (x[sample] - center) ** 2).sum()) / w.sum()


@every_contrast
def test_sums_of_weights(contrast):
    """Either sample counts as half of all events; nothing but the weights is changed."""
    data, dijet = falling()
    weighed = contrast(data, dijet)
    inside = data.y == 1
    for sample in (inside, ~inside):
        assert weighed.weight[sample].sum() == pytest.approx(N / 2, rel=1e-5)
    assert (weighed.weight > 0).all()
    assert weighed.weight.dtype == np.float32
    assert weighed.x is data.x
    assert np.array_equal(weighed.y, data.y)
    assert (data.weight == 1).all()


def test_natural_is_the_data_itself():
    data, dijet = falling()
    assert Contrast()(data, dijet) is data
    assert Contrast() == Contrast(sidebands="natural", kinematics="natural")


@pytest.mark.parametrize("kinematics", ["natural", "common", "planed"])
@pytest.mark.parametrize("seed", range(2))
def test_sidebands_keep_their_shares_whatever_the_kinematics(kinematics, seed):
    """Kinematics go with the mass, so that their weights would undo those of the sidebands."""
    data, dijet = falling(seed=seed)
    m, inside = dijet[:, 0].astype(float), data.y == 1
    weighed = Contrast(sidebands="balanced", kinematics=kinematics)(data, dijet)
    here, there = (mean(m, weighed, sample)[0] for sample in (inside, ~inside))
    assert here == pytest.approx(there, abs=0.01)
    weighed = Contrast(sidebands="equal", kinematics=kinematics)(data, dijet)
    lower, upper = (weighed.weight[~inside & side].sum() for side in (m < 5000, m > 5000))
    assert lower == pytest.approx(upper, rel=1e-4)


@pytest.mark.parametrize("sidebands", ["equal", "balanced"])
def test_kinematics_agree_whatever_the_sidebands(sidebands):
    data, dijet = falling()
    inside, h = data.y == 1, dijet[:, 1] + dijet[:, 3]
    common = Contrast(sidebands=sidebands, kinematics="common")(data, dijet)
    for x in (np.log(dijet[:, 1]), np.abs(dijet[:, 2])):
        (a, error), (b, other) = (mean(x, common, sample) for sample in (inside, ~inside))
        assert abs(a - b) < 0.5 * np.hypot(error, other)
    planed = Contrast(sidebands=sidebands, kinematics="planed")(data, dijet)
    edges = np.quantile(h, np.linspace(0, 1, 21))
    sums = [np.histogram(h[s], edges, weights=planed.weight[s])[0] for s in (inside, ~inside)]
    assert sums[0] == pytest.approx(sums[1], rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_balanced_sidebands_have_the_mean_mass_of_the_signal_region(seed):
    data, dijet = falling(seed=seed)
    m, inside = dijet[:, 0].astype(float), data.y == 1
    before = [mean(m, data, sample)[0] for sample in (inside, ~inside)]
    assert abs(before[0] - before[1]) > 50
    weighed = Contrast(sidebands="balanced")(data, dijet)
    after = [mean(m, weighed, sample)[0] for sample in (inside, ~inside)]
    assert after[0] == pytest.approx(before[0], rel=1e-6)
    assert after[1] == pytest.approx(after[0], abs=0.01)
    u = weighed.weight[~inside & (m > INSIDE[1])].sum() / weighed.weight[~inside].sum()
    lower, upper = (m[~inside & s].mean() for s in (m < INSIDE[0], m > INSIDE[1]))
    assert u == pytest.approx((before[0] - lower) / (upper - lower), rel=1e-4)


def test_balanced_by_hand():
    """A lower sideband at 1, an upper at 5 and the signal region at 2: 3/4 and 1/4."""
    m = np.array([1, 1, 1, 5, 2, 2])
    data = Dataset(m[:, None], [0, 0, 0, 0, 1, 1], np.zeros(6), np.ones(6))
    dijet = np.ones((6, 5)) * m[:, None]
    weighed = Contrast(sidebands="balanced")(data, dijet)
    assert weighed.weight == pytest.approx([0.75, 0.75, 0.75, 0.75, 1.5, 1.5])
    weighed = Contrast(sidebands="equal")(data, dijet)
    assert weighed.weight == pytest.approx([0.5, 0.5, 0.5, 1.5, 1.5, 1.5])


@pytest.mark.parametrize("sidebands", ["equal", "balanced"])
def test_masses_that_round_into_the_signal_region(sidebands):
    """Regions are cut before masses are rounded; an event on the wrong side weighs no more."""
    m = np.array([1, 1, 1, 2.001, 4.999, 5.5, 2, 3, 5])
    data = Dataset(m[:, None], [0] * 6 + [1] * 3, np.zeros(9), np.ones(9))
    weighed = Contrast(sidebands=sidebands)(data, np.ones((9, 5)) * m[:, None])
    lower, upper = weighed.weight[:4], weighed.weight[4:6]
    assert lower == pytest.approx([lower[0]] * 4)
    assert upper == pytest.approx([upper[0]] * 2)


def test_equal_sidebands_are_one_half_each():
    data, dijet = falling()
    weighed = Contrast(sidebands="equal")(data, dijet)
    lower, upper = dijet[:, 0] < INSIDE[0], dijet[:, 0] >= INSIDE[1]
    assert lower.sum() > 2 * upper.sum()
    for sideband in (lower, upper):
        assert weighed.weight[sideband].sum() == pytest.approx(N / 4, rel=1e-5)
        assert np.ptp(weighed.weight[sideband]) < 1e-6
    assert np.ptp(weighed.weight[data.y == 1]) < 1e-6


def displaced(shift, n=N, *, seed=0):
    """log pT of the jets is Gaussian, in the signal region shifted by some widths; |eta| too."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    log_pt = np.log(2000) + 0.1 * (rng.normal(size=(n, 2)) + shift * y[:, None])
    eta = np.abs(rng.normal(1 + 0.3 * shift * y[:, None], 0.3, (n, 2)))
    eta *= rng.choice([-1, 1], (n, 2))
    m = np.where(y, 5000, rng.choice([4500, 5600], n))
    dijet = np.stack([m, np.exp(log_pt[:, 0]), eta[:, 0], np.exp(log_pt[:, 1]), eta[:, 1]], axis=1)
    return Dataset(m[:, None], y, np.zeros(n), np.ones(n)), dijet


@pytest.mark.parametrize("shift", [0.5, -1.0])
@pytest.mark.parametrize("sidebands", ["natural", "balanced"])
def test_common_kinematics(shift, sidebands):
    """The overlap of two displaced Gaussians has one mean, between theirs."""
    data, dijet = displaced(shift)
    weighed = Contrast(sidebands=sidebands, kinematics="common")(data, dijet)
    inside = data.y == 1
    for column, variable in ((1, np.log), (3, np.log), (2, np.abs), (4, np.abs)):
        x = variable(dijet[:, column])
        (a, a_error), (b, b_error) = (mean(x, weighed, sample) for sample in (inside, ~inside))
        before = sorted(mean(x, data, sample)[0] for sample in (inside, ~inside))
        assert abs(a - b) < np.hypot(a_error, b_error)
        assert before[1] - before[0] > 10 * abs(a - b)
        assert before[0] < a < before[1]


def test_common_kinematics_are_those_of_the_overlap():
    """Of unit Gaussians p and q the overlap is p q / (p + q) for as many events of both.

    Its mean is half way, by symmetry, and its spread that of a numerical integral.
    """
    rng = np.random.default_rng(1)
    n, t = 40_000, 1.0
    y = np.repeat([1, 0], n // 2)
    u = rng.normal(t * y)
    jets = np.tile(rng.normal(0, 0.1, (n, 1)), 2)
    pt = np.exp(7 + 0.1 * np.stack([u, rng.normal(size=n)], axis=1))
    dijet = np.stack([np.full(n, 5000.0), pt[:, 0], jets[:, 0], pt[:, 1], jets[:, 1]], axis=1)
    data = Dataset(u[:, None], y, y, np.ones(n))
    weighed = Contrast(kinematics="common")(data, dijet)
    grid = np.linspace(-6, 7, 2001)
    p, q = np.exp(-((grid - t) ** 2) / 2), np.exp(-(grid**2) / 2)
    overlap = p * q / (p + q)
    spread = np.sqrt(np.average((grid - t / 2) ** 2, weights=overlap))
    for sample in (y == 1, y == 0):
        center, error = mean(u, weighed, sample)
        assert center == pytest.approx(t / 2, abs=4 * error + 0.005)
        width = np.sqrt(mean((u - t / 2) ** 2, weighed, sample)[0])
        assert width == pytest.approx(spread, rel=0.03)


def test_common_kinematics_of_the_same_distributions():
    """Nothing to take back: the weights are nearly equal."""
    data, dijet = displaced(0.0)
    weighed = Contrast(kinematics="common")(data, dijet)
    for sample in (data.y == 1, data.y == 0):
        w = weighed.weight[sample]
        assert w.std() / w.mean() < 0.15


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_planed_samples_are_flat_where_both_are(shift):
    """Each interval of equal population weighs the same in both samples, or nothing in both."""
    data, dijet = displaced(shift)
    weighed = Contrast(kinematics="planed")(data, dijet)
    h = dijet[:, 1] + dijet[:, 3]
    edges = np.quantile(h, np.linspace(0, 1, 21))
    inside = data.y == 1
    sums = [np.histogram(h[s], edges, weights=weighed.weight[s])[0] for s in (inside, ~inside)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-4)
    full = sums[0] > 0
    assert sums[0][full] == pytest.approx(N / 2 / full.sum(), rel=1e-4)
    assert full.all() == (shift < 3)
    assert full.any()


@pytest.mark.parametrize("field", ["sidebands", "kinematics"])
@pytest.mark.parametrize("value", ["Equal", None, 1])
def test_bad_values(field, value):
    with pytest.raises(ValueError, match=rf"expected {field} of \('natural', .*\); got {value!r}"):
        Contrast(**{field: value})


DATA, DIJET = falling(400)
IN = DATA.y == 1
UPPER = DIJET[:, 0] >= INSIDE[1]
BAD = {
    "shape": ("equal", "natural", DATA, DIJET[:, :4], r"of shape \(400, 5\); got \(400, 4\)"),
    "length": ("equal", "natural", DATA, DIJET[1:], r"of shape \(400, 5\); got \(399, 5\)"),
    "no signal region": (
        *("balanced", "natural", DATA.subset(~IN), DIJET[~IN]),
        "expected events in the signal region; got none",
    ),
    "no sideband": (
        *("equal", "natural", DATA.subset(IN), DIJET[IN]),
        "expected events in the lower and the upper sideband; got 0 and 0",
    ),
    "no upper sideband": (
        *("balanced", "natural", DATA.subset(~UPPER), DIJET[~UPPER]),
        r"expected events in the lower and the upper sideband; got \d+ and 0",
    ),
    "one sample": (
        *("natural", "common", DATA.subset(~IN), DIJET[~IN]),
        r"expected events of both samples; got 0 of \d+",
    ),
    "planed apart": (
        *("natural", "planed", *displaced(60.0, 400)),
        r"that overlap in the sum of transverse momenta; got \d+ and \d+ events apart",
    ),
    "planed, one sample": (
        *("natural", "planed", DATA.subset(~IN), DIJET[~IN]),
        r"expected events of both samples; got 0 of \d+",
    ),
    "other sample": (
        *("natural", "common", DATA.subset(IN), DIJET[IN]),
        r"expected events of both samples; got (\d+) of \1",
    ),
}


@pytest.mark.parametrize(
    ("sidebands", "kinematics", "data", "dijet", "message"), BAD.values(), ids=BAD.keys()
)
def test_bad_data(sidebands, kinematics, data, dijet, message):
    with pytest.raises(ValueError, match=message):
        Contrast(sidebands=sidebands, kinematics=kinematics)(data, dijet)
