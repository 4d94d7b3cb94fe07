r"""Particle clouds: the hardest constituents of each jet, centred, rotated, flipped.

The constituents of a jet are aligned (see `constituents`) to x, y with transverse momentum $p_T$
and written one below the other,

$$ (p_T, x, y)_1, \dots, (p_T, x, y)_P : \qquad p_{T,1} \ge p_{T,2} \ge \dots \ge p_{T,P} , $$

with zeros where a jet has fewer than P. No pixel rounds them, and the softest beyond P are lost.

References:
    Energy flow networks: deep sets for particle jets
    (Komiske, Metodiev, Thaler, 2018) https://arxiv.org/abs/1810.05165
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..constituents import Constituents, align, chunks, constituents, to_clouds

__all__ = ["Alignment", "JetClouds"]

Alignment = Literal["principal", "none"]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class JetClouds:
    """Clouds of the two leading jets, (2, P, 3): jet, constituent, (pT [GeV], x, y).

    Source: jets as sets of particles, Komiske, Metodiev and Thaler, arXiv:1810.05165; alignment of
    Chen, Chiang and Hsieh, arXiv:2412.00198.

    Raises:
        ValueError: no particles, or an unknown alignment.
    """

    particles: int = 80
    """P, number of constituents that are kept of each jet, the hardest ones."""
    alignment: Alignment = "principal"
    """`principal`: centred, main axis along η, hardest quadrant (+, +), as the images are; `none`:
    distances to the jet axis in η and φ [rad]."""

    def __post_init__(self) -> None:
        if not isinstance(self.particles, int) or self.particles < 1:
            raise ValueError(f"expected particles, a whole number >= 1; got {self.particles!r}")
        if self.alignment not in get_args(Alignment):
            raise ValueError(
                f"expected alignment {' or '.join(get_args(Alignment))}; got {self.alignment!r}"
            )

    @property
    def name(self) -> str:
        """All that decides the clouds, for files and tables."""
        return f"clouds-{self.particles}-{self.alignment}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one event: jet, constituent, (pT, x, y)."""
        return (2, self.particles, 3)

    @property
    def columns(self) -> tuple[str, ...]:
        """Component and jet of each number, the same for all constituents."""
        parts = [f"{part} of constituents" for part in ("pT", "x", "y")] * self.particles
        return tuple(f"{part}, {jet} jet" for jet in ("leading", "subleading") for part in parts)

    def __call__(self, jets: Any) -> Floats:
        """Make the clouds of N events.

        All constituents are aligned together, also those that are not kept.

        Args:
            jets: awkward array `N * 2 * {eta, phi, constituents: var * {pt, eta, phi}}`; pT in GeV,
                phi in radians. Further fields are ignored.

        Returns:
            Array (N, 2, P, 3), float32: event, jet, constituent, (pT [GeV], x, y).

        Raises:
            ValueError: a field is missing, or an event has not two jets.
        """
        flat = constituents(jets)
        clouds = np.empty((len(flat.counts) // 2, *self.shape), np.float32)
        for chunk, part in chunks(flat):
            lying = align(part) if self.alignment == "principal" else part
            clouds[chunk.start // 2 : chunk.stop // 2] = self.draw(lying)
        return clouds

    def draw(self, jets: Constituents) -> Floats:
        """Clouds (N, 2, P, 3) of J = 2 N jets as they lie; zeros for constituents without pT."""
        clouds = to_clouds(jets, self.particles)
        clouds *= clouds[..., :1] > 0
        return clouds
