"""Figures of attributions, from fabricated rankings and maps."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fivesigma.importance import JetMap, Ranking
from fivesigma.plots.attributions import AWAY, importance, jet_maps
from fivesigma.plots.base import PROCESSES


def ranked(n=30):
    size = np.linspace(2, 0.1, n)
    mean = size * np.where(np.arange(n) % 3 == 1, -0.6, 0.8)
    names = tuple(f"observable {k}, leading jet" for k in range(n))
    return Ranking(names, mean, mean - 0.1, mean + 0.1, size, size - 0.05, size + 0.05)


def jet_map(scale, *, pixels=25, half_width=1.0):
    x = (np.arange(pixels) + 0.5) / pixels * 2 - 1
    eta, phi = np.meshgrid(x, x, indexing="ij")
    core, lobe = np.exp(-20 * (eta**2 + phi**2)), np.exp(-30 * ((eta - 0.5) ** 2 + phi**2))
    return JetMap(scale * np.stack([lobe - 0.7 * core, 0.5 * lobe]), half_width)


def test_bars_are_the_most_important_features():
    found = ranked()
    (axis,) = importance({"network": found}, most=6).axes
    bars = axis.patches
    assert [bar.get_width() for bar in bars] == pytest.approx(found.mean[:6])
    assert [text.get_text() for text in axis.get_yticklabels()] == list(found.names[:6])
    low, high = axis.get_ylim()
    assert low > high  # the first on top
    colours = [bar.get_facecolor()[:3] for bar in bars[:2]]
    assert colours == [to_rgb(PROCESSES["signal"]), to_rgb(AWAY)]
    ends = np.array([path[:, 0] for path in axis.collections[0].get_segments()])
    np.testing.assert_allclose(ends, np.stack([found.mean_low, found.mean_high], 1)[:6])
    np.testing.assert_allclose(axis.lines[0].get_xdata(), found.size[:6])
    assert "logit" in axis.get_xlabel()


def test_bars_of_few_features():
    assert len(importance({"network": ranked(1)}).axes[0].patches) == 1


def test_networks_are_rows():
    figure = importance({"one": ranked(3), "other": ranked(5)})
    assert [axis.get_title() for axis in figure.axes] == ["one", "other"]
    assert [len(axis.patches) for axis in figure.axes] == [3, 5]


def test_maps_have_one_scale_about_0_and_eta_to_the_right():
    maps = {"signal": jet_map(0.01), "background": jet_map(-0.002, half_width=0.8)}
    figure = jet_maps(maps)
    panels, bar = figure.axes[:4], figure.axes[4]
    top = np.abs(maps["signal"].values).max()
    for axis, values in zip(panels, [v for m in maps.values() for v in m.values], strict=True):
        (shown,) = axis.images
        assert shown.norm.vmin == -shown.norm.vmax == -top
        assert shown.origin == "lower"
        np.testing.assert_array_equal(shown.get_array(), values.T)
        assert "eta" in axis.get_xlabel()
    assert panels[2].images[0].get_extent() == [-0.8, 0.8, -0.8, 0.8]
    titles = [axis.get_title() for axis in panels]
    assert titles == [f"{p}, {j} jet" for p in maps for j in ("leading", "subleading")]
    assert "[rad]" in panels[0].get_ylabel()
    assert "[logit]" in bar.get_ylabel()


def test_what_is_not_there():
    nothing = np.zeros(0)
    assert importance({"network": Ranking((), *[nothing] * 6)}).texts[0].get_text() == "no features"
    assert jet_maps({}).texts[0].get_text() == "no attributions"
    assert jet_maps({"signal": JetMap(np.zeros((2, 4, 4)), 1.0)}).axes[0].images[0].norm.vmax == 1
