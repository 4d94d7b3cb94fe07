"""Figures of a study, from fabricated results."""

import copy

import numpy as np
import pytest
from fabricated_results import (
    CUTS,
    RESULTS,
    STRENGTHS,
    all_collapsed,
    fabricated,
    without_reference,
)
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fivesigma.plots import FIGURES
from fivesigma.series import at_cut, cuts, series, spread


def axes_of(figure):
    return [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("case", [case for case in RESULTS if case != "full"])
def test_every_figure_can_be_drawn_from_every_study(case, name):
    results = RESULTS[case]()
    before = copy.deepcopy(results)
    figure = FIGURES[name](results)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    assert results == before


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_leaves_the_figure(name):
    figure = FIGURES[name](fabricated())
    figure.draw_without_rendering()
    for artist in (
        *figure.legends,
        *(a for axis in figure.axes for a in (axis.title, axis.xaxis.label)),
    ):
        box = artist.get_window_extent()
        assert box.width == 0 or (box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1)
        assert box.height == 0 or (box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1)


def test_axes_carry_units():
    results = fabricated()
    figure = FIGURES["mass_spectrum"](results)
    (axis,) = figure.axes
    n = 0.05 * sum(results["m_jj"]["signal"])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[1:] == [f"signal, {n:,.0f} events", "signal region", "sideband"]
    assert axis.get_xlabel() == "$m_{jj}$ [GeV]"
    assert axis.get_ylabel() == "events / 50 GeV at 139 fb$^{-1}$"
    labels = [axis.get_xlabel() for axis in FIGURES["average_images"](results).axes]
    assert "mean transverse momentum per pixel [GeV]" in labels


def test_significance_draws_medians_of_each_cut():
    results = fabricated(methods=("CWoLa, linear",), strengths=(3.0, 5.0), repeats=6)
    panels = axes_of(FIGURES["significance"](results))
    assert len(panels) == len(CUTS)
    for panel, key in zip(panels, cuts(results), strict=True):
        weak = [p for p in results["points"] if p["label"] == "cwola"]
        expected = [
            np.median([at_cut(p, key, "z_after") for p in weak if p["s_over_sqrt_b"] == s])
            for s in (3.0, 5.0)
        ]
        drawn = [line.get_ydata() for line in panel.lines if len(line.get_xdata()) == 2]
        assert any(np.allclose(y, expected) for y in drawn)


def test_significance_says_how_many_collapsed():
    figure = FIGURES["significance"](fabricated())
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "CWoLa, linear (2 of 36 collapsed)" in texts
    assert "collapsed training" in texts
    assert "central 68 % of trainings" in texts


def test_a_figure_of_few_repeats_says_that_its_band_is_a_range():
    figure = FIGURES["auc"](without_reference())
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "range of trainings" in texts
    assert not any("published" in text for text in texts)


def of_signals(*targets):
    """A study of several signals, whose methods are those of one signal each."""
    results, parts = fabricated(), []
    for target in targets:
        points = copy.deepcopy(results["points"])
        parts += [p | {"target": target, "arm": p["method"]} for p in points]
    for point in parts:
        point["method"] = f"{point['arm']}, {point['target']}"
    rows = results["reach"].items()
    reach = {f"{arm}, {t}": copy.deepcopy(row) for t in targets for arm, row in rows}
    return results | {"points": parts, "reach": reach}


@pytest.mark.parametrize(
    ("name", "panels"), [("significance", 3 * len(CUTS)), ("auc", 3), ("roc_curves", 3 * 3)]
)
def test_each_signal_has_panels_of_its_own(name, panels):
    figure = FIGURES[name](of_signals("ID10", "DD10", "DD50"))
    assert len([axis for axis in figure.axes if axis.axison]) == panels
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sum("CWoLa" in text for text in texts) == 2
    words = [axis.get_title() + axis.get_ylabel() for axis in figure.axes]
    for target in ("ID10", "DD10", "DD50"):
        assert sum(target in text for text in words) == 1


def test_the_reach_is_drawn_for_each_signal_and_method():
    results = of_signals("ID10", "DD10")
    results["reach"]["CWoLa, linear, DD10"]["0.1"]["value"] = 1.25
    results["reach"]["supervised, linear, DD10"]["0.1"] = {"value": 1.5, "status": "measured"}
    panel, *others = FIGURES["reach"](results).axes
    assert len(others) + 1 == len(CUTS)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["ID10", "DD10"]
    drawn = [tuple(line.get_xydata()[0]) for line in panel.lines if line.get_marker() == "o"]
    values = {round(x): y for x, y in drawn}
    assert values == {0: 2.8142, 1: 1.25}
    ceilings = [line.get_ydata()[0] for line in panel.lines if line.get_marker() == "_"]
    assert 1.5 in ceilings
    beyond = [line.get_ydata()[0] for line in others[-1].lines if line.get_marker() == "^"]
    assert beyond == [max(STRENGTHS)] * 4


def test_nine_methods_look_different():
    points = [p for k in range(9) for p in fabricated(methods=(f"CWoLa {k}",), repeats=1)["points"]]
    weak = [one for one in series({"points": points}) if not one.supervised]
    assert len({(one.style["color"], one.style["marker"]) for one in weak}) == 9


def test_colours_belong_to_methods():
    one, other, ceiling, other_ceiling = series(fabricated())
    assert one.style["color"] != other.style["color"]
    assert ceiling.supervised
    assert ceiling.style["color"] == one.style["color"]
    assert other_ceiling.style["color"] == other.style["color"]


def test_ceilings_of_a_shared_representation_are_grey():
    methods = series(RESULTS["one training"]())
    colours = [one.style["color"] for one in methods]
    assert len(set(colours)) == 4
    assert [one.name for one in methods][2:] == [
        "supervised, linear",
        "transfer, linear (supervised)",
    ]


def test_a_ceiling_at_every_strength_is_one_training():
    results = fabricated(methods=("CWoLa, linear",), repeats=1)
    first = next(p for p in results["points"] if p["label"] == "supervised")
    for point in results["points"]:
        if point["label"] == "supervised":
            point |= {"auc": first["auc"], "seed": first["seed"]}
    assert [len(one.runs) for one in series(results)] == [6, 1]


def test_spread_is_the_range_of_few_and_the_central_68_percent_of_many():
    few = spread([3.0, 1.0, 2.0, np.nan])
    assert (few.median, few.low, few.high) == (2, 1, 3)
    many = spread(list(range(101)))
    assert many.median == 50
    assert many.low == pytest.approx(15.865)
    assert many.high == pytest.approx(84.135)
    assert np.isnan(spread([]).median)


def test_a_collapsed_training_counts_as_no_signal():
    (one, _) = series(all_collapsed())
    assert [at_cut(p, "0.01", "z_after") for p in one.points] == [0] * 4
    assert np.isnan(at_cut(one.points[0], "0.01", "threshold"))
    assert np.isnan(at_cut(one.points[0], "0.5", "z_before"))


def test_published_numbers_of_a_method_have_its_colour():
    results = fabricated(methods=("CWoLa, linear", "CWoLa, other"), strengths=(3.0, 5.0), repeats=2)
    for point in results["points"]:
        point["arm"] = point["method"]
    (published,) = results["published"]
    results["published"].append(published | {"arm": "CWoLa, other", "label": "theirs"})
    (handles,) = ([*figure.legends[0].legend_handles] for figure in [FIGURES["auc"](results)])
    colours = {h.get_label(): h.get_color() for h in handles if isinstance(h, Line2D)}
    assert colours["theirs"] == colours["CWoLa, other"] != colours["CWoLa, linear"]


@pytest.mark.parametrize("name", ["auc", "significance"])
def test_published_numbers_of_a_signal_are_drawn_beside_it(name):
    results = of_signals("ID10", "DD10")
    (published,) = results["published"]

    def drawn(**of):
        figure = FIGURES[name](results | {"published": [published | of]})
        return [len(axis.collections) for axis in figure.axes[:4]]

    n, each, first = len(CUTS) if name == "significance" else 1, drawn(), drawn(target="ID10")
    assert first[:n] == each[:n]
    assert all(a < b for a, b in zip(first[n:], each[n:], strict=True) if b)


def test_accuracies_are_drawn_once_for_each_training():
    results = fabricated(methods=("CWoLa, linear",), strengths=(3.0, 5.0), repeats=3)
    figure = FIGURES["accuracy"](results)
    drawn = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    expected = {(p["accuracy"], p["true_accuracy"]) for p in results["points"]}
    assert {tuple(xy) for xy in drawn.tolist()} == expected


def test_at_one_strength_methods_stand_beside_each_other():
    results = fabricated(strengths=(3.0,), repeats=4)
    numbers = {key: {"mean": [4.0, 8.0], "std": [1.0, 1.0]} for key in cuts(results)}
    other = {"label": "other", "arm": series(results)[0].arm, "s_over_sqrt_b": [2, 4]}
    alone = {key: {"mean": [9.0, 9.0]} for key in cuts(results)}
    results["published"] = [other | {"z_after": numbers}, other | {"z_after": alone}]
    figure = FIGURES["significance"](results)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [one.label for one in series(results)]
    for panel, key in zip(axes_of(figure), cuts(results), strict=True):
        drawn = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "|"]
        expected = [
            np.median([at_cut(p, key, "z_after") for p in one.points]) for one in series(results)
        ]
        assert np.allclose(drawn, expected)
        theirs = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "s"]
        assert theirs == [6.0, 9.0]
    assert "3 before the cut" in figure.get_suptitle()
