"""Methods beside each other at one signal strength."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .base import DISCOVERY, GREY, INK, RED, STRENGTH, STYLE, empty, legend, line_handle, panels
from ..series import Results, Series, at_cut, by_target, cuts, series, spread

SHOWN = ("mean", "std")
OTHERS: dict[str, Any] = {"color": GREY, "marker": "s", "ms": 4.5, "mfc": "none"}


@rc_context(STYLE)
def methods(results: Results, strength: float) -> Figure:
    """Z_A after the cut of each method at one S/sqrt(B): a row of panels a signal, one a cut.

    A thin line is a data set, through the means of its trainings.
    """
    keys = cuts(results)
    groups = {
        target: [one for one in group if strength in one.by_strength()]
        for target, group in by_target(series(results)).items()
    }
    if not keys or not any(groups.values()):
        return empty("no trainings")
    most = max(len(group) for group in groups.values())
    size = max(3.3, 11 / len(keys)), max(2.4, 1.3 + 0.36 * most)
    figure, axes = panels(len(groups), len(keys), size=size, x="all", y="row")
    others = False
    for row, (target, group) in zip(axes, groups.items(), strict=True):
        for axis, key in zip(row, keys, strict=True):
            _draw(axis, group, strength, key)
            others |= _published(axis, results, group, strength, key)
            axis.axvline(DISCOVERY, color=RED, lw=1.1, zorder=1)
        row[0].set_yticks(range(len(group)), [one.label for one in group])
        row[0].set_ylim(len(group) - 0.5, -0.5)
        if len(groups) > 1:
            row[0].set_ylabel(target)
    for axis, key in zip(axes[0], keys, strict=True):
        axis.set_title(f"$\\varepsilon_B$ = {100 * float(key):g} %")
    for axis in axes[-1]:
        axis.set_xlabel("significance after the cut $Z_A$")
    axes[0, 0].set_xlim(left=0)
    figure.suptitle(f"{STRENGTH} = {strength:g} before the cut", fontsize="medium")
    legend(figure, [*_handles(others=others)], side="lower")
    return figure


def _draw(axis: Axes, group: list[Series], strength: float, key: str) -> None:
    """The trainings of each method, their median and spread, and lines of data sets."""
    z_of = partial(at_cut, eps_b=key, key="z_after")
    means: dict[int, dict[int, float]] = {}
    for i, one in enumerate(group):
        points = one.by_strength()[strength]
        z, colour = spread([z_of(p) for p in points]), one.style["color"]
        axis.hlines(i, z.low, z.high, color=colour, alpha=0.2, lw=9)
        axis.plot([z.median], [i], marker="|", ms=15, mew=2.2, color=colour)
        for p in points:
            marker = "x" if p["collapsed"] else "o"
            axis.plot([z_of(p)], [i], marker=marker, ms=4, alpha=0.6, color=colour, mec=colour)
        for repeat in {p["repeat"] for p in points}:
            mean = np.mean([z_of(p) for p in points if p["repeat"] == repeat])
            means.setdefault(repeat, {})[i] = float(mean)
    for found in means.values():
        axis.plot(list(found.values()), list(found), color=GREY, lw=0.8, alpha=0.7, zorder=1)


def _published(
    axis: Axes, results: Results, group: list[Series], strength: float, key: str
) -> bool:
    """Published means and standard deviations, between two strengths if need be; whether any."""
    drawn = False
    rows = {one.arm: i for i, one in enumerate(group)}
    for other in results.get("published") or []:
        numbers = (other.get("z_after") or {}).get(key)
        x = (numbers or {}).get("s_over_sqrt_b", other.get("s_over_sqrt_b") or [])
        here = other.get("target") in (None, group[0].target) and other.get("arm") in rows
        if not numbers or "mean" not in numbers or not here or not x[0] <= strength <= x[-1]:
            continue
        mean, std = (np.interp(strength, x, numbers.get(k, 0 * np.array(x))) for k in SHOWN)
        axis.errorbar([mean], [rows[other["arm"]] + 0.25], xerr=[std], lw=1, **OTHERS)
        drawn = True
    return drawn


def _handles(*, others: bool) -> Iterator[Artist]:
    yield line_handle("one training", ls="", marker="o", ms=4, alpha=0.6)
    yield line_handle("median", ls="", marker="|", ms=12, mew=2.2)
    yield Patch(color=INK, alpha=0.2, lw=0, label="central 68 % (range of fewer than five)")
    yield line_handle("one data set", color=GREY, lw=0.8)
    if others:
        label = "published: mean and standard deviation"
        yield line_handle(label, **OTHERS, ls="")
    yield line_handle("5σ", color=RED, lw=1.1)
