r"""Jet images: transverse momentum on a grid about the jet, centred, rotated and flipped.

With $\Delta\eta$ and $\Delta\phi \in (-\pi, \pi]$ from the jet axis and
$\langle a \rangle = \sum p_T a / \sum p_T$ over the constituents of the jet,

$$ x = \Delta\eta - \langle \Delta\eta \rangle, \qquad
   y = \Delta\phi - \langle \Delta\phi \rangle $$
$$ (x, y) \leftarrow R(-\alpha) \, (x, y), \qquad
   \alpha = \tfrac12 \operatorname{atan2}(2 s_{xy}, s_{xx} - s_{yy}), \qquad
   s_{ab} = \langle a b \rangle $$
$$ (x, y) \leftarrow (\pm x, \pm y): \quad
   \text{the quadrant with the largest } \sum p_T \text{ becomes } (+, +) $$
$$ i = \lfloor (x + w) P / 2w \rfloor, \qquad j = \lfloor (y + w) P / 2w \rfloor: \quad
   P \times P \text{ pixels tile } [-w, w)^2 $$
$$ I_{ij} = \sum p_T \quad \text{(linear)}, \qquad
   I_{ij} = \ln\Big(1 + 1000 \sum p_T / p_T^\text{jet}\Big) \quad \text{(logarithmic)} $$

The axis is that of Chen, Chiang and Hsieh,
$\operatorname{atan2}(-s_{xx} + s_{yy} + \sqrt{(s_{xx} - s_{yy})^2 + 4 s_{xy}^2}, \; 2 s_{xy})$,
in a form without cancellation; the two differ by at most a half turn, which the flip removes.

References:
    Improving the performance of weak supervision searches using transfer and meta-learning
    (Beauchesne, Chen, Chiang, 2024) https://arxiv.org/abs/2312.06152
    Improving the performance of weak supervision searches using data augmentation
    (Chen, Chiang, Hsieh, 2024) https://arxiv.org/abs/2412.00198
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..kinematics import delta_phi

Intensity = Literal["linear", "logarithmic"]
Floats = NDArray[np.float32]

# Jets in one pass: few enough that its arrays stay in the cache of a core.
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Constituents:
    """The constituents of J jets in flat arrays of length M = Σ counts, jet after jet."""

    x: Floats
    """(M,) distance to the jet axis along η, dimensionless."""
    y: Floats
    """(M,) distance to the jet axis along φ [rad]."""
    pt: Floats
    """(M,) transverse momentum [GeV]."""
    counts: NDArray[np.int64]
    """(J,) number of constituents of each jet."""


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
        images = np.zeros((len(flat.counts), self.pixels, self.pixels), np.float32)
        for chunk, part in _chunks(flat):
            _deposit(align(part), images[chunk], self.half_width, self.intensity)
        return images.reshape(len(jets), *self.shape)


def constituents(jets: Any) -> Constituents:
    """Take the constituents of N events relative to the axes of their jets.

    Args:
        jets: awkward array `N * 2 * {eta, phi, constituents: var * {pt, eta, phi}}` [GeV, rad].

    Returns:
        J = 2 N jets: first and second jet of the first event, then of the next.

    Raises:
        ValueError: a field is missing, or an event has not two jets.
    """
    _check_fields("jets", jets, ("eta", "phi", "constituents"))
    particles = jets["constituents"]
    _check_fields("constituents", particles, ("pt", "eta", "phi"))
    if len(wrong := np.setdiff1d(ak.to_numpy(ak.num(jets)), 2)):
        raise ValueError(f"expected two jets in every event; got an event with {wrong[0]}")
    counts = _flat(ak.num(particles["pt"], axis=2), np.int64)
    eta, phi = (np.repeat(_flat(jets[field]), counts) for field in ("eta", "phi"))
    x = _flat(particles["eta"]) - eta
    y = delta_phi(_flat(particles["phi"]), phi)
    return Constituents(x, y.astype(np.float32, copy=False), _flat(particles["pt"]), counts)


def align(jets: Constituents) -> Constituents:
    """Centre, rotate and flip the constituents of J jets."""
    centred = centre(jets)
    return flip(rotate(centred, -principal_angle(centred)))


def centre(jets: Constituents) -> Constituents:
    """Move the pT-weighted centroid of each jet to the origin."""
    total = _positive(pt_sum(jets))
    x_mean, y_mean = (_sum(jets.pt * a, jets.counts) / total for a in (jets.x, jets.y))
    x, y = jets.x - np.repeat(x_mean, jets.counts), jets.y - np.repeat(y_mean, jets.counts)
    return replace(jets, x=x, y=y)


def principal_angle(jets: Constituents) -> Floats:
    """Angle α (J,) [rad] in (−π/2, π/2] from the η axis to the main axis of centred jets.

    A jet without extent has α = 0.
    """
    px, py = jets.pt * jets.x, jets.pt * jets.y
    s_xx, s_xy, s_yy = (_sum(a, jets.counts) for a in (px * jets.x, px * jets.y, py * jets.y))
    angle: Floats = np.arctan2(2 * s_xy, s_xx - s_yy) / 2
    return angle


def rotate(jets: Constituents, angle: Floats) -> Constituents:
    """Turn each jet about the origin by its angle (J,) [rad], from the η axis to the φ axis."""
    c: Floats = np.repeat(np.cos(angle), jets.counts)
    s: Floats = np.repeat(np.sin(angle), jets.counts)
    return replace(jets, x=c * jets.x - s * jets.y, y=s * jets.x + c * jets.y)


def flip(jets: Constituents) -> Constituents:
    """Reflect each jet so that its quadrant with the largest summed pT becomes (+, +)."""
    n = len(jets.counts)
    quadrant = np.repeat(4 * np.arange(n), jets.counts) + 2 * (jets.x < 0) + (jets.y < 0)
    hardest = np.bincount(quadrant, jets.pt, 4 * n).reshape(n, 4).argmax(axis=1)
    sign_x: Floats = np.array([1, 1, -1, -1], np.float32)[hardest]
    sign_y: Floats = np.array([1, -1, 1, -1], np.float32)[hardest]
    x, y = jets.x * np.repeat(sign_x, jets.counts), jets.y * np.repeat(sign_y, jets.counts)
    return replace(jets, x=x, y=y)


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


def pt_sum(jets: Constituents) -> Floats:
    """Scalar sum (J,) of the constituents' pT [GeV]."""
    return _sum(jets.pt, jets.counts)


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
        pt_jet = np.repeat(_positive(pt_sum(jets)), jets.counts)[inside]
        flat[hit] = np.log1p(1000 * flat[hit] / pt_jet)


def _pixel(a: Floats, pixels: int, half_width: np.float32) -> NDArray[np.int64]:
    i = ((a + half_width) * np.float32(pixels / (2 * half_width))).astype(np.int64)
    return np.minimum(i, pixels - 1)  # rounding may lift the last float below w to P


def _chunks(jets: Constituents) -> Iterator[tuple[slice, Constituents]]:
    ends = np.concatenate([[0], np.cumsum(jets.counts)])
    for first in range(0, len(jets.counts), _CHUNK):
        chunk = slice(first, min(first + _CHUNK, len(jets.counts)))
        m = slice(ends[chunk.start], ends[chunk.stop])
        yield chunk, Constituents(jets.x[m], jets.y[m], jets.pt[m], jets.counts[chunk])


def _sum(a: Floats, counts: NDArray[np.int64]) -> Floats:
    """Sums (J,) of a flat array (M,) over each jet; zero for a jet without constituents."""
    some = counts > 0
    sums = np.zeros(len(counts), np.float32)
    sums[some] = np.add.reduceat(a, (np.cumsum(counts) - counts)[some])
    return sums


def _positive(total: Floats) -> Floats:
    return np.where(total > 0, total, np.float32(1))


def _flat(array: Any, dtype: type = np.float32) -> NDArray[Any]:
    return np.asarray(ak.to_numpy(ak.flatten(array, axis=None)), dtype)


def _check_fields(what: str, array: Any, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field not in ak.fields(array):
            raise ValueError(f"expected {what} with a field '{field}'; got {ak.fields(array)}")


def _check(pixels: int, half_width: float, intensity: str) -> None:
    if not isinstance(pixels, int) or pixels < 1:
        raise ValueError(f"expected pixels, a whole number >= 1; got {pixels!r}")
    if not 0 < half_width < math.inf:
        raise ValueError(f"expected a finite half_width > 0; got {half_width}")
    if intensity not in get_args(Intensity):
        raise ValueError(
            f"expected intensity {' or '.join(get_args(Intensity))}; got {intensity!r}"
        )
