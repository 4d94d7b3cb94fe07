import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from fivesigma.evaluation import accuracy, auc, roc, sic, thin, weighted_auc, working_point


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def gaussians(d, n_signal, n_background, *, rng):
    """Scores of two unit Gaussians at distance d: eps_s = Phi(d - Phi^-1(1 - eps_b))."""
    scores = np.concatenate([rng.normal(d, 1, n_signal), rng.normal(0, 1, n_background)])
    return scores, np.repeat([1, 0], [n_signal, n_background])


def test_two_gaussians_have_the_analytic_curve(rng):
    d, n = 1.5, 200_000
    curve = roc(*gaussians(d, n, n, rng=rng))
    area = auc(curve)
    assert abs(area.value - norm.cdf(d / np.sqrt(2))) < 4 * area.error
    assert 0 < area.error < 0.002
    for eps_b in (0.5, 0.1, 0.01, 0.001):
        point = working_point(curve, eps_b)
        threshold = norm.isf(eps_b)
        slope = norm.pdf(threshold - d) / norm.pdf(threshold)
        error = np.hypot(point.eps_s_error, slope * point.eps_b_error)
        assert abs(point.eps_s - norm.sf(threshold - d)) < 4 * error
        assert point.threshold == pytest.approx(threshold, abs=0.1)
        assert point.eps_b == eps_b
        assert point.n_background_behind == pytest.approx(n * eps_b)


def test_random_scores_gain_nothing(rng):
    curve = roc(*gaussians(0, 100_000, 100_000, rng=rng))
    area = auc(curve)
    assert abs(area.value - 0.5) < 4 * area.error
    gain = sic(curve, min_background=1000)
    enough = np.isfinite(gain)
    np.testing.assert_allclose(gain[enough], np.sqrt(curve.eps_b[enough]), rtol=0.13)
    assert not curve.collapsed


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e30])
@pytest.mark.parametrize("eps_b", [0.1, 0.01, 0.001])
def test_a_constant_score_is_the_diagonal(value, eps_b):
    curve = roc(np.full(3000, value), np.repeat([1, 0], [1000, 2000]))
    point = working_point(curve, eps_b)
    assert point.eps_s == pytest.approx(eps_b)
    assert point.eps_s / np.sqrt(point.eps_b) == pytest.approx(np.sqrt(eps_b))
    assert point.n_background_behind == pytest.approx(2000 * eps_b)
    assert auc(curve).value == 0.5
    assert curve.collapsed
    assert thin(curve).collapsed


def test_collapsed_is_about_both_classes(rng):
    scores, truth = gaussians(0, 1000, 1000, rng=rng)
    nearly = np.where(rng.random(2000) < 0.95, 0.5, scores)
    assert roc(nearly, truth).collapsed
    saturated = np.where(truth == 1, 1.0, scores - 10)
    assert not roc(saturated, truth).collapsed
    assert not roc(truth.astype(float), truth).collapsed


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_agrees_with_sklearn_including_ties(decimals, rng):
    scores, truth = gaussians(0.7, 500, 1500, rng=rng)
    scores = np.round(scores, decimals)
    curve = roc(scores, truth)
    fpr, tpr, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.eps_b, fpr)
    np.testing.assert_allclose(curve.eps_s, tpr)
    np.testing.assert_allclose(curve.thresholds[1:], thresholds[1:])
    assert auc(curve).value == pytest.approx(roc_auc_score(truth, scores), rel=1e-12)


def test_auc_error_is_the_spread(rng):
    areas = [auc(roc(*gaussians(1.0, 150, 400, rng=rng))) for _ in range(600)]
    values, errors = (np.array([getattr(a, k) for a in areas]) for k in ("value", "error"))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.1)
    within = np.abs(values - norm.cdf(1 / np.sqrt(2))) < errors
    assert np.mean(within) == pytest.approx(0.683, abs=0.06)


def test_auc_error_with_ties_is_the_spread(rng):
    areas = []
    for _ in range(400):
        scores, truth = gaussians(1.0, 150, 400, rng=rng)
        areas.append(auc(roc(np.round(scores), truth)))
    values, errors = (np.array([getattr(a, k) for a in areas]) for k in ("value", "error"))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)


def test_signal_interval_covers(rng):
    """Clopper-Pearson may cover more than it says, by about 1 / (sigma of the count)."""
    covered = []
    for _ in range(1000):
        point = working_point(roc(*gaussians(1.0, 200, 1000, rng=rng)), 0.05)
        covered.append(point.eps_s_low < norm.sf(point.threshold - 1.0) < point.eps_s_high)
    assert 0.65 < np.mean(covered) < 0.78


def test_background_error_covers_without_bias(rng):
    points = [working_point(roc(*gaussians(1, 10, 4000, rng=rng)), 0.01) for _ in range(1000)]
    true = norm.sf([p.threshold for p in points])
    error = points[0].eps_b_error
    assert abs(np.mean(true) - 0.01) < 4 * error / np.sqrt(1000)
    assert np.mean(np.abs(true - 0.01) < error) == pytest.approx(0.683, abs=0.05)


def test_interval_at_the_ends():
    truth = np.repeat([1, 0], [10, 10])
    best = working_point(roc(truth.astype(float), truth), 0.5)
    worst = working_point(roc(-truth.astype(float), truth), 0.5)
    tail = (1 - 0.682689492) / 2
    assert (best.eps_s, best.eps_s_high) == (1.0, 1.0)
    assert best.eps_s_low == pytest.approx(tail ** (1 / 10))
    assert (worst.eps_s, worst.eps_s_low) == (0.0, 0.0)
    assert worst.eps_s_high == pytest.approx(1 - tail ** (1 / 10))


def test_ties_are_straight_lines():
    # All background at 0; half of the signal at 1, half at 0.
    curve = roc([1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(curve.eps_b, [0, 0, 1])
    np.testing.assert_array_equal(curve.eps_s, [0, 0.5, 1])
    assert working_point(curve, 0.5).eps_s == 0.75
    assert auc(curve).value == 0.75


def test_a_working_point_has_at_least_one_background_event(rng):
    point = working_point(roc(*gaussians(1, 100, 100, rng=rng)), 1e-4)
    assert (point.nominal, point.eps_b, point.n_background_behind) == (1e-4, 0.01, 1.0)


def test_working_point_does_not_hang_on_the_last_bit(rng):
    curve = roc(*gaussians(1, 20_000, 20_000, rng=rng))
    for eps_b in (0.1, 0.01, 0.001):
        near = {working_point(curve, np.nextafter(eps_b, to)).threshold for to in (0, 1)}
        assert near == {working_point(curve, eps_b).threshold}


def test_working_point_is_the_fraction_above_its_threshold(rng):
    scores, truth = gaussians(1, 3000, 5000, rng=rng)
    point = working_point(roc(scores.astype(np.float32), truth), 0.02)
    passed = scores.astype(np.float32) >= point.threshold
    assert np.count_nonzero(passed & (truth == 0)) == point.n_background_behind == 100
    assert np.mean(passed[truth == 1]) == pytest.approx(point.eps_s)


def test_accuracy_weighs_both_labels_the_same():
    scores, labels = [0.9, 0.2, 0.5, 0.4, 0.1, 0.8], [1, 1, 0, 0, 0, 0]
    assert accuracy(scores, labels) == (1 / 2 + 3 / 4) / 2
    assert accuracy(np.full(6, 0.7), labels) == 0.5
    for missing in (0, 1):
        with pytest.raises(ValueError, match="expected events of both labels"):
            accuracy(scores, np.full(6, missing))


def test_sic_is_undefined_without_background():
    gain = sic(roc([3, 2, 1, 0], [1, 0, 1, 0]))
    np.testing.assert_allclose(gain, [np.nan, np.nan, 0.5**0.5, 2**0.5, 1])


def test_thin_keeps_the_curve(rng):
    scores, truth = gaussians(2, 50_000, 50_000, rng=rng)
    full = roc(scores, truth)
    few = thin(full, 200)
    assert 100 < len(few.eps_b) <= 200
    assert set(zip(few.eps_b, few.eps_s, strict=True)) <= set(
        zip(full.eps_b, full.eps_s, strict=True)
    )
    assert (few.eps_b[0], few.eps_s[0], few.eps_b[-1], few.eps_s[-1]) == (0, 0, 1, 1)
    assert auc(few).value == pytest.approx(auc(full).value, abs=1e-3)
    for eps_b in (0.1, 0.01, 0.001):
        assert working_point(few, eps_b).eps_s == pytest.approx(
            working_point(full, eps_b).eps_s, abs=0.01
        )
    small = roc(scores[::10_000], truth[::10_000])
    assert auc(thin(small)).value == pytest.approx(auc(small).value)


def test_a_weight_is_a_number_of_events(rng):
    scores, truth = gaussians(1.0, 300, 500, rng=rng)
    scores = scores.round(1)  # with ties
    assert weighted_auc(scores, truth, np.ones(800)) == pytest.approx(auc(roc(scores, truth)).value)
    w = rng.integers(0, 4, 800)
    repeated = auc(roc(np.repeat(scores, w), np.repeat(truth, w))).value
    assert weighted_auc(scores, truth, 0.3 * w) == pytest.approx(repeated)


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([0.1, np.nan], [1, 0], "expected finite scores; got 1 that are not"),
        ([0.1, np.inf], [1, 0], "expected finite scores"),
        ([0.1, 0.2], [1, 1], "got 2 signal, 0 background"),
        ([0.1, 0.2], [0, 0], "got 0 signal, 2 background"),
        ([], [], "got 0 signal, 0 background"),
        ([0.1, 0.2], [1, 2], "expected truth of 0 and 1"),
        ([0.1, 0.2], [1, 0, 1], "of one shape"),
    ],
)
def test_roc_rejects(scores, truth, message):
    with pytest.raises(ValueError, match=message):
        roc(scores, truth)


@pytest.mark.parametrize("eps_b", [0.0, -0.1, 1.1, float("nan")])
def test_working_point_rejects(eps_b):
    with pytest.raises(ValueError, match=r"expected eps_b within \(0, 1\]; got"):
        working_point(roc([0, 1], [0, 1]), eps_b)


def test_options_are_bounded():
    curve = roc([0, 1], [0, 1])
    with pytest.raises(ValueError, match="at least 20 vertices"):
        thin(curve, 5)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        sic(curve, min_background=0)
