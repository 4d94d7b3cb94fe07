"""Sliding windows: where they are, which events they hold, and whether there are any."""

import numpy as np
import pytest

from fivesigma.windows import Window, demand, sliding, within

SPECTRUM = ((4700.0, 5500.0), (4400.0, 4700.0), (5500.0, 5800.0))


def test_labels_by_hand():
    window = Window(5000, 200, 150)
    assert window.edges == (4650, 4800, 5200, 5350)
    mass = [4649, 4650, 4799, 4800, 5199, 5200, 5349, 5350]
    assert window.label(mass).tolist() == [-1, 0, 0, 1, 1, 0, 0, -1]


def test_windows_fill_the_span():
    found = sliding((4400, 5800), half_width=200, step=100, sideband=150)
    assert [window.centre for window in found] == [4750, 4850, 4950, 5050, 5150, 5250, 5350, 5450]
    assert (found[0].edges[0], found[-1].edges[-1]) == (4400, 5800)
    assert len(sliding((0, 0.7), half_width=0.1, step=0.1, sideband=0.1)) == 4
    assert len(sliding((4400, 5100), half_width=200, step=100, sideband=150)) == 1


def test_a_span_within_the_spectrum():
    within((4400, 5800), SPECTRUM)
    within((4600, 5600), SPECTRUM)


def asked(*, n=2000, **changes):
    m = np.random.default_rng(1).uniform(4400, 5800, n)
    windows = sliding((4400, 5800), half_width=200, step=100, sideband=150)
    demand(windows, m, **{"scale": 1.0, "folds": 5, "eps_b": 0.1} | changes)


def test_enough_events():
    """About 430 a window in the sidebands, as it takes 5 folds and a cut at 0.0125."""
    asked()
    asked(eps_b=0.0125)
    with pytest.raises(ValueError, match=r"expected at least 10 events .* and 5000 in its two"):
        asked(eps_b=0.001)
    asked(eps_b=0.001, scale=13.0)


BAD = {
    "below": (lambda: within((4300, 5800), SPECTRUM), "4400 to 4700, .*; got 4300 to 5800"),
    "above": (lambda: within((4400, 5900), SPECTRUM), "within the spectrum .*; got 4400 to 5900"),
    "gap": (lambda: within((4400, 5800), SPECTRUM[1:]), "within the spectrum of 4400 to 4700, 55"),
    "reversed": (lambda: within((5800, 4400), SPECTRUM), "within the spectrum .*; got 5800 to"),
    "few": (lambda: asked(n=30), r"expected at least 10 events in the window at 4750 GeV"),
    "none": (lambda: asked(n=0), r"got about 0, 0 and 0"),
    "narrow": (
        lambda: sliding((4400, 5000), half_width=200, step=50, sideband=150),
        "expected a range as wide as .* 700 GeV; got 4400 to 5000",
    ),
    "step": (lambda: sliding((0, 1), half_width=0.1, step=0, sideband=0.1), "step above 0; got 0"),
    "many": (
        lambda: sliding((0, 701), half_width=0.25, step=1e-6, sideband=0.25),
        "at most 1000 windows; got 1e-06, which makes 7e",
    ),
    "width": (lambda: Window(5000, 0, 150), "expected a window with widths above 0"),
    "NaN": (lambda: Window(np.nan, 1, 150), "expected a window with widths above 0"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
