"""What the figures of a study share: style, panels, legends, and numbers with their spread."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..series import FEW, Point, Series, spread

Array = npt.NDArray[np.float64]
Share = Literal["none", "all", "row"]

STYLE: Any = {
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
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


def empty(text: str) -> Figure:
    """A figure that says what is not there."""
    figure = Figure(figsize=(7.5, 2.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY, fontsize=13)
    return figure


def panels(
    rows: int, columns: int, *, size: tuple[float, float], x: Share = "none", y: Share = "none"
) -> tuple[Figure, npt.NDArray[Any]]:
    """A figure of panels of a size [inches], and its axes, shape (rows, columns)."""
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=x, sharey=y)


def grid_of_panels(n: int, *, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of n panels with the same axes, some in a row, of a size each [inches]."""
    columns = min(n, columns)
    figure, axes = panels(-(-n // columns), columns, size=size, x="all", y="all")
    for axis in axes.flat[n:]:
        axis.set_axis_off()
    return figure, list(axes.flat[:n])


def line_handle(label: str, **style: object) -> Line2D:
    """A line for a legend."""
    look: dict[str, Any] = {"color": INK, **style}
    return Line2D([], [], label=label, **look)


def legend(figure: Figure, handles: Sequence[Artist], *, side: Literal["lower", "right"]) -> None:
    """One legend of all panels."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(13.5 * figure.get_figwidth() / (longest + 7)) if side == "lower" else 1
    place: Any = f"outside {side} center"
    figure.legend(handles=handles, loc=place, ncols=max(1, columns))


def spread_handles(shown: Sequence[Series]) -> list[Artist]:
    """What the methods, bands, faint points and crosses of `draw_spread` mean."""
    handles: list[Artist] = [line_handle(one.label, **one.style) for one in shown]
    sizes = {len(g) for one in shown if not one.supervised for g in one.by_strength().values()}
    if sizes and max(sizes) > 1:
        mixed = f" (range below {FEW})" if min(sizes) < FEW else ""
        text = f"central 68 % of trainings{mixed}" if max(sizes) >= FEW else "range of trainings"
        handles.append(Patch(color=GREY, alpha=0.35, lw=0, label=text))
        dot: dict[str, Any] = {"color": GREY, "ls": "", "marker": "o", "ms": 3.5, "alpha": 0.7}
        handles.append(line_handle("one training", **dot))
    if any(point["collapsed"] for one in shown for point in one.points):
        handles.append(line_handle("collapsed training", ls="", marker="x", ms=6.5))
    return handles


def draw_median(axis: Axes, one: Series, x: Array, values: Sequence[Sequence[float]]) -> None:
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


def draw_spread(axis: Axes, one: Series, value: Callable[[Point], float]) -> None:
    """A number of the trainings against S/sqrt(B): the median, the band and every training."""
    groups = one.by_strength()
    x = np.array(list(groups))
    draw_median(axis, one, x, [[value(point) for point in group] for group in groups.values()])
    dot = {"color": one.style["color"], "ls": ""}
    for point in one.points:
        xy = [float(point["s_over_sqrt_b"])], [value(point)]
        if point["collapsed"]:
            axis.plot(*xy, marker="x", ms=6.5, mew=1.5, zorder=5, clip_on=False, **dot)
        elif not one.supervised and len(groups[xy[0][0]]) > 1:
            axis.plot(*xy, marker="o", ms=3.5, mew=0, alpha=0.3, **dot)


def draw_published(
    axis: Axes, published: Mapping[str, Any], numbers: Mapping[str, Any], *, colour: str
) -> Artist:
    """Mean and standard deviation of published trainings; the handle of the legend."""
    x = numbers.get("s_over_sqrt_b", published["s_over_sqrt_b"])
    mean, std = (np.array(numbers.get(key, 0), dtype=float) for key in ("mean", "std"))
    dashes = "-" if colour == GREY else (0, (1, 1.5))
    look: dict[str, Any] = {"color": colour, "lw": 1.3, "ls": dashes, "zorder": 1}
    axis.plot(x, mean, marker="." if len(x) == 1 else "", **look)
    alpha = 0.4 if colour == GREY else 0.08
    drawn = axis.fill_between(x, mean - std, mean + std, color=colour, alpha=alpha, lw=0, zorder=1)
    if colour == GREY:
        drawn.set_label(published["label"])
        return drawn
    return line_handle(published["label"], **look)
