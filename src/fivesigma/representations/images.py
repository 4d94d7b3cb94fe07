r"""Jet images: transverse momentum on a grid about the jet, centred, rotated and flipped.

The constituents of a jet are aligned (see `constituents`) to x, y with transverse momentum $p_T$;

$$ i = \lfloor (x + w) P / 2w \rfloor, \qquad j = \lfloor (y + w) P / 2w \rfloor: \quad
   P \times P \text{ pixels tile } [-w, w)^2 $$
$$ I_{ij} = \sum p_T \quad \text{(linear)}, \qquad
   I_{ij} = \ln\Big(1 + 1000 \sum p_T / p_T^\text{jet}\Big) \quad \text{(logarithmic)} $$

References:
    Improving the performance of weak supervision searches using transfer and meta-learning
    (Beauchesne, Chen, Chiang, 2024) https://arxiv.org/abs/2312.06152
    Improving the performance of weak supervision searches using data augmentation
    (Chen, Chiang, Hsieh, 2024) https://arxiv.org/abs/2412.00198
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..constituents import Constituents, align, chunks, constituents, pt_sum

Intensity = Literal["linear", "logarithmic"]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class JetImages:
    """Images of the two leading jets, (2, P, P): jet, η pixel, φ pixel.

    Source: Beauchesne, Chen and Chiang, arXiv:2312.06152; Chen, Chiang and Hsieh, arXiv:2412.00198.
    """

    pixels: int = 25
    """P, the number of pixels along η and along φ."""
    half_width: float = 1.0
    """w, half of the side of the image, in η and in rad."""
    intensity: Intensity = "linear"
    """`linear`: summed pT [GeV], as in the papers; `logarithmic`: ln(1 + 1000 pT / pT_jet), with
    pT_jet the scalar sum over the constituents, so that the jet energy scale drops out."""

    def __post_init__(self) -> None:
        _check(self.pixels, self.half_width, self.intensity)

    @property
    def name(self) -> str:
        """All that decides the images, for files and tables."""
        return f"images-{self.pixels}-{self.half_width:g}-{self.intensity}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one event: jet, η pixel, φ pixel."""
        return (2, self.pixels, self.pixels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The image that each pixel belongs to."""
        n = self.pixels**2
        return ("image, leading jet",) * n + ("image, subleading jet",) * n

    def __call__(self, jets: Any) -> Floats:
        """Make the images of N events.

        A jet without constituents, or with none inside the window, gives an image of zeros.

        Args:
            jets: awkward array `N * 2 * {eta, phi, constituents: var * {pt, eta, phi}}`; pT in GeV,
                phi in radians. Further fields are ignored.

        Returns:
            Array (N, 2, P, P), float32: event, jet, η pixel, φ pixel.

        Raises:
            ValueError: a field is missing, or an event has not two jets.
        """
        flat = constituents(jets)
        images = np.empty((len(flat.counts) // 2, *self.shape), np.float32)
        for chunk, part in chunks(flat):
            images[chunk.start // 2 : chunk.stop // 2] = self.draw(align(part))
        return images

    def draw(self, jets: Constituents) -> Floats:
        """Images (N, 2, P, P) of J = 2 N jets as they lie, usually aligned."""
        images = pixelate(jets, self.pixels, half_width=self.half_width, intensity=self.intensity)
        return images.reshape(-1, *self.shape)


def pixelate(
    jets: Constituents, pixels: int, *, half_width: float = 1.0, intensity: Intensity = "linear"
) -> Floats:
    """Fill the images of J jets as they lie; constituents outside [−w, w)² are dropped.

    Args:
        jets: constituents of J jets, usually aligned.
        pixels: P, number of pixels along each side.
        half_width: w, half of the side of the image, in η and in rad.
        intensity: `linear`, summed pT [GeV]; `logarithmic`, ln(1 + 1000 pT / pT_jet), where pT_jet
            is the scalar sum over all constituents of the jet, so that the image depends neither on
            the jet energy scale nor on where the window ends.

    Returns:
        Array (J, P, P), float32: jet, η pixel, φ pixel.

    Raises:
        ValueError: no pixels, no window, or an unknown intensity.
    """
    _check(pixels, half_width, intensity)
    images = np.zeros((len(jets.counts), pixels, pixels), np.float32)
    _deposit(jets, images, half_width, intensity)
    return images


def _deposit(jets: Constituents, images: Floats, half_width: float, intensity: Intensity) -> None:
    """Add the constituents to contiguous images (J, P, P) of zeros."""
    n, pixels, _ = images.shape
    w, x, y = np.float32(half_width), jets.x, jets.y
    inside = (x >= -w) & (x < w) & (y >= -w) & (y < w)
    i, j = (_pixel(a[inside], pixels, w) for a in (x, y))
    hit = np.repeat(np.arange(n) * pixels**2, jets.counts)[inside] + i * pixels + j
    flat = images.reshape(-1)
    np.add.at(flat, hit, jets.pt[inside])
    if intensity == "logarithmic":
        # Pixels without a constituent stay zero: only those hit need the logarithm.
        pt_jet = np.repeat(np.maximum(pt_sum(jets), 1e-30), jets.counts)[inside]
        flat[hit] = np.log1p(1000 * flat[hit] / pt_jet)


def _pixel(a: Floats, pixels: int, half_width: np.float32) -> NDArray[np.int64]:
    i = ((a + half_width) * np.float32(pixels / (2 * half_width))).astype(np.int64)
    return np.minimum(i, pixels - 1)  # rounding may lift the last float below w to P


def _check(pixels: int, half_width: float, intensity: str) -> None:
    if not isinstance(pixels, int) or pixels < 1:
        raise ValueError(f"expected pixels, a whole number >= 1; got {pixels!r}")
    if not 0 < half_width < math.inf:
        raise ValueError(f"expected a finite half_width > 0; got {half_width}")
    if intensity not in get_args(Intensity):
        raise ValueError(
            f"expected intensity {' or '.join(get_args(Intensity))}; got {intensity!r}"
        )
