"""Figures of a calibrated search."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .base import BEFORE, DISCOVERY, GREY, INK, RED, STYLE, empty, legend, line_handle, panels
from ..counting import bounded, p_value
from ..series import COLOURS, Results, look, spread

SHOWN = "shape"


@rc_context(STYLE)
def null_p_values(results: Results) -> Figure:
    """Cumulative distribution of p-values without a signal, both axes logarithmic."""
    found = results["search"]
    if not found:
        return empty("no searches")
    looks = _looks(found)
    figure, axes = panels(1, 2, size=(5.2, 4.4), x="all", y="all")
    for axis, kind in zip(axes.flat, ("local", "calibrated"), strict=True):
        axis.plot([1e-4, 1], [1e-4, 1], color=INK, ls=":", lw=1.3)
        for method, one in found.items():
            p = np.sort(one["null"][kind][SHOWN]["p"])
            share = np.arange(1, len(p) + 1) / len(p)
            axis.step(p, share, color=looks[method]["color"], where="post")
        axis.set(xscale="log", yscale="log", title=f"{kind} p-values", xlabel="p")
    n = min(one["null"]["n_sets"] for one in found.values())
    axes[0, 0].set(ylabel="share of data sets below p", xlim=(0.3 / n, 1), ylim=(0.3 / n, 1))
    handles = [line_handle(**one | {"marker": ""}) for one in _once(looks)]
    legend(figure, [*handles, line_handle("means what it says", ls=":", lw=1.3)], side="lower")
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
    looks = _looks(found)
    figure, axes = panels(1, len(targets), size=(max(4.0, 8 / len(targets)), 4.2), y="all")
    for axis, target in zip(axes.flat, targets, strict=True):
        for method, one in found.items():
            if target not in one["power"]:
                continue
            row, style = one["power"][target][SHOWN], looks[method]
            colour, marker = style["color"], style["marker"]
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
    hollow = line_handle("extrapolated", color=GREY, marker="o", mfc="white", ls="")
    legend(figure, [*(line_handle(**one) for one in _once(looks)), hollow], side="lower")
    return figure


def _looks(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name and style of each method, shared by networks that differ in the signal not known."""
    order = list(dict.fromkeys(one["method"] for one in found.values()))
    return {
        name: look(order.index(one["method"])) | {"label": one["method"]}
        for name, one in found.items()
    }


def _once(looks: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return list({one["label"]: one for one in looks.values()}.values())


@rc_context(STYLE)
def data_spectrum(results: Results) -> Figure:
    """Events of the data by mass [GeV], before and behind each cut, a panel a method.

    Dotted is the background that is expected behind a cut in the signal region, with a band of its
    error, spread evenly over the bins.
    """
    found = {name: one["data"] for name, one in results["search"].items() if "data" in one}
    if not found:
        return empty("no data were searched")
    columns = min(2, len(found))
    figure, axes = panels(-(-len(found) // columns), columns, size=(5.6, 3.9), x="all", y="all")
    windows = results["regions"]["signal_region"]
    for axis, (method, one) in zip(axes.flat, found.items(), strict=False):
        edges, counts = np.array(one["m_jj"]["edges_gev"]), one["m_jj"]["counts"]
        axis.stairs(counts["all"], edges, color=INK)
        for colour, cut in zip(cycle(COLOURS), one["cuts"], strict=False):
            axis.stairs(counts[f"{cut['eps_b']:g}"], edges, color=colour)
            B, sigma = cut["background"]["value"], cut["background"]["error"]
            per_bin = (edges[1] - edges[0]) / sum(high - low for low, high in windows)
            for low, high in windows:
                band = np.array([max(B - sigma, 0), B + sigma]) * per_bin
                axis.fill_between([low, high], *band, color=colour, alpha=0.35, lw=0)
                axis.plot([low, high], [B * per_bin] * 2, color=colour, ls=":", lw=1.3)
        axis.set(yscale="log", ylim=(0.3, None), title=method, xlabel="$m_{jj}$ [GeV]")
    for axis in axes[:, 0]:
        axis.set_ylabel(f"events / {edges[1] - edges[0]:g} GeV")
    for axis in axes.flat[len(found) :]:
        axis.set_axis_off()
    names = [f"cut at {100 * cut['eps_b']:g} %" for cut in one["cuts"]]
    handles = [line_handle(n, color=c) for n, c in zip(names, cycle(COLOURS), strict=False)]
    expected = Patch(color=GREY, alpha=0.35, lw=0, label="expected background")
    legend(figure, [line_handle("all events"), *handles, expected], side="lower")
    return figure


@rc_context(STYLE)
def hunt(results: Results) -> Figure:
    """Local p-value against the centre of the window, a panel a method.

    The band is that of data sets without a signal; the line is of the data, or, where there are
    none, of the median data set with the strongest signal.
    """
    found = results["hunt"]
    figure, axes = panels(1, len(found), size=(max(4.6, 8.4 / len(found)), 4.2), y="all")
    for axis, (method, one) in zip(axes.flat, found.items(), strict=True):
        x = [window["centre_gev"] for window in one["null"]["windows"]]
        band = [window["z_local"] for window in one["null"]["windows"]]
        low, high = ([p_value(z[key]) for z in band] for key in ("low", "high"))
        axis.fill_between(x, low, high, color=GREY, alpha=0.35, lw=0)
        axis.plot(x, [p_value(z["median"]) for z in band], color=GREY, lw=1.2)
        for colour, (_, p) in zip(cycle(COLOURS), _lines(one), strict=False):
            axis.plot(x, p, color=colour, marker="o", ms=4)
        axis.set(yscale="log", title=method, xlabel="centre of the window [GeV]")
        axis.text(0.03, 0.04, _global_text(one), transform=axis.transAxes, fontsize=9.5)
    deepest = max(2.5, *(bounded(p).max() for one in found.values() for _, p in _lines(one)), 0)
    axes[0, 0].set(ylabel="local p-value", ylim=(p_value(deepest + 1.2), 1))
    for axis in axes.flat:
        _sigmas(axis, deepest + 1.2)
    names = list(dict.fromkeys(name for one in found.values() for name, _ in _lines(one)))
    handles: list[Artist] = [Patch(color=GREY, alpha=0.35, lw=0, label="68 % without a signal")]
    handles += [
        line_handle(n, color=c, marker="o") for n, c in zip(names, cycle(COLOURS), strict=False)
    ]
    legend(figure, handles, side="lower")
    return figure


def _lines(one: Mapping[str, Any]) -> list[tuple[str, npt.NDArray[np.float64]]]:
    """What is drawn of a method: name and local p-values of the windows, shape (W,)."""
    if "data" in one:
        return [("data", np.array([w["p_local"] for w in one["data"]["windows"]]))]
    return [
        (f"{target}, S/√B = {row['s_over_sqrt_b'][-1]:g}", p_value(row["z_local"][-1]))
        for target, row in one["power"].items()
    ]


def _global_text(one: Mapping[str, Any]) -> str:
    if "data" not in one:
        return f"without a signal: global p uniform with p = {one['null']['global']['ks_p']:.2g}"
    data, best = one["data"]["global"], one["data"]["best"]
    return (
        f"global p = {data['p']:.2g} ({data['z']:.1f}σ, {data['origin']})\n"
        f"smallest at {best['centre_gev']:g} GeV"
    )


def _sigmas(axis: Axes, deepest: float) -> None:
    """Lines at whole significances, named on a second axis."""
    z = np.arange(0, int(deepest) + 1)
    for level in z[1:]:
        colour = RED if level == DISCOVERY else INK
        axis.axhline(p_value(level), color=colour, lw=0.9, ls=":", zorder=1)
    right = axis.secondary_yaxis("right")
    right.set_yticks(p_value(z), [f"{level}σ" for level in z])
    right.minorticks_off()


@rc_context(STYLE)
def known_signals(results: Results) -> Figure:
    """Shares of the known signals that a method fits, a panel a method, a row a signal.

    Bars are the central 68 % of data sets without a signal; marks are of the data, or, where there
    are none, medians and 68 % of data sets with the strongest signal.
    """
    found = results["known"]
    rows = max(len(one["null"]) for one in found.values())
    width = max(3.6, 8.4 / len(found))
    figure, axes = panels(1, len(found), size=(width, 1.4 + 0.26 * rows), x="all")
    drawn: dict[str, str] = {}
    for axis, (method, one) in zip(axes.flat, found.items(), strict=True):
        names = list(one["null"])[::-1]
        for y, name in enumerate(names):
            null = one["null"][name]
            axis.barh(y, null["high"] - null["low"], left=null["low"], color=GREY, alpha=0.35)
            for label, shares in _marked(one):
                drawn.setdefault(label, COLOURS[len(drawn) % len(COLOURS)])
                share = {"low": None} | shares[name]
                if share["low"] is not None:
                    axis.plot([share["low"], share["high"]], [y, y], color=drawn[label], lw=1.5)
                axis.plot([share["median"]], [y], color=drawn[label], marker="o", ls="")
        axis.set_yticks(range(len(names)), names)
        axis.set(title=method, xlabel="share of the signal", xlim=(0, 1))
    handles: list[Artist] = [Patch(color=GREY, alpha=0.35, lw=0, label="68 % without a signal")]
    handles += [line_handle(n, color=c, marker="o", ls="") for n, c in drawn.items()]
    legend(figure, handles, side="lower")
    return figure


def _marked(one: Mapping[str, Any]) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """What is marked of a method: a name, and shares by known signal."""
    if "data" in one:
        shares = one["data"]["shares"].items()
        return [("data", {name: {"median": share} for name, share in shares})]
    return [
        (f"{target}, S/√B = {at[-1]['s_over_sqrt_b']:g}", at[-1]["shares"])
        for target, at in one["power"].items()
    ]
