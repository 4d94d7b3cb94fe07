"""Figures of what a network looks at: its inputs in order, and where in a jet they lie."""

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from .base import INK, PROCESSES, STYLE, empty, legend, line_handle, panels
from ..importance import JetMap, Ranking

AWAY = "#0072b2"


@rc_context(STYLE)
def importance(found: Ranking, *, most: int = 20) -> Figure:
    """Mean attribution of the `most` important features as bars, mean absolute one as diamonds."""
    n = min(most, len(found.names))
    if not n:
        return empty("no features")
    figure, ((axis,),) = panels(1, 1, size=(8.5, 1.5 + 0.27 * n))
    y, mean, size = np.arange(n), found.mean[:n], found.size[:n]
    colours = np.where(mean >= 0, PROCESSES["signal"], AWAY)
    axis.barh(y, mean, color=colours, height=0.65, alpha=0.75)
    axis.hlines(y, found.mean_low[:n], found.mean_high[:n], color=INK, lw=1.6)
    axis.hlines(y, found.size_low[:n], found.size_high[:n], color=INK, lw=1.2)
    axis.plot(size, y, ls="", marker="D", ms=5, mfc="white", mec=INK, mew=1.2)
    axis.axvline(0, color=INK, lw=1)
    axis.set(yticks=y, yticklabels=found.names[:n], ylim=(n - 0.4, -0.6))
    axis.set_xlabel("attribution to the logit, mean over events")
    axis.grid(visible=False, axis="y")
    axis.set_axisbelow(True)
    bar = {"ls": "", "marker": "s", "ms": 8}
    handles = [
        line_handle("mean, towards signal", color=PROCESSES["signal"], **bar),
        line_handle("mean, towards background", color=AWAY, **bar),
        line_handle("mean absolute", ls="", marker="D", ms=5, mfc="white"),
        line_handle("central 68 %, bootstrap", lw=1.6),
    ]
    legend(figure, handles, side="lower")
    return figure


@rc_context(STYLE)
def jet_maps(maps: Mapping[str, JetMap]) -> Figure:
    """Mean attribution over the plane of both jets, a row a process, one scale symmetric about 0.

    Args:
        maps: name of the process, such as signal, and its map.
    """
    if not maps:
        return empty("no attributions")
    figure, axes = panels(len(maps), 2, size=(3.5, 3.1), x="row", y="row")
    top = max(float(np.abs(one.values).max()) for one in maps.values()) or 1.0
    for row, (process, one) in zip(axes, maps.items(), strict=True):
        w = one.half_width
        for jet, axis in enumerate(row):
            # The maps are eta by phi, matplotlib draws rows upwards.
            shown = axis.imshow(
                one.values[jet].T,
                origin="lower",
                extent=(-w, w, -w, w),
                cmap="RdBu_r",
                norm=Normalize(-top, top),
            )
            axis.grid(visible=False)
            axis.set_title(f"{process}, {('leading', 'subleading')[jet]} jet", fontsize=10)
            axis.set(xticks=(-w, 0, w), yticks=(-w, 0, w), xlabel="$\\Delta\\eta$")
        row[0].set_ylabel("$\\Delta\\phi$ [rad]")
    label = "mean attribution per pixel [logit]"
    figure.colorbar(shown, ax=axes, location="right", label=label, shrink=0.9, aspect=30)
    return figure
