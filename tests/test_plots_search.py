"""Figures of a search of many methods and signals."""

import numpy as np
import pytest

from fivesigma.plots import SEARCH_FIGURES

STRENGTHS = [0.5, 1.0, 2.0]


def searched(seed, targets, method):
    rng = np.random.default_rng(seed)
    p = {"shape": {"p": rng.random(40).tolist()}}
    row = {
        "s_over_sqrt_b": STRENGTHS,
        "z_calibrated": (rng.random((3, 5)) + seed).tolist(),
        "origin": [["empirical"], ["extrapolated"], ["extrapolated"]],
    }
    power = {target: {"shape": row} for target in targets}
    return {"method": method, "null": {"n_sets": 40, "local": p, "calibrated": p}, "power": power}


@pytest.fixture
def results():
    """Ten methods that learn from the data alone, and one whose network depends on the signal."""
    own = {
        f"method {k}, template": searched(k, ("ID10", "DD10"), f"method {k}, template")
        for k in range(10)
    }
    known = {
        f"experts without {t}, template": searched(20, (t,), "experts, template")
        for t in ("ID10", "DD10")
    }
    return {"search": own | known}


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_no_method_is_missing(results):
    figure = SEARCH_FIGURES["null_p_values"](results)
    for axis in figure.axes:
        assert len(axis.lines) == 1 + 12
    expected = {f"method {k}, template" for k in range(10)} | {"experts, template"}
    assert expected < set(labels(figure))
    assert expected < set(labels(SEARCH_FIGURES["power"](results)))


def test_a_network_has_the_same_look_whichever_signal_it_does_not_know(results):
    figure = SEARCH_FIGURES["power"](results)
    (ours,) = [h for h in figure.legends[0].legend_handles if "experts" in h.get_label()]
    power = results["search"]["experts without ID10, template"]["power"]
    medians = np.median(power["ID10"]["shape"]["z_calibrated"], axis=1)
    for axis in figure.axes:
        drawn = [line for line in axis.lines if len(line.get_xdata()) == 3]
        (line,) = [one for one in drawn if np.allclose(one.get_ydata(), medians)]
        assert line.get_color() == ours.get_color()
    looks = [(h.get_color(), h.get_marker()) for h in figure.legends[0].legend_handles]
    assert len(set(looks)) == len(looks)
