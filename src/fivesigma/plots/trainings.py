"""Figures of trainings: ROC curves, learning curves, accuracies."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .base import (
    INK,
    STRENGTH,
    STYLE,
    Array,
    draw_median,
    empty,
    legend,
    line_handle,
    panels,
    spread_handles,
)
from ..series import (
    GREYS,
    Results,
    Series,
    all_strengths,
    by_arm,
    by_target,
    number,
    series,
    spread,
)

EFFICIENCY, GAIN = 0.0, 0.5
"""Powers of eps_b that eps_s is divided by."""


@rc_context(STYLE)
def roc_curves(results: Results) -> Figure:
    """eps_s and the gain eps_s / sqrt(eps_b) against eps_b, at up to three values of S/sqrt(B).

    Of several signals the gain alone, a row each. Curves start where ten background test events are
    left.
    """
    shown = [one for one in series(results) if any(p.get("roc") for p in one.points)]
    if not shown:
        return empty("no ROC curves")
    every = [x for x in all_strengths(shown) if x > 0] or [0.0]
    chosen = sorted({every[0], every[len(every) // 2], every[-1]})
    n = spread([number(p.get("n_test_background")) for one in shown for p in one.points]).median
    grid = np.geomspace(max(1e-4, min(0.1, 10 / n)) if n > 0 else 1e-3, 1, 120)
    groups = by_target(shown)
    powers = (EFFICIENCY, GAIN) if len(groups) == 1 else (GAIN,)
    rows = [(target, power) for target in groups for power in powers]
    size = max(3.9, 7.4 / len(chosen)), 2.9
    figure, axes = panels(len(rows), len(chosen), size=size, x="all", y="row")
    for row, (target, power) in zip(axes, rows, strict=True):
        for axis, strength in zip(row, chosen, strict=True):
            _draw_roc(axis, groups[target], strength, grid, power)
        name = "signal efficiency $\\varepsilon_S$"
        name = "gain $\\varepsilon_S/\\sqrt{\\varepsilon_B}$" if power else name
        row[0].set_ylabel(f"{target}: {name}" if len(groups) > 1 else name)
    for axis, strength in zip(axes[0], chosen, strict=True):
        axis.set_title(f"{STRENGTH} = {strength:g}")
    for axis in axes[-1]:
        axis.set_xlabel("background efficiency $\\varepsilon_B$")
    arms = by_arm(shown)
    bands = [handle for handle in spread_handles(arms) if isinstance(handle, Patch)]
    handles = [*(line_handle(one.label, **one.style | {"marker": ""}) for one in arms), *bands]
    legend(figure, [*handles, line_handle("no discrimination", ls=":")], side="lower")
    return figure


def _draw_roc(
    axis: Axes, group: Sequence[Series], strength: float, grid: Array, power: float
) -> None:
    """Median curves of the methods at a strength."""
    axis.plot(grid, grid ** (1 - power), color=INK, ls=":", lw=1.3)
    for one in group:
        found = [p["roc"] for p in one.by_strength().get(strength, []) if p.get("roc")]
        if found:
            curves = [np.interp(grid, r["eps_b"], r["eps_s"]) / grid**power for r in found]
            draw_median(axis, one, grid, np.array(curves).T.tolist())
    axis.set(xscale="log", ylim=(0, 1.02 if not power else None))


@rc_context(STYLE)
def learning_curves(results: Results) -> Figure:
    """Loss by epoch, one panel a method, a pair of lines a training; ceilings are grey."""
    shown = [one for one in series(results) if any(p.get("train_loss") for p in one.points)]
    if not shown:
        return empty("no learning curves")
    columns = 2 if len(shown) == 4 else min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = panels(rows, columns, size=(max(4.3, 8 / columns), 3.3))
    strengths = all_strengths([one for one in shown if not one.supervised])
    hues = colormaps["viridis"](np.linspace(0, 0.88, len(strengths)))
    colours = dict(zip(strengths, hues, strict=True))
    for axis, one in zip(axes.flat, shown, strict=False):
        alpha = max(0.3, min(1.0, 8 / len(one.runs)))
        for point in one.runs:
            colour = GREYS[0] if one.supervised else colours[float(point["s_over_sqrt_b"])]
            for key, dashes in (("train", ":"), ("validation", "-")):
                loss = point.get(f"{key}_loss") or []
                look = {"marker": "." if len(loss) == 1 else "", "alpha": alpha, "lw": 1.1}
                axis.plot(range(1, len(loss) + 1), loss, color=colour, ls=dashes, **look)
        axis.set(title=one.label, xlabel="epoch", ylabel="loss")
        axis.xaxis.get_major_locator().set_params(integer=True)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    handles = [line_handle("validation", lw=1.1), line_handle("training", lw=1.1, ls=":")]
    handles += [line_handle(f"{STRENGTH} = {x:g}", color=colour) for x, colour in colours.items()]
    legend(figure, handles, side="lower")
    return figure


@rc_context(STYLE)
def accuracy(results: Results) -> Figure:
    """Accuracy on the labels that were learnt against that on the truth, a point a training."""
    every = series(results)
    shown = [one for one in every if any("true_accuracy" in p for p in one.points)]
    if not shown:
        return empty("no accuracies")
    figure, ((axis,),) = panels(1, 1, size=(9.5, 4.8))
    largest = max(all_strengths(shown)) or 1.0
    for one in shown:
        runs = [p for p in one.runs if "true_accuracy" in p]
        x, y = ([number(p[key]) for p in runs] for key in ("accuracy", "true_accuracy"))
        area = [12 + 60 * float(p["s_over_sqrt_b"]) / largest for p in runs]
        marker = one.style["marker"] or "s"
        axis.scatter(x, y, area, color=one.style["color"], marker=marker, alpha=0.7, lw=0)
    axis.axline((0.5, 0.5), slope=1, color=INK, ls=":", lw=1.3)
    axis.set(xlabel="accuracy on the training labels", ylabel="accuracy on the truth")
    arms = by_arm(shown)
    marks = [one.style | {"ls": "", "marker": one.style["marker"] or "s"} for one in arms]
    handles = [line_handle(one.label, **look) for one, look in zip(arms, marks, strict=True)]
    same = line_handle("both the same", ls=":", lw=1.3)
    sizes = line_handle(f"larger: more {STRENGTH}", ls="", marker="")
    legend(figure, [*handles, same, sizes], side="right")
    return figure
