"""What a network sees of an event: named maps from jets to arrays of fixed shape.

    representation(jets) -> float32 (N, *representation.shape)

To add one, write a file here and give it a line in `REPRESENTATIONS`.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .clouds import JetClouds
from .dijet import Dijet
from .features import JetFeatures
from .images import JetImages
from .mixed import SideBySide

__all__ = ["REPRESENTATIONS", "Dijet", "JetClouds", "JetFeatures", "JetImages", "Representation"]


class Representation(Protocol):
    """A map from the two leading jets of each event to one array per event."""

    @property
    def name(self) -> str:
        """Key of the representation in `REPRESENTATIONS`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one represented event."""

    def __call__(self, jets: Any) -> NDArray[np.float32]:
        """Represent N events.

        Args:
            jets: awkward array `N * 2 * {pt, eta, phi, mass, constituents: var * {pt, eta, phi,
                species}}`; pT and mass in GeV, phi in radians.

        Returns:
            Array (N, *shape), float32.
        """


REPRESENTATIONS: dict[str, Callable[..., Representation]] = {
    "images": JetImages,
    "clouds": JetClouds,
    "features": JetFeatures,
    "dijet": Dijet,
    "mixed": SideBySide.of(JetImages, JetFeatures),
}
