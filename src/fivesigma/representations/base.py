"""What a representation is."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Representation"]


class Representation(Protocol):
    """A map from the two leading jets of each event to one array per event."""

    @property
    def name(self) -> str:
        """Key of the representation in `REPRESENTATIONS`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one represented event."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What each number of an event is, in flat order; pixels of a jet have one name."""

    def __call__(self, jets: Any) -> NDArray[np.float32]:
        """Represent N events.

        Args:
            jets: awkward array `N * 2 * {pt, eta, phi, mass, constituents: var * {pt, eta, phi,
                species}}`; pT and mass in GeV, phi in radians.

        Returns:
            Array (N, *shape), float32.
        """
