"""What a network sees of an event: named maps from jets to arrays of fixed shape.

    representation(jets) -> float32 (N, *representation.shape)

To add one, write a file here and give it a line in `REPRESENTATIONS`.
"""

from collections.abc import Callable

from .base import Representation
from .clouds import JetClouds
from .dijet import Dijet
from .features import JetFeatures
from .images import JetImages
from .mixed import SideBySide

__all__ = ["REPRESENTATIONS", "Dijet", "JetClouds", "JetFeatures", "JetImages", "Representation"]


REPRESENTATIONS: dict[str, Callable[..., Representation]] = {
    "images": JetImages,
    "clouds": JetClouds,
    "features": JetFeatures,
    "dijet": Dijet,
    "mixed": SideBySide.of(JetImages, JetFeatures),
}
