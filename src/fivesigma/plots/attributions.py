"""Figures of what a network looks at: its inputs in order, and where in a jet they lie."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from .base import INK, PROCESSES, STYLE, empty, legend, line_handle, panels
from ..importance import JetMap, Ranking
from ..series import Results

AWAY = "#0072b2"
MOST = 3
"""Networks that are shown."""
NUMBERS = ("mean", "mean_low", "mean_high", "size", "size_low", "size_high")


def importances(results: Results) -> Figure:
    """Rankings of the inputs of networks, one above the other."""
    shown = {_named(one): one["ranking"] for one in results.get("interpretations", ())[:MOST]}
    return importance(
        {
            name: Ranking(tuple(row["names"]), *(np.array(row[k]) for k in NUMBERS))
            for name, row in shown.items()
        }
    )


def attribution_maps(results: Results) -> Figure:
    """Maps of the networks that see images or clouds, of signal and background."""
    shown = [one for one in results.get("interpretations", ()) if "maps" in one][:MOST]
    return jet_maps(
        {
            f"{_named(one)}\n{process}": JetMap(
                np.array(one["maps"][process]), one["maps"]["half_width"]
            )
            for one in shown
            for process in ("signal", "background")
        }
    )


def _named(one: Mapping[str, Any]) -> str:
    if "s_over_sqrt_b" in one:
        return f"{one['method']}, $S/\\sqrt{{B}}$ = {one['s_over_sqrt_b']:g}"
    return f"{one['method']}, {one['signal']}"


@rc_context(STYLE)
def importance(rankings: Mapping[str, Ranking], *, most: int = 20) -> Figure:
    """Mean attribution of the `most` important features as bars, mean absolute one as diamonds.

    Args:
        rankings: by the name of the network, one a row.
        most: features that are shown of each.
    """
    n = max((min(most, len(found.names)) for found in rankings.values()), default=0)
    if not n:
        return empty("no features")
    figure, axes = panels(len(rankings), 1, size=(8.5, 1.5 + 0.27 * n))
    for (axis,), (name, found) in zip(axes, rankings.items(), strict=True):
        _bars(axis, found, min(most, len(found.names)))
        axis.set_title(name if len(rankings) > 1 else "")
    axis.set_xlabel("attribution to the logit, mean over events")
    bar = {"ls": "", "marker": "s", "ms": 8}
    handles = [
        line_handle("mean, towards signal", color=PROCESSES["signal"], **bar),
        line_handle("mean, towards background", color=AWAY, **bar),
        line_handle("mean absolute", ls="", marker="D", ms=5, mfc="white"),
        line_handle("central 68 %, bootstrap", lw=1.6),
    ]
    legend(figure, handles, side="lower")
    return figure


def _bars(axis: Axes, found: Ranking, n: int) -> None:
    y, mean, size = np.arange(n), found.mean[:n], found.size[:n]
    colours = np.where(mean >= 0, PROCESSES["signal"], AWAY)
    axis.barh(y, mean, color=colours, height=0.65, alpha=0.75)
    axis.hlines(y, found.mean_low[:n], found.mean_high[:n], color=INK, lw=1.6)
    axis.hlines(y, found.size_low[:n], found.size_high[:n], color=INK, lw=1.2)
    axis.plot(size, y, ls="", marker="D", ms=5, mfc="white", mec=INK, mew=1.2)
    axis.axvline(0, color=INK, lw=1)
    axis.set(yticks=y, yticklabels=found.names[:n], ylim=(n - 0.4, -0.6))
    axis.grid(visible=False, axis="y")
    axis.set_axisbelow(True)


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
