"""A search in data sets whose scores are drawn: what it says without a signal, and with one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from fivesigma.background import Estimate, Spectrum
from fivesigma.folds import Scored
from fivesigma.search import Closure, Cut, Events, Interval, Outcome, naive, search

K, N = 5, 4000
EPS = (0.1, 0.03, 0.01)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def drawn(rng, *, n_signal=0, leak=0.0, template="no"):
    """Uniform scores of background, high ones of signal; `leak` lets them grow with the mass."""
    mass = 4400 + rng.random(N) * 1400
    inside = (mass >= 4700) & (mass < 5500)
    score = rng.random(N) ** (1 - leak * (mass - 5100) / 700)
    chosen = rng.permutation(np.flatnonzero(inside))[:n_signal]
    score[chosen] = 1 - 0.02 * rng.random(n_signal)
    fold = rng.permutation(np.arange(N) % K)
    scored = Scored(score, fold, (False,) * K, lambda x: x)
    simulated = rng.random((K, 20_000)) if template == "simulated" else None
    return Events(scored, mass, inside, simulated)


SPECTRUM = Spectrum(((4400.0, 4700.0), (5500.0, 5800.0)), (4700.0, 5500.0), 13_000.0)


def test_background_from_the_spectrum(rng):
    """Flat in the mass: pulls of cuts and of intervals, and a signal that is found."""
    pulls = []
    for _ in range(100):
        outcome = search(replace(drawn(rng), spectrum=SPECTRUM), eps_b=EPS)
        for one in (*outcome.cuts, *outcome.intervals):
            B, sigma = one.background.value, one.background.error
            pulls.append((one.n - B) / np.hypot(B**0.5, sigma))
    by_count = np.reshape(pulls, (100, -1))
    assert (np.abs(by_count.mean(axis=0)) < 0.4).all()
    assert (np.abs(by_count.std(axis=0) - 1) < 0.3).all()
    found = search(replace(drawn(rng, n_signal=600), spectrum=SPECTRUM), eps_b=EPS).p_values()
    assert all(found[name] < 1e-3 for name in ("0.1", "0.03", "shape"))


@pytest.mark.parametrize(
    ("eps_b", "message"),
    {
        "a cut": ((0.1, 0.002), "background behind the cut at 0.2 %: expected 3 events or more"),
        "an interval": ((0.1, 0.0999), "background between the cuts at 10 % and 9.99 %: expected"),
    }.values(),
    ids=["a cut", "an interval"],
)
def test_a_spectrum_of_too_few_events(eps_b, message, rng):
    """It names the cut, and what helps."""
    with pytest.raises(ValueError, match=message) as caught:
        search(replace(drawn(rng), spectrum=SPECTRUM), eps_b=eps_b)
    assert "looser cuts leave more events, and an interpolation needs fewer" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("template", ["no", "simulated"])
def test_p_values_without_a_signal_are_uniform(template, rng):
    """Or a little too large: a background that is estimated counts as if one more event were."""
    found = [search(drawn(rng, template=template), eps_b=EPS).p_values() for _ in range(300)]
    for name in ("0.1", "0.03", "0.01", "shape"):
        p = np.array([one[name] for one in found])
        assert kstest(p, "uniform", alternative="greater").pvalue > 0.005, name
        assert kstest(p, "uniform").statistic < 0.15, name
        assert -0.05 < p.mean() - 0.5 < 0.07


def test_a_smooth_leak_is_interpolated(rng):
    """Scores that grow with the mass pass more often above than below, and no signal is claimed."""
    z = [search(drawn(rng, leak=0.3), eps_b=(0.1,)).cuts[0] for _ in range(100)]
    pulls = [(c.n - c.background.value) / np.hypot(c.background.error, c.n**0.5) for c in z]
    assert abs(np.mean(pulls)) < 0.5
    assert np.std(pulls) < 1.3


def test_a_signal_is_found(rng):
    found = [search(drawn(rng, n_signal=n), eps_b=EPS) for n in (0, 150)]
    none, some = (outcome.p_values() for outcome in found)
    assert all(some[name] < 1e-3 for name in ("0.03", "0.01", "shape"))
    assert min(none.values()) > 1e-3


def test_the_whole_score_is_as_good_as_the_best_cut(rng):
    """Within a factor of ten, without a choice."""
    ratios = []
    for _ in range(20):
        p = search(drawn(rng, n_signal=45), eps_b=EPS).p_values()
        ratios.append(np.log10(p.pop("shape")) - np.log10(min(p.values())))
    assert np.median(ratios) < 1


def test_counts_by_hand():
    """One event in ten is above the cut in each fold; half of the events are outside."""
    score = np.tile(np.arange(100) / 100, 10)
    inside = np.repeat([True, False], 500)
    fold = np.arange(1000) % K
    mass = np.concatenate([np.linspace(4700, 5500, 500), np.linspace(4400, 4700, 500)])
    events = Events(Scored(score, fold, (False, True) + (False,) * 3, lambda x: x), mass, inside)
    outcome = search(events, eps_b=[0.1, 0.5])
    assert [cut.eps_b for cut in outcome.cuts] == [0.5, 0.1]
    assert [cut.n for cut in outcome.cuts] == [250, 50]
    assert [cut.n_template for cut in outcome.cuts] == [250, 50]
    assert outcome.collapsed == 1
    simulated = Events(events.scored, mass, inside, np.tile(np.arange(100) / 100, (K, 1)))
    outcome = search(simulated, eps_b=[0.1, 0.5])
    expected = [(50, 50), (10, 90), (40, 50), (10, 90)]
    for found, (t, T) in zip([*outcome.cuts, *outcome.intervals], expected, strict=True):
        error = 5 * t * (1 / (5 * T) + 1 / t + 1 / T) ** 0.5
        assert found.background == Estimate(pytest.approx(5 * t), pytest.approx(error))


def test_a_template_with_ties_counts_what_passes():
    """A cut at a score that a fifth of the events share keeps all of them, here and there."""
    score = np.repeat([0.1, 0.5, 0.9], [600, 200, 200])
    fold = np.arange(1000) % K
    inside = np.arange(1000) % 2 == 0
    template = np.tile(np.repeat([0.1, 0.5, 0.9], [300, 100, 100]), (K, 1))
    mass = np.linspace(4400, 5800, 1000)
    events = Events(Scored(score, fold, (False,) * K, lambda x: x), mass, inside, template)
    cut = search(events, eps_b=[0.25]).cuts[0]
    assert (cut.n, cut.background.value) == (200, pytest.approx(200))


def test_a_signal_does_not_raise_its_own_template(rng):
    """Sixty more events behind all cuts change the counts, and no background behind a cut."""
    events = drawn(rng, template="simulated")
    more = replace(
        events,
        scored=Scored(
            np.append(events.scored.score, np.ones(60)),
            np.append(events.scored.fold, np.arange(60) % K),
            events.scored.collapsed,
            events.scored.of,
        ),
        mass=np.append(events.mass, np.full(60, 5100.0)),
        inside=np.append(events.inside, np.ones(60, bool)),
    )
    before, after = (search(one, eps_b=EPS) for one in (events, more))
    assert [cut.background for cut in after.cuts] == [cut.background for cut in before.cuts]
    assert [cut.n for cut in after.cuts] == [cut.n + 60 for cut in before.cuts]


def test_a_constant_score_has_no_template(rng):
    events = drawn(rng, template="simulated")
    constant = replace(events.scored, score=np.full(N, 0.5), collapsed=(True,) * K)
    flat = replace(events, scored=constant, template=np.full((K, 100), 0.5))
    with pytest.raises(ValueError, match="behind the cut at 10 %: expected simulated events below"):
        search(flat, eps_b=EPS)


def test_a_closure_error_makes_p_values_larger():
    cut = Cut(0.01, 160, Estimate(100.0, 5.0), 90)
    p = [cut.p(delta) for delta in (0.0, 0.1, 0.5)]
    assert p[0] < 1e-5 < p[1] < p[2] < 0.5
    outcome = Outcome((cut,), (Interval(160, cut.background),), 0)
    closures = [Closure({0.01: delta}, np.array([[delta**2]])) for delta in (0.0, 0.1, 0.5)]
    found = [outcome.p_values(closure) for closure in closures]
    assert [one["0.01"] for one in found] == p
    shapes = [one["shape"] for one in found]
    assert shapes[0] < 1e-5 < shapes[1] < shapes[2] < 0.5
    assert outcome.p_values()["shape"] == pytest.approx(shapes[0])


def test_the_common_recipe(rng):
    """Scores that remember the events they were trained on claim a signal; others do not."""
    simulated = rng.random(100_000)
    fair = [naive(rng.random(5000), simulated, eps_b=EPS) for _ in range(200)]
    for name in ("0.1", "0.01"):
        assert np.mean([z[name] for z in fair]) == pytest.approx(0, abs=0.35)
        assert np.std([z[name] for z in fair]) == pytest.approx(1, abs=0.3)
    remembered = naive(rng.random(5000) ** 0.5, simulated, eps_b=EPS)
    assert remembered["0.1"] > 10
    constant = naive(np.zeros(2000), np.zeros(100), eps_b=EPS)
    assert constant["0.1"] == -8, "nothing passes, and the number is finite"


def test_a_cut_that_is_too_tight(rng):
    with pytest.raises(ValueError, match=r"expected a background efficiency of at least .*; got"):
        search(drawn(rng), eps_b=[0.0001])
