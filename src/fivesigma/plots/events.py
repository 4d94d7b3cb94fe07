"""Figures of the events themselves."""

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from .base import INK, PROCESSES, SHADES, STYLE, empty, legend, panels
from ..series import Results


@rc_context(STYLE)
def mass_spectrum(results: Results) -> Figure:
    """Expected events in bins of m_jj [GeV] at the luminosity, with the regions shaded."""
    m = results.get("m_jj")
    if not m:
        return empty("no mass spectrum")
    figure, ((axis,),) = panels(1, 1, size=(9.5, 4.6))
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
    legend(figure, axis.get_legend_handles_labels()[0], side="right")
    return figure


@rc_context(STYLE)
def average_images(results: Results) -> Figure:
    """Mean image of each jet of signal and background; one colour scale a kind of intensity."""
    kinds = results.get("average_images") or {}
    if not kinds:
        return empty("no average images")
    figure, axes = panels(2, 2 * len(kinds), size=(2.7, 3.1), x="all", y="all")
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
