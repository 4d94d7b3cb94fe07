"""Sliding windows in the resonance mass: signal regions, each with its own sidebands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Window", "demand", "sliding", "within"]

Interval: TypeAlias = tuple[float, float]
MOST = 1000  # windows


@dataclass(frozen=True)
class Window:
    """A signal region with a sideband on either side.

    Raises:
        ValueError: if a width is not positive, or a number is not finite.
    """

    centre: float
    """Of the signal region, resonance mass [GeV]."""

    half_width: float
    """Of the signal region [GeV]."""

    sideband: float
    """Width of each sideband [GeV]."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.centre) and all(0 < w < math.inf for w in self._widths)):
            raise ValueError(f"expected a window with widths above 0; got {self}")

    @property
    def _widths(self) -> tuple[float, float]:
        return self.half_width, self.sideband

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Where lower sideband, signal region and upper sideband begin, and the last ends [GeV]."""
        low, high = self.centre - self.half_width, self.centre + self.half_width
        return low - self.sideband, low, high, high + self.sideband

    def label(self, mass: ArrayLike) -> NDArray[np.int8]:
        """Label of events: 1 in the signal region, 0 in the sidebands, -1 elsewhere.

        Args:
            mass: shape (N,) [GeV].

        Returns:
            Shape (N,); the lower end of an interval belongs to it.
        """
        return np.array([-1, 0, 1, 0, -1], np.int8)[np.searchsorted(self.edges, mass, side="right")]


def sliding(
    span: Interval, *, half_width: float, step: float, sideband: float
) -> tuple[Window, ...]:
    """Windows of one width in equal steps, which lie in the span with their sidebands.

    Args:
        span: least and largest mass [GeV].
        half_width: of each signal region [GeV].
        step: between two centres [GeV].
        sideband: width of each sideband [GeV].

    Raises:
        ValueError: if a width is not positive, or no window lies in the span, or more than 1000 do.
    """
    if not 0 < step < math.inf:
        raise ValueError(f"expected a step above 0; got {step}")
    first = Window(span[0] + half_width + sideband, half_width, sideband)
    steps = (span[1] - first.edges[-1]) / step + 1e-9
    if not steps < MOST:
        raise ValueError(
            f"expected a step of at most {MOST} windows; got {step:g}, which makes {steps:g}"
        )
    n = 1 + math.floor(steps)
    if n < 1:
        raise ValueError(
            f"expected a range as wide as a window and its sidebands, "
            f"{2 * (half_width + sideband):g} GeV; got {span[0]:g} to {span[1]:g}"
        )
    return tuple(Window(first.centre + i * step, half_width, sideband) for i in range(n))


def within(span: Interval, spectrum: Sequence[Interval]) -> None:
    """Ask for a span that lies in a spectrum of several intervals [GeV].

    Raises:
        ValueError: if a part of it does not.
    """
    covered = span[0]
    for low, high in sorted(spectrum):
        if low <= covered:
            covered = max(covered, high)
    if covered < span[1] or span[1] <= span[0]:
        known = ", ".join(f"{low:g} to {high:g}" for low, high in sorted(spectrum))
        raise ValueError(
            f"expected a range within the spectrum of {known} GeV; got {span[0]:g} to {span[1]:g}"
        )


def demand(
    windows: Sequence[Window],
    mass: ArrayLike,
    *,
    scale: float,
    folds: int,
    eps_b: float,
) -> None:
    """Ask for what a search in each window needs.

    Args:
        windows: to search in.
        mass: of known events, shape (N,) [GeV].
        scale: events of the data for each of them.
        folds: of the cross-training.
        eps_b: of the tightest cut.

    Raises:
        ValueError: if a window has too few events.
    """
    for window in windows:
        m = np.asarray(mass, dtype=np.float64)
        label, below = window.label(m), m < window.centre
        parts = (label == 1, (label == 0) & below, (label == 0) & ~below)
        n, *beside = (scale * float(part.sum()) for part in parts)
        needed = max(2 * folds, folds / eps_b)
        if n < 2 * folds or min(beside) <= 0 or sum(beside) < needed:
            raise ValueError(
                f"expected at least {2 * folds} events in the window at {window.centre:g} GeV and "
                f"{math.ceil(needed)} in its two sidebands, for {folds} folds and a cut at "
                f"{eps_b:g}; got about {n:.0f}, {beside[0]:.0f} and {beside[1]:.0f}"
            )
