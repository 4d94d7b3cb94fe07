"""Figures against the signal strength S/sqrt(B)."""

from collections.abc import Sequence
from functools import partial, reduce

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .base import (
    BEFORE,
    DISCOVERY,
    GREY,
    INK,
    RED,
    STYLE,
    Array,
    all_strengths,
    draw_published,
    draw_spread,
    empty,
    legend,
    line_handle,
    panels,
    spread_handles,
)
from ..series import Results, Series, at_cut, cuts, number, series, spread


@rc_context(STYLE)
def significance(results: Results) -> Figure:
    """Z_A after the cut against S/sqrt(B) before it, one panel a background efficiency."""
    shown, keys = series(results), cuts(results)
    if not keys:
        return empty("no trainings")
    figure, axes = panels(1, len(keys), size=(max(4.3, 6.5 / len(keys)), 4.6), x="all", y="all")
    drawn: dict[str, Artist] = {}
    x = np.array(all_strengths(shown))
    for axis, key in zip(axes.flat, keys, strict=True):
        for one in shown:
            draw_spread(axis, one, partial(at_cut, eps_b=key, key="z_after"))
        drawn |= _published(axis, results, shown, ["z_after", key])
        before = [(p["s_over_sqrt_b"], at_cut(p, key, "z_before")) for p in results["points"]]
        z = [spread([b for a, b in before if a == strength]).median for strength in x]
        axis.plot([0, *x], [0, *z], color=INK, ls=":", lw=1.3, zorder=2)
        axis.axhline(DISCOVERY, color=RED, lw=1.1, zorder=2)
        axis.set(title=f"$\\varepsilon_B$ = {100 * float(key):g} %", xlabel=BEFORE)
    axes[0, 0].set_ylabel("significance after the cut $Z_A$")
    _root_axes(axes[0, 0], x, max(axis.dataLim.y1 for axis in axes.flat))
    no_cut = line_handle("no cut: after = before", ls=":", lw=1.3)
    handles = [*spread_handles(shown), *drawn.values(), no_cut]
    legend(figure, [*handles, line_handle("5σ", color=RED, lw=1.1)], side="lower")
    return figure


def _published(
    axis: Axes,
    results: Results,
    shown: Sequence[Series],
    path: Sequence[str],
) -> dict[str, Artist]:
    """Draw the numbers that others have published; handles by label.

    They have the colour of the method that they are of, else a grey.
    """
    colours = {str(p.get("arm")): one.style["color"] for one in shown for p in one.points}
    return {
        other["label"]: draw_published(
            axis, other, found, colour=colours.get(str(other.get("arm")), GREY)
        )
        for other in results.get("published") or []
        if (found := reduce(lambda numbers, key: numbers.get(key, {}), path, other))
    }


def _root_axes(axis: Axes, x: Array, top: float) -> None:
    """Both axes in square roots: 5 stays readable beside a ceiling of 50, the diagonal straight."""
    roots, top = (lambda z: np.sqrt(np.maximum(z, 0)), np.square), max(top, 6)
    axis.set_xscale("function", functions=roots)
    axis.set_yscale("function", functions=roots)
    axis.set(xlim=(0.75 * x[0], (1.1 if len(x) > 1 else 1.4) * x[-1] or 1), ylim=(0, 1.1 * top))
    low = (0, 1, 2) if top < 20 else (0, 2)
    axis.set_yticks([z for z in (*low, 5, 10, 20, 30, 50, 75, 100, 150, 200) if z <= top])
    labels, end = [], -np.inf  # of strengths that are close, the first is written
    for place, a in zip(np.sqrt(x / max(x[-1], 1e-9)), x, strict=True):
        written = place - end > 0.1
        labels.append(f"{a:g}" if written else "")
        end = place if written else end
    axis.set_xticks(x, labels)


@rc_context(STYLE)
def auc(results: Results) -> Figure:
    """AUC in the signal region against S/sqrt(B), with its spread over repeats."""
    shown = series(results)
    if not shown:
        return empty("no trainings")
    figure, ((axis,),) = panels(1, 1, size=(11, 4.6))
    for one in shown:
        draw_spread(axis, one, lambda point: number(point["auc"]))
    drawn = _published(axis, results, shown, ["auc"])
    axis.axhline(0.5, color=INK, ls=":", lw=1.3)
    axis.set(xlabel=BEFORE, ylabel="AUC in the signal region")
    handles = [*spread_handles(shown), *drawn.values(), line_handle("no discrimination", ls=":")]
    legend(figure, handles, side="right")
    return figure
