"""Figures of a calibrated search."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from .base import BEFORE, DISCOVERY, GREY, INK, RED, STYLE, empty, legend, line_handle, panels
from ..calibration import bounded
from ..series import COLOURS, MARKERS, Results, spread

SHOWN = "shape"


@rc_context(STYLE)
def null_p_values(results: Results) -> Figure:
    """Cumulative distribution of p-values without a signal, both axes logarithmic."""
    found = results["search"]
    if not found:
        return empty("no searches")
    figure, axes = panels(1, 2, size=(5.2, 4.4), x="all", y="all")
    for axis, kind in zip(axes.flat, ("local", "calibrated"), strict=True):
        axis.plot([1e-4, 1], [1e-4, 1], color=INK, ls=":", lw=1.3)
        for colour, one in zip(COLOURS, found.values(), strict=False):
            p = np.sort(one["null"][kind][SHOWN]["p"])
            share = np.arange(1, len(p) + 1) / len(p)
            axis.step(p, share, color=colour, where="post")
        axis.set(xscale="log", yscale="log", title=f"{kind} p-values", xlabel="p")
    n = min(one["null"]["n_sets"] for one in found.values())
    axes[0, 0].set(ylabel="share of data sets below p", xlim=(0.3 / n, 1), ylim=(0.3 / n, 1))
    methods = [line_handle(m, color=c) for c, m in zip(COLOURS, found, strict=False)]
    legend(figure, [*methods, line_handle("means what it says", ls=":", lw=1.3)], side="lower")
    return figure


@rc_context(STYLE)
def fakes(results: Results) -> Figure:
    """Range of significances without a signal, a row a method and cut."""
    rows: list[tuple[str, str, dict[str, Any], list[float]]] = []
    for method, one in results["search"].items():
        for name, z in one["null"]["naive_z"].items():
            p = np.array(one["null"]["local"][name]["p"])
            rows.append((method, name, z, bounded(p).tolist()))
    if not rows:
        return empty("the common recipe was left out")
    figure, ((axis,),) = panels(1, 1, size=(10, 1.6 + 0.32 * len(rows)))
    for i, (_, _, z, own) in enumerate(rows):
        axis.plot([z["low"], z["high"]], [i, i], color=RED)
        axis.plot([z["median"]], [i], color=RED, marker="o", ls="")
        s = spread(own)
        axis.plot([s.low, s.high], [i + 0.25] * 2, color=COLOURS[0])
        axis.plot([s.median], [i + 0.25], color=COLOURS[0], marker="s", ls="")
    labels = [f"{method}, {100 * float(name):g} %" for method, name, *_ in rows]
    axis.set_yticks(range(len(rows)), labels)
    axis.axvline(0, color=GREY, lw=1)
    axis.axvline(DISCOVERY, color=RED, lw=1, ls=":")
    axis.set(xlabel="significance without a signal: median and 68 % of data sets")
    marks = [("common recipe", RED, "o"), ("this chain, local", COLOURS[0], "s")]
    legend(figure, [line_handle(t, color=c, marker=m) for t, c, m in marks], side="lower")
    return figure


@rc_context(STYLE)
def power(results: Results) -> Figure:
    """Median calibrated significance against S/sqrt(B), a panel a signal."""
    found = results["search"]
    targets = list(dict.fromkeys(t for one in found.values() for t in one["power"]))
    if not targets:
        return empty("no signal was injected")
    figure, axes = panels(1, len(targets), size=(max(4.0, 8 / len(targets)), 4.2), y="all")
    for axis, target in zip(axes.flat, targets, strict=True):
        for colour, marker, one in zip(COLOURS, MARKERS, found.values(), strict=False):
            if target not in one["power"]:
                continue
            row = one["power"][target][SHOWN]
            x, s = np.array(row["s_over_sqrt_b"]), [spread(z) for z in row["z_calibrated"]]
            axis.plot(x, [a.median for a in s], color=colour, lw=1.5)
            axis.fill_between(x, [a.low for a in s], [a.high for a in s], color=colour, alpha=0.15)
            for a, b, origin in zip(x, s, row["origin"], strict=True):
                fill = "white" if "extrapolated" in origin else colour
                axis.plot([a], [b.median], marker=marker, mfc=fill, color=colour, ls="")
        for z in (3.0, DISCOVERY):
            axis.axhline(z, color=RED, lw=1.1, ls="-" if z == DISCOVERY else ":")
        axis.set(title=target, xlabel=BEFORE)
    axes[0, 0].set_ylabel("calibrated local significance")
    pairs = zip(COLOURS, MARKERS, found, strict=False)
    handles = [line_handle(m, color=c, marker=k) for c, k, m in pairs]
    hollow = line_handle("extrapolated", color=GREY, marker="o", mfc="white", ls="")
    legend(figure, [*handles, hollow], side="lower")
    return figure
