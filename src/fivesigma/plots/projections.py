"""Figures of a projection."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from .base import DISCOVERY, INK, PROCESSES, RED, STYLE, empty, legend, line_handle, panels
from ..series import COLOURS, MARKERS, Results, varying

MOST = 6
"""Points of which curves are shown."""
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)))
LEGIBLE = 40


@rc_context(STYLE)
def significance_by_threshold(results: Results) -> Figure:
    """Z behind a threshold on the score against the threshold: mean over repeats and its spread."""
    looks, points = _looks(results), _points(results)
    figure, axes = _grid(len(points))
    for axis, point in zip(axes.flat, points, strict=False):
        for method, by_point in results["projection"]["methods"].items():
            if point in by_point:
                curves = by_point[point]["curves"]
                _band(axis, curves["threshold"], curves["z"], looks[method])
        axis.set(title=point, xlabel="threshold on the score", xlim=(0, 1), ylim=(0, None))
    axes[0, 0].set_ylabel("significance $Z$")
    legend(figure, [line_handle(m, **look) for m, look in looks.items()], side="right")
    return figure


@rc_context(STYLE)
def yields_by_threshold(results: Results) -> Figure:
    """Signal and background expected behind a threshold, a panel a method, at the first point."""
    point, shown = _points(results)[0], _at_first(results)
    figure, axes = _grid(len(shown))
    for axis, (method, found) in zip(axes.flat, shown.items(), strict=False):
        for key, colour in (("n_s", PROCESSES["signal"]), ("n_b", INK)):
            _band(axis, found["curves"]["threshold"], found["curves"][key], {"color": colour})
        axis.set_title(f"{method}, {point}", fontsize=10)
        axis.axvline(found["threshold"]["mean"], color=RED, lw=1.1, ls=":")
        axis.set(yscale="log", xlabel="threshold on the score", xlim=(0, 1))
    axes[0, 0].set_ylabel(f"events at {results['luminosity_fb']:g} fb$^{{-1}}$")
    handles = [line_handle("signal", color=PROCESSES["signal"]), line_handle("background")]
    chosen = line_handle("threshold of the validation events", color=RED, lw=1.1, ls=":")
    legend(figure, [*handles, chosen], side="lower")
    return figure


@rc_context(STYLE)
def scanned_significance(results: Results) -> Figure:
    """Z against the scanned parameter, or a map of it, a panel a method, if two are scanned."""
    names = varying(results["projection"]["points"])
    if not names:
        return empty("one point of the signal, no scan")
    return _map(results, names[:2]) if len(names) > 1 else _line(results, names[0])


def _line(results: Results, name: str) -> Figure:
    points = results["projection"]["points"]
    figure, ((axis,),) = panels(1, 1, size=(8.5, 4.6))
    looks = _looks(results)
    for (method, by_point), marker in zip(
        results["projection"]["methods"].items(), MARKERS * len(looks), strict=False
    ):
        rows = sorted((points[p][name], found["numbers"]["z"]) for p, found in by_point.items())
        x, z = [row[0] for row in rows], [row[1] for row in rows]
        error = [one["std"] or 0 for one in z]
        look = looks[method] | {"marker": marker, "capsize": 2}
        axis.errorbar(x, [one["mean"] for one in z], error, **look)
    axis.axhline(DISCOVERY, color=RED, lw=1.1)
    axis.set(xlabel=name.replace("_", " "), ylabel="significance $Z$", yscale="log")
    handles = [line_handle(m, **look) for m, look in looks.items()]
    legend(figure, [*handles, line_handle("5σ", color=RED, lw=1.1)], side="right")
    return figure


def _map(results: Results, names: list[str]) -> Figure:
    points, methods = results["projection"]["points"], results["projection"]["methods"]
    x, y = (sorted({point[name] for point in points.values()}) for name in names)
    size = (max(3.6, 0.6 * len(x) + 1.2), max(2.8, 0.5 * len(y) + 1.2))
    figure, axes = _grid(len(methods), size=size)
    z = {method: np.full((len(y), len(x)), np.nan) for method in methods}
    for method, by_point in methods.items():
        for point, found in by_point.items():
            place = y.index(points[point][names[1]]), x.index(points[point][names[0]])
            z[method][place] = found["numbers"]["z"]["mean"]
    top = float(np.nanmax([*z.values()]))
    for axis, (method, found) in zip(axes.flat, z.items(), strict=False):
        shown = axis.imshow(found, origin="lower", cmap="viridis", norm=Normalize(0, top))
        for (row, column), value in np.ndenumerate(found):
            if np.isfinite(value):
                colour = "white" if value < 0.6 * top else "black"
                axis.text(column, row, f"{value:.2g}", color=colour, ha="center", va="center")
        axis.grid(visible=False)
        axis.set_xticks(range(len(x)), [f"{a:g}" for a in x])
        axis.set_yticks(range(len(y)), [f"{a:g}" for a in y])
        axis.set(title=method, xlabel=names[0].replace("_", " "))
        axis.set_ylabel(names[1].replace("_", " "))
    figure.colorbar(shown, ax=axes, location="right", label="significance $Z$", shrink=0.9)
    return figure


@rc_context(STYLE)
def losses_by_epoch(results: Results) -> Figure:
    """Loss by epoch, a panel a method, a pair of lines a repeat, at the first point."""
    point = _points(results)[0]
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for one in results["trainings"]:
        if one["point"] == point and one.get("train_loss"):
            runs.setdefault(one["method"], []).append(one)
    if not runs:
        return empty("no learning curves")
    figure, axes = _grid(len(runs))
    hues = colormaps["viridis"](np.linspace(0, 0.88, max(map(len, runs.values()))))
    for axis, (method, repeats) in zip(axes.flat, runs.items(), strict=False):
        for one, hue in zip(repeats, hues, strict=False):
            for key, dashes in (("train_loss", ":"), ("validation_loss", "-")):
                epochs = range(1, len(one[key]) + 1)
                marker = "." if len(one[key]) == 1 else ""
                axis.plot(epochs, one[key], color=hue, ls=dashes, lw=1.1, marker=marker)
        axis.set(title=method, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel("loss")
    handles = [line_handle("validation", lw=1.1), line_handle("training", lw=1.1, ls=":")]
    legend(figure, handles, side="lower")
    return figure


@rc_context(STYLE)
def correlations(results: Results) -> Figure:
    """Pearson's correlations of the features, of the signal and of the weighted background."""
    found, names = results["projection"]["correlations"], results["projection"]["features"]
    n = len(names)
    side = min(9.0, 3.2 + 0.16 * n)
    figure, axes = panels(1, len(found), size=(side, side), x="all", y="all")
    letters = 8.0 if n < LEGIBLE else 350 / n
    for axis, (process, matrix) in zip(axes.flat, found.items(), strict=True):
        shown = axis.imshow(np.array(matrix), cmap="RdBu_r", norm=Normalize(-1, 1))
        axis.grid(visible=False)
        axis.set_title(process)
        axis.set_xticks(range(n), names, rotation=90, fontsize=letters)
        axis.set_yticks(range(n), names, fontsize=letters)
    figure.colorbar(shown, ax=axes, location="right", label="correlation", shrink=0.8)
    return figure


def _points(results: Results) -> list[str]:
    return list(results["projection"]["points"])[:MOST]


def _at_first(results: Results) -> dict[str, Mapping[str, Any]]:
    """What each method has found at the first point."""
    point = _points(results)[0]
    methods = results["projection"]["methods"].items()
    return {method: by_point[point] for method, by_point in methods if point in by_point}


def _looks(results: Results) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each method."""
    return {
        method: {
            "color": COLOURS[i % len(COLOURS)],
            "ls": DASHES[i // len(COLOURS) % len(DASHES)],
            "lw": 1.5,
        }
        for i, method in enumerate(results["projection"]["methods"])
    }


def _grid(n: int, size: tuple[float, float] | None = None) -> tuple[Figure, npt.NDArray[Any]]:
    """A figure of n panels of a size, in rows of at most three; others are switched off."""
    columns = 2 if n == 4 else min(3, max(n, 1))
    figure, axes = panels(-(-n // columns) or 1, columns, size=size or (max(4.0, 8 / columns), 3.6))
    for axis in axes.flat[n:]:
        axis.set_axis_off()
    return figure, axes


def _band(
    axis: Axes, x: list[float], curve: Mapping[str, list[float]], look: Mapping[str, Any]
) -> None:
    mean, std = np.array(curve["mean"]), np.array(curve["std"])
    axis.plot(x, mean, **look)
    axis.fill_between(x, mean - std, mean + std, color=look["color"], alpha=0.15, lw=0)
