"""Figures against the signal strength S/sqrt(B)."""

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from .base import (
    BEFORE,
    DISCOVERY,
    GREY,
    INK,
    RED,
    STRENGTH,
    STYLE,
    Array,
    draw_published,
    draw_spread,
    empty,
    grid_of_panels,
    legend,
    line_handle,
    panels,
    spread_handles,
)
from ..series import (
    Results,
    Series,
    all_strengths,
    at_cut,
    by_arm,
    by_target,
    cuts,
    number,
    series,
    spread,
)

AFTER = "significance after the cut $Z_A$"


@rc_context(STYLE)
def significance(results: Results) -> Figure:
    """Z_A after the cut against S/sqrt(B) before it: a row a signal, a panel a cut."""
    shown, keys = series(results), cuts(results)
    if not keys:
        return empty("no trainings")
    rows, x = by_target(shown), np.array(all_strengths(shown))
    size = max(4.3, 6.5 / len(keys)), 4.6 if len(rows) == 1 else 3.1
    figure, axes = panels(len(rows), len(keys), size=size, x="all", y="all")
    drawn: dict[str, Artist] = {}
    for row, (target, group) in zip(axes, rows.items(), strict=True):
        for axis, key in zip(row, keys, strict=True):
            for one in group:
                draw_spread(axis, one, partial(at_cut, eps_b=key, key="z_after"))
            drawn |= _published(axis, results, shown, ["z_after", key], target)
            before = [(p["s_over_sqrt_b"], at_cut(p, key, "z_before")) for p in results["points"]]
            z = [spread([b for a, b in before if a == strength]).median for strength in x]
            axis.plot([0, *x], [0, *z], color=INK, ls=":", lw=1.3, zorder=2)
            axis.axhline(DISCOVERY, color=RED, lw=1.1, zorder=2)
        row[0].set_ylabel(f"{target}: $Z_A$ after" if len(rows) > 1 else AFTER)
    for axis, key in zip(axes[0], keys, strict=True):
        axis.set_title(f"$\\varepsilon_B$ = {100 * float(key):g} %")
    for axis in axes[-1]:
        axis.set_xlabel(BEFORE)
    _root_axes(axes[0, 0], x, max(axis.dataLim.y1 for axis in axes.flat))
    no_cut = line_handle("no cut: after = before", ls=":", lw=1.3)
    handles = [*spread_handles(by_arm(shown)), *drawn.values(), no_cut]
    legend(figure, [*handles, line_handle("5σ", color=RED, lw=1.1)], side="lower")
    return figure


def _published(
    axis: Axes,
    results: Results,
    shown: Sequence[Series],
    path: Sequence[str],
    target: str,
) -> dict[str, Artist]:
    """Draw the numbers that others have published of a signal; handles by label.

    They have the colour of the method that they are of, else a grey.
    """
    colours = {str(p.get("arm")): one.style["color"] for one in shown for p in one.points}
    return {
        other["label"]: draw_published(
            axis, other, found, colour=colours.get(str(other.get("arm")), GREY)
        )
        for other in results.get("published") or []
        if other.get("target") in (None, target)
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
    """AUC in the signal region against S/sqrt(B), with its spread; a panel a signal."""
    shown = series(results)
    if not shown:
        return empty("no trainings")
    groups = by_target(shown)
    size = (11.0, 4.6) if len(groups) == 1 else (4.6, 3.4)
    figure, axes = grid_of_panels(len(groups), columns=4, size=size)
    drawn: dict[str, Artist] = {}
    for axis, (target, group) in zip(axes, groups.items(), strict=True):
        for one in group:
            draw_spread(axis, one, lambda point: number(point["auc"]))
        drawn |= _published(axis, results, shown, ["auc"], target)
        axis.axhline(0.5, color=INK, ls=":", lw=1.3)
        axis.set(xlabel=BEFORE, title=target if len(groups) > 1 else "")
    axes[0].set_ylabel("AUC in the signal region" if len(groups) == 1 else "AUC")
    handles = [*spread_handles(by_arm(shown)), *drawn.values()]
    no_discrimination = line_handle("no discrimination", ls=":")
    side: Literal["right", "lower"] = "right" if len(groups) == 1 else "lower"
    legend(figure, [*handles, no_discrimination], side=side)
    return figure


@rc_context(STYLE)
def reach(results: Results) -> Figure:
    """S/sqrt(B) for 5 sigma of each method, with its interval: signals side by side, a panel a cut.

    A hollow triangle is a reach beyond the strengths that were looked at.
    """
    shown, keys, found = series(results), cuts(results), results.get("reach") or {}
    if not any(found.values()):
        return empty("no reach")
    targets, arms = list(by_target(shown)), by_arm(shown)
    offsets = dict(zip([one.arm for one in arms], np.linspace(-0.35, 0.35, len(arms)), strict=True))
    width = max(8 / len(keys), 1.6 + 0.3 * len(targets) + 0.05 * len(arms) * len(targets))
    size, columns = (min(width, 7.5), 4.4), 4 if len(targets) < 5 else 2
    figure, axes = grid_of_panels(len(keys), columns=columns, size=size)
    for axis, key in zip(axes, keys, strict=True):
        for one in shown:
            entry = found.get(str(one.points[0]["method"]), {}).get(key)
            place = targets.index(one.target) + offsets[one.arm]
            _draw_reach(axis, one, place, entry or {})
        axis.set(title=f"$\\varepsilon_B$ = {100 * float(key):g} %", yscale="log")
        axis.set_xticks(range(len(targets)), targets)
        axis.grid(axis="x", visible=False)
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_formatter("")
    axes[0].set_ylabel(f"reach: {STRENGTH} for 5σ")
    legend(figure, [line_handle(one.name, **_dot(one)) for one in arms], side="lower")
    return figure


def _draw_reach(axis: Axes, one: Series, x: float, entry: Mapping[str, Any]) -> None:
    look = _dot(one)
    first, last = min(one.by_strength()), max(one.by_strength())
    if entry.get("status") == "measured":
        y = number(entry["value"])
        low = number(entry.get("low", y), otherwise=first)
        high = number(entry.get("high", y), otherwise=last)
        axis.errorbar([x], [y], [[max(y - low, 0)], [max(high - y, 0)]], lw=1.2, **look)
    elif entry.get("status") in ("above grid", "below grid"):
        over = entry["status"] == "above grid"
        look |= {"marker": "^" if over else "v", "mfc": "none"}
        axis.plot([x], [last if over else first], **look)


def _dot(one: Series) -> dict[str, Any]:
    """How a single number of a method is drawn."""
    return {"color": one.style["color"], "marker": one.style["marker"] or "_", "mew": 1.5, "ls": ""}
