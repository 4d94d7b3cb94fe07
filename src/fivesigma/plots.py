"""The figures of a study: one function a figure, from the records of results.json.

Each takes the content of results.json, even without trainings, and opens no window.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .series import (
    FEW,
    GREYS,
    Point,
    Results,
    Series,
    at_cut,
    cuts,
    number,
    series,
    spread,
)

Array = npt.NDArray[np.float64]
Share = Literal["none", "all", "row"]

STYLE: Any = {
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e9e9e9",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.8,
    "patch.linewidth": 1.8,
}
INK, GREY, RED = "#333333", "#9a9a9a", "#b00020"
PROCESSES = {"background": "#c3ccd5", "signal": "#d55e00"}
SHADES = ("#f0c808", "#56b4e9", "#cc79a7", "#009e73")
STRENGTH = "$S/\\sqrt{B}$"
BEFORE = f"{STRENGTH} before the cut"
DISCOVERY = 5.0


def _strengths(shown: Sequence[Series]) -> list[float]:
    return sorted({x for one in shown for x in one.by_strength()})


def _empty(text: str) -> Figure:
    figure = Figure(figsize=(7.5, 2.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY, fontsize=13)
    return figure


def _panels(
    rows: int, columns: int, *, size: tuple[float, float], x: Share = "none", y: Share = "none"
) -> tuple[Figure, npt.NDArray[Any]]:
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=x, sharey=y)


def _line(label: str, **style: object) -> Line2D:
    look: dict[str, Any] = {"color": INK, **style}
    return Line2D([], [], label=label, **look)


def _legend(figure: Figure, handles: Sequence[Artist], *, side: Literal["lower", "right"]) -> None:
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(13.5 * figure.get_figwidth() / (longest + 7)) if side == "lower" else 1
    place: Any = f"outside {side} center"
    figure.legend(handles=handles, loc=place, ncols=max(1, columns))


def _spread_handles(shown: Sequence[Series]) -> list[Artist]:
    """What the methods, bands, faint points and crosses of `_draw_spread` mean."""
    handles: list[Artist] = [_line(one.label, **one.style) for one in shown]
    sizes = {len(g) for one in shown if not one.supervised for g in one.by_strength().values()}
    if sizes and max(sizes) > 1:
        mixed = f" (range below {FEW})" if min(sizes) < FEW else ""
        text = f"central 68 % of trainings{mixed}" if max(sizes) >= FEW else "range of trainings"
        handles.append(Patch(color=GREY, alpha=0.35, lw=0, label=text))
        handles.append(_line("one training", color=GREY, ls="", marker="o", ms=3.5, alpha=0.7))
    if any(point["collapsed"] for one in shown for point in one.points):
        handles.append(_line("collapsed training", ls="", marker="x", ms=6.5))
    return handles


def _draw_median(axis: Axes, one: Series, x: Array, values: Sequence[Sequence[float]]) -> None:
    """The median of each entry of `values` against `x`, with a band if this is no ceiling."""
    s = [spread(v) for v in values]
    if one.supervised and len(x) == 1:
        x, s = np.outer((0.9, 1.1), x).ravel(), s * 2
    look = one.style | ({"marker": ""} if len(x) > 99 else {})
    look |= {"mec": "white", "mew": 0.7, "zorder": 4 - one.supervised}
    axis.plot(x, [a.median for a in s], **look)
    if not one.supervised:
        low, high = [a.low for a in s], [a.high for a in s]
        axis.fill_between(x, low, high, color=look["color"], alpha=0.15, lw=0)
        axis.vlines(x, low, high, color=look["color"], lw=1.2 if len(x) == 1 else 0)


def _draw_spread(axis: Axes, one: Series, value: Callable[[Point], float]) -> None:
    """A number of the trainings against S/sqrt(B): the median, the band and every training."""
    groups = one.by_strength()
    x = np.array(list(groups))
    _draw_median(axis, one, x, [[value(point) for point in group] for group in groups.values()])
    dot = {"color": one.style["color"], "ls": ""}
    for point in one.points:
        xy = [float(point["s_over_sqrt_b"])], [value(point)]
        if point["collapsed"]:
            axis.plot(*xy, marker="x", ms=6.5, mew=1.5, zorder=5, clip_on=False, **dot)
        elif not one.supervised and len(groups[xy[0][0]]) > 1:
            axis.plot(*xy, marker="o", ms=3.5, mew=0, alpha=0.3, **dot)


def _draw_reference(axis: Axes, results: Results, numbers: Mapping[str, Any]) -> Artist:
    reference = results["reference"]
    x = numbers.get("s_over_sqrt_b", reference["s_over_sqrt_b"])
    mean, std = (np.array(numbers.get(key, 0), dtype=float) for key in ("mean", "std"))
    axis.plot(x, mean, color=GREY, lw=1.3, marker="." if len(x) == 1 else "", zorder=1)
    look = {"color": GREY, "alpha": 0.4, "lw": 0, "zorder": 1, "label": reference["label"]}
    return axis.fill_between(x, mean - std, mean + std, **look)


@rc_context(STYLE)
def significance(results: Results) -> Figure:
    """Z_A after the cut against S/sqrt(B) before it, one panel a background efficiency."""
    shown, keys = series(results), cuts(results)
    if not keys:
        return _empty("no trainings")
    figure, axes = _panels(1, len(keys), size=(max(4.3, 6.5 / len(keys)), 4.6), x="all", y="all")
    published, drawn = (results.get("reference") or {}).get("z_after", {}), []
    x = np.array(_strengths(shown))
    for axis, key in zip(axes.flat, keys, strict=True):
        for one in shown:
            _draw_spread(axis, one, partial(at_cut, eps_b=key, key="z_after"))
        if key in published:
            drawn = [_draw_reference(axis, results, published[key])]
        before = [(p["s_over_sqrt_b"], at_cut(p, key, "z_before")) for p in results["points"]]
        z = [spread([b for a, b in before if a == strength]).median for strength in x]
        axis.plot([0, *x], [0, *z], color=INK, ls=":", lw=1.3, zorder=2)
        axis.axhline(DISCOVERY, color=RED, lw=1.1, zorder=2)
        axis.set(title=f"$\\varepsilon_B$ = {100 * float(key):g} %", xlabel=BEFORE)
    axes[0, 0].set_ylabel("significance after the cut $Z_A$")
    _root_axes(axes[0, 0], x, max(axis.dataLim.y1 for axis in axes.flat))
    handles = _spread_handles(shown) + drawn + [_line("no cut: after = before", ls=":", lw=1.3)]
    _legend(figure, [*handles, _line("5σ", color=RED, lw=1.1)], side="lower")
    return figure


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
        return _empty("no trainings")
    figure, ((axis,),) = _panels(1, 1, size=(11, 4.6))
    for one in shown:
        _draw_spread(axis, one, lambda point: number(point["auc"]))
    published = (results.get("reference") or {}).get("auc")
    drawn = [_draw_reference(axis, results, published)] if published else []
    axis.axhline(0.5, color=INK, ls=":", lw=1.3)
    axis.set(xlabel=BEFORE, ylabel="AUC in the signal region")
    handles = [*_spread_handles(shown), *drawn, _line("no discrimination", ls=":")]
    _legend(figure, handles, side="right")
    return figure


@rc_context(STYLE)
def roc_curves(results: Results) -> Figure:
    """eps_s and the gain eps_s / sqrt(eps_b) against eps_b, at up to three values of S/sqrt(B).

    Curves start where ten background test events are left.
    """
    shown = [one for one in series(results) if any(p.get("roc") for p in one.points)]
    if not shown:
        return _empty("no ROC curves")
    every = [x for x in _strengths(shown) if x > 0] or [0.0]
    chosen = sorted({every[0], every[len(every) // 2], every[-1]})
    n = spread([number(p.get("n_test_background")) for one in shown for p in one.points]).median
    grid = np.geomspace(max(1e-4, min(0.1, 10 / n)) if n > 0 else 1e-3, 1, 120)
    figure, axes = _panels(
        2, len(chosen), size=(max(3.9, 7.4 / len(chosen)), 2.9), x="all", y="row"
    )
    for column, strength in zip(axes.T, chosen, strict=True):
        column[0].set_title(f"{STRENGTH} = {strength:g}")
        column[1].set_xlabel("background efficiency $\\varepsilon_B$")
        for axis, power in zip(column, (0.0, 0.5), strict=True):
            axis.plot(grid, grid ** (1 - power), color=INK, ls=":", lw=1.3)
            for one in shown:
                group = [p["roc"] for p in one.by_strength().get(strength, []) if p.get("roc")]
                if group:
                    curves = [np.interp(grid, r["eps_b"], r["eps_s"]) / grid**power for r in group]
                    _draw_median(axis, one, grid, np.array(curves).T.tolist())
            axis.set(xscale="log", ylim=(0, 1.02 if not power else None))
    axes[0, 0].set_ylabel("signal efficiency $\\varepsilon_S$")
    axes[1, 0].set_ylabel("gain $\\varepsilon_S/\\sqrt{\\varepsilon_B}$")
    bands = [handle for handle in _spread_handles(shown) if isinstance(handle, Patch)]
    handles = [*(_line(one.label, **one.style | {"marker": ""}) for one in shown), *bands]
    _legend(figure, [*handles, _line("no discrimination", ls=":")], side="lower")
    return figure


@rc_context(STYLE)
def learning_curves(results: Results) -> Figure:
    """Loss by epoch, one panel a method, a pair of lines a training; ceilings are grey."""
    shown = [one for one in series(results) if any(p.get("train_loss") for p in one.points)]
    if not shown:
        return _empty("no learning curves")
    columns = 2 if len(shown) == 4 else min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = _panels(rows, columns, size=(max(4.3, 8 / columns), 3.3))
    strengths = _strengths([one for one in shown if not one.supervised])
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
    handles = [_line("validation", lw=1.1), _line("training", lw=1.1, ls=":")]
    handles += [_line(f"{STRENGTH} = {x:g}", color=colour) for x, colour in colours.items()]
    _legend(figure, handles, side="lower")
    return figure


@rc_context(STYLE)
def mass_spectrum(results: Results) -> Figure:
    """Expected events in bins of m_jj [GeV] at the luminosity, with the regions shaded."""
    m = results.get("m_jj")
    if not m:
        return _empty("no mass spectrum")
    figure, ((axis,),) = _panels(1, 1, size=(9.5, 4.6))
    edges = np.array(m["edges_gev"], dtype=float)
    drawn: list[float] = []
    for process, colour in PROCESSES.items():
        n, scale = np.array(m[process], dtype=float), m.get(f"{process}_scale") or 1.0
        fill, up, down = process == "background", n + np.sqrt(n), n - np.sqrt(n)
        label = f"{process}, {n.sum() * scale:,.0f} events"
        axis.stairs(n * scale, edges, label=label, fill=fill, color=colour, zorder=3 - 2 * fill)
        band = {"fill": True, "color": INK if fill else colour, "alpha": 0.25, "lw": 0}
        axis.stairs(up * scale, edges, baseline=down * scale, **band)
        drawn.extend(n[n > 0] * scale)
    for (name, spans), colour in zip((results.get("regions") or {}).items(), SHADES, strict=False):
        for i, (low, high) in enumerate(spans):
            text = None if i else name.replace("_", " ")
            axis.axvspan(low, high, color=colour, alpha=0.18, lw=0, label=text)
    if drawn:
        axis.set(yscale="log", ylim=(max(min(drawn) / 2, max(drawn) / 1e6), 2 * max(drawn)))
    width = np.diff(edges)
    unit = f"{width[0]:g} GeV" if np.allclose(width, width[0]) else "bin"
    axis.set(xlabel="$m_{jj}$ [GeV]", xlim=edges[[0, -1]])
    axis.set_ylabel(f"events / {unit} at {results['luminosity_fb']:g} fb$^{{-1}}$")
    _legend(figure, axis.get_legend_handles_labels()[0], side="right")
    return figure


@rc_context(STYLE)
def average_images(results: Results) -> Figure:
    """Mean image of each jet of signal and background; one colour scale a kind of intensity."""
    kinds = results.get("average_images") or {}
    if not kinds:
        return _empty("no average images")
    figure, axes = _panels(2, 2 * len(kinds), size=(2.7, 3.1), x="all", y="all")
    for k, (kind, images) in enumerate(kinds.items()):
        block = axes[:, 2 * k : 2 * k + 2]
        stack = np.array([images["signal"], images["background"]], dtype=float)
        cmap, top, hit = colormaps["magma"], float(stack.max()) or 1.0, stack[stack > 0]
        log = LogNorm(max(hit.min(), 1e-5 * top), top) if kind == "linear" and hit.size else None
        look = {"norm": log or Normalize(0, top), "cmap": cmap.with_extremes(bad=cmap(0.0))}
        for (row, jet), axis in np.ndenumerate(block):
            # The images are eta by phi, matplotlib draws rows upwards.
            shown = axis.imshow(stack[row, jet].T, origin="lower", extent=(-1, 1, -1, 1), **look)
            process, place = ("signal", "background")[row], ("leading", "subleading")[jet]
            axis.grid(visible=False)
            axis.set_title(f"{process}, {place} jet", fontsize=10)
            axis.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1), xlabel="$\\Delta\\eta$" * row)
        label = f"mean {kind} intensity per pixel"
        label = "mean transverse momentum per pixel [GeV]" if kind == "linear" else label
        figure.colorbar(shown, ax=block, location="bottom", label=label, shrink=0.9, aspect=35)
    for axis in axes[:, 0]:
        axis.set_ylabel("$\\Delta\\phi$")
    return figure


FIGURES: dict[str, Callable[[Results], Figure]] = {
    "significance": significance,
    "auc": auc,
    "roc_curves": roc_curves,
    "learning_curves": learning_curves,
    "mass_spectrum": mass_spectrum,
    "average_images": average_images,
}
