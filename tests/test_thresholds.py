"""Scans of scores whose densities are known."""

import numpy as np
import pytest

from fivesigma.statistics import asimov
from fivesigma.thresholds import WORKING_POINTS, effective, scan

N = 200_000
S, B = 5000.0, 40_000.0


def events(signal, background):
    """Scores by inverse distribution functions, on a grid: exact up to 1 / N."""
    u = (np.arange(N) + 0.5) / N
    p = np.concatenate([signal(u), background(u)])
    truth = np.repeat([True, False], N)
    return p, truth, np.repeat([S / N, B / N], N)


KNOWN = {  # inverse distribution functions of p, and the shares above t
    "linear": (
        *(lambda u: u**0.5, lambda u: 1 - (1 - u) ** 0.5),
        *(lambda t: 1 - t**2, lambda t: (1 - t) ** 2),
    ),
    "no separation": (
        *(lambda u: u, lambda u: u),
        *(lambda t: 1 - t, lambda t: 1 - t),
    ),
    "cubic": (
        *(lambda u: u ** (1 / 3), lambda u: u),
        *(lambda t: 1 - t**3, lambda t: 1 - t),
    ),
}


@pytest.mark.parametrize("case", KNOWN.values(), ids=KNOWN.keys())
def test_known_densities(case):
    signal, background, s, b = case
    found = scan(*events(signal, background))
    t = found.threshold[:-20]  # a hundred events are left at the last of these, or more
    expected = asimov(S * s(t), B * b(t))
    assert found.signal[:-20] == pytest.approx(S * s(t), abs=2 * S / N)
    assert found.z[:-20] == pytest.approx(expected, rel=0.02)
    numbers = found.flatness()
    assert numbers.z_max == pytest.approx(expected.max(), rel=0.03)
    at = [float(asimov(S * s(w), B * b(w))) for w in WORKING_POINTS]
    assert [numbers.at[w] for w in WORKING_POINTS] == pytest.approx(at, rel=1e-3)
    grid = np.linspace(0, 1, 20_001)[:-1]
    assert numbers.area == pytest.approx(asimov(S * s(grid), B * b(grid)).mean(), rel=0.01)


def test_no_separation_is_best_without_a_cut():
    numbers = scan(*events(*KNOWN["no separation"][:2])).flatness()
    assert numbers.threshold == 0
    assert numbers.z_max == pytest.approx(float(asimov(S, B)))
    assert numbers.r_10 == pytest.approx(1 - 0.9**2, abs=0.002)  # Z falls as sqrt(1 - t)


def test_an_ideal_score_is_flat():
    """All of the signal at 1, background at 0 but for a hundred events at 1."""
    p = np.repeat([1.0, 0.0, 1.0], [100, 900, 100])
    truth = np.repeat([True, False, False], [100, 900, 100])
    numbers = scan(p, truth, np.ones(1100)).flatness()
    assert numbers.area == pytest.approx(numbers.z_max, rel=0.001)
    assert numbers.r_10 == pytest.approx(1, abs=0.002)
    assert numbers.threshold == pytest.approx(0.001)


def test_too_few_simulated_events_count_as_nothing():
    p, truth = np.linspace(0, 1, 201), np.arange(201) % 2 == 0
    found = scan(p, truth, np.full(201, 1000.0), least=10)
    assert found.counted[found.threshold > 0.91].max() == 0
    assert found.counted[found.threshold < 0.89].min() > 0
    assert found.z[found.threshold < 0.99].min() > 0
    nothing = scan(p[:15], truth[:15], np.ones(15)).flatness()
    assert (nothing.z_max, nothing.area, nothing.r_10) == (0, 0, 0)


def test_what_counts_is_the_effective_number():
    """Of 400 background events of 0.03 and one of 25 behind 0.5, the one decides: 37 +- 25."""
    p = np.concatenate([np.full(50, 0.9), np.full(4000, 0.2), np.full(401, 0.8)])
    w = np.concatenate([np.ones(50), np.full(4000, 25.0), np.full(400, 0.03), [25.0]])
    found = scan(p, np.arange(len(p)) < 50, w)
    behind = found.threshold > 0.5
    assert found.background[600] == pytest.approx(37)
    assert found.z[600] > 6
    assert effective(found.background, found.background_error)[600] == pytest.approx(2.19, abs=0.01)
    assert found.counted[behind].max() == 0
    assert found.flatness().z_max == pytest.approx(found.z[0])
    assert (found.threshold[found.stable()], found.counted[0]) == (0, found.z[0])


@pytest.mark.parametrize("w", [0.1, 1.0, 3.7])
def test_effective_numbers_of_equal_weights_are_counts(w):
    """Ten are enough, whatever rounding does to them; of none it is 0."""
    p, signal = np.tile([0.5, 0.7], 100), np.arange(200) < 100
    p = np.concatenate([p, np.full(20, 0.9)])
    signal = np.concatenate([signal, np.arange(20) < 10])
    found = scan(p, signal, np.full(220, 10 * w))
    n = effective(found.background, found.background_error)
    assert n[[0, 600, 800, 950]] == pytest.approx([110, 60, 10, 0])
    assert found.enough[[0, 600, 800, 950]].tolist() == [True, True, True, False]


def test_an_event_of_twice_the_weight_is_two():
    p, truth, w = np.random.default_rng(0).random((3, 400)).round(1)
    truth = truth > 0.5
    once = scan(p, truth, 2 * w, least=0)
    twice = scan(np.tile(p, 2), np.tile(truth, 2), np.tile(w, 2), least=0)
    assert once.z == pytest.approx(twice.z)


def test_errors_are_those_of_repeated_samples():
    rng = np.random.default_rng(1)
    n_s, n_b, t = 2000, 1000, 600

    def drawn():
        s, b = rng.poisson([n_s, n_b])
        p = np.concatenate([rng.random(s) ** 0.5, 1 - rng.random(b) ** 0.5])
        return scan(p, np.arange(s + b) < s, np.repeat([S / n_s, B / n_b], [s, b]))

    scans = [drawn() for _ in range(400)]
    for name in ("signal", "background", "z"):
        spread = np.std([getattr(x, name)[t] for x in scans])
        said = np.mean([getattr(x, f"{name}_error")[t] for x in scans])
        assert spread == pytest.approx(said, rel=0.12), name


def test_a_threshold_with_few_large_weights_is_not_stable():
    """One background event in a hundred has a hundred times the weight."""
    n = 4000
    p = np.concatenate([np.linspace(0.97, 1, n), np.linspace(0, 1, n)])
    w = np.ones(2 * n)
    w[n::100] = 100.0
    found = scan(p, np.repeat([True, False], n), w, least=1)
    wild, tame = int(found.z.argmax()), found.stable(spread=0.25)
    few = np.abs(found.background - 60).argmin()
    assert found.largest_weight[few] == 100  # though none of it is behind
    assert found.background_error[wild] > 0.3 * found.background[wild]
    assert found.background_error[tame] <= 0.3 * found.background[tame]
    assert found.threshold[tame] < found.threshold[wild]
    with pytest.raises(ValueError, match="background known to 1%; got none from"):
        found.stable(spread=0.01)


def test_large_weights_far_away_do_not_matter():
    """Weights of 50 below 0.4, events of weight 1 above it, and all of the signal at 1."""
    n = 2000
    background = np.concatenate([np.linspace(0, 0.4, 300), np.linspace(0.41, 1, n)])
    p = np.concatenate([np.ones(n), background])
    w = np.concatenate([np.ones(n), np.full(300, 50.0), np.ones(n)])
    found = scan(p, np.arange(len(p)) < n, w)
    i = found.stable()
    assert found.background[i] == pytest.approx(100, abs=5)  # sqrt(100 + 1) is known to 10 %
    assert found.largest_weight[i] == 1
    assert found.largest_weight[0] == 50


def test_events_expected_have_to_be_enough():
    """Of signal that is a thousandth of an event each, 11 are expected in all, 9 above 0.2."""
    p = np.tile(np.linspace(0, 1, 11_000), 2)
    truth = np.repeat([True, False], 11_000)
    found = scan(p, truth, np.where(truth, 1e-3, 1.0))
    assert found.counted[found.threshold < 0.05].min() > 0
    assert found.counted[found.threshold > 0.2].max() == 0
    less = scan(p, truth, np.where(truth, 5e-4, 1.0))
    assert (less.hopeless, less.stable(), less.counted.max()) == (True, 0, 0)
    assert not found.hopeless
    rough = scan(p, truth, np.where(truth, 1e-2, 1.0))
    with pytest.raises(ValueError, match=r"leaves enough signal, .* from 110 and 1.1e\+04 \+- "):
        rough.stable(spread=1e-3)


BAD = {
    "shapes": (([0.5], [True, False], [1.0]), r"of one shape \(N,\); got \(\(1,\), \(2,\)"),
    "score": (([0.5, 1.5], [True, False], [1, 1]), r"scores within \[0, 1\]; got 1.5"),
    "not a number": (([0.5, np.nan], [True, False], [1, 1]), r"scores within \[0, 1\]; got nan"),
    "weight": (([0.5, 0.5], [True, False], [1, -1]), "weights >= 0; got -1.0"),
    "infinite": (([0.5, 0.5], [True, False], [1, np.inf]), "weights >= 0; got inf"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        scan(*arguments)


def test_events_of_one_origin_add_up_before_they_are_squared():
    """Against sums over the origins at each threshold."""
    rng = np.random.default_rng(5)
    n = 600
    p, w, signal = rng.random(n), rng.exponential(size=n), np.arange(n) < 250
    origin = rng.integers(0, 80, n) + 100 * signal
    found = scan(p, signal, w, origin=origin, steps=20)
    for mine, errors in ((signal, found.signal_error), (~signal, found.background_error)):
        sums = [np.bincount(origin[mine & (p >= t)], w[mine & (p >= t)]) for t in found.threshold]
        assert errors == pytest.approx([np.sqrt((one**2).sum()) for one in sums])
    alone = scan(p, signal, w, steps=20)
    assert (found.background_error[:-2] > alone.background_error[:-2]).all()
    assert found.z == pytest.approx(alone.z)
