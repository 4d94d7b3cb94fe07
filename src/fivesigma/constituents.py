r"""Constituents of jets in flat arrays, in the frame of their jet: centred, rotated, flipped.

With $\Delta\eta$ and $\Delta\phi \in (-\pi, \pi]$ from the jet axis and
$\langle a \rangle = \sum p_T a / \sum p_T$ over the constituents of the jet,

$$ x = \Delta\eta - \langle \Delta\eta \rangle, \qquad
   y = \Delta\phi - \langle \Delta\phi \rangle $$
$$ (x, y) \leftarrow R(-\alpha) \, (x, y), \qquad
   \alpha = \tfrac12 \operatorname{atan2}(2 s_{xy}, s_{xx} - s_{yy}), \qquad
   s_{ab} = \langle a b \rangle $$
$$ (x, y) \leftarrow (\pm x, \pm y): \quad
   \text{the quadrant with the largest } \sum p_T \text{ becomes } (+, +) $$

The axis is that of Chen, Chiang and Hsieh,
$\operatorname{atan2}(-s_{xx} + s_{yy} + \sqrt{(s_{xx} - s_{yy})^2 + 4 s_{xy}^2}, \; 2 s_{xy})$,
in a form without cancellation; the two differ by at most a half turn, which the flip removes.

References:
    Improving the performance of weak supervision searches using data augmentation
    (Chen, Chiang, Hsieh, 2024) https://arxiv.org/abs/2412.00198
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .kinematics import delta_phi

__all__ = [
    "Constituents",
    "align",
    "centre",
    "chunks",
    "constituents",
    "flip",
    "from_clouds",
    "principal_angle",
    "pt_sum",
    "rotate",
    "to_clouds",
    "total",
]

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


def from_clouds(clouds: Floats) -> Constituents:
    """The constituents of padded clouds (N, 2, P, 3): pT [GeV], x, y; padding has no pT.

    Returns:
        J = 2 N jets: first and second jet of the first event, then of the next.
    """
    flat = clouds.reshape(-1, *clouds.shape[-2:])
    real = flat[..., 0] > 0
    pt, x, y = (np.ascontiguousarray(a) for a in flat[real].T)
    return Constituents(x, y, pt, real.sum(axis=1))


def to_clouds(jets: Constituents, particles: int) -> Floats:
    """Padded clouds (N, 2, P, 3) of J = 2 N jets: pT [GeV], x, y; hardest first, padded with zeros.

    Args:
        jets: constituents of the two jets of each event, jet after jet.
        particles: P, number of constituents that are kept of each jet, the hardest ones.
    """
    n = len(jets.counts)
    jet = np.repeat(np.arange(n), jets.counts)
    # Floats of positive sign sort as their bits do: one stable sort of integers, hardest first.
    pt = np.maximum(jets.pt, 0) + np.float32(0)
    softness = np.uint64(0xFFFFFFFF) - pt.view(np.uint32)
    order = np.argsort((jet.astype(np.uint64) << np.uint64(32)) | softness, kind="stable")
    place = np.arange(len(jet)) - np.repeat(np.cumsum(jets.counts) - jets.counts, jets.counts)
    kept = place < particles
    clouds = np.zeros((n, particles, 3), np.float32)
    values = np.stack([jets.pt, jets.x, jets.y], axis=1)[order]
    clouds[jet[kept], place[kept]] = values[kept]
    return clouds.reshape(-1, 2, particles, 3)


def align(jets: Constituents) -> Constituents:
    """Centre, rotate and flip the constituents of J jets."""
    centred = centre(jets)
    return flip(rotate(centred, -principal_angle(centred)))


def centre(jets: Constituents) -> Constituents:
    """Move the pT-weighted centroid of each jet to the origin."""
    pt = pt_sum(jets)
    pt[pt <= 0] = 1
    x_mean, y_mean = (total(jets.pt * a, jets.counts) / pt for a in (jets.x, jets.y))
    x, y = jets.x - np.repeat(x_mean, jets.counts), jets.y - np.repeat(y_mean, jets.counts)
    return replace(jets, x=x, y=y)


def principal_angle(jets: Constituents) -> Floats:
    """Angle α (J,) [rad] in (−π/2, π/2] from the η axis to the main axis of centred jets.

    A jet without extent has α = 0.
    """
    px, py = jets.pt * jets.x, jets.pt * jets.y
    s_xx, s_xy, s_yy = (total(a, jets.counts) for a in (px * jets.x, px * jets.y, py * jets.y))
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


def pt_sum(jets: Constituents) -> Floats:
    """Scalar sum (J,) of the constituents' pT [GeV]."""
    return total(jets.pt, jets.counts)


def chunks(jets: Constituents) -> Iterator[tuple[slice, Constituents]]:
    """The jets in parts of an even number that stay in the cache, with their places (slices)."""
    ends = np.concatenate([[0], np.cumsum(jets.counts)])
    for first in range(0, len(jets.counts), _CHUNK):
        chunk = slice(first, min(first + _CHUNK, len(jets.counts)))
        m = slice(ends[chunk.start], ends[chunk.stop])
        yield chunk, Constituents(jets.x[m], jets.y[m], jets.pt[m], jets.counts[chunk])


def total(a: Floats, counts: NDArray[np.int64]) -> Floats:
    """Sums (J,) of a flat array (M,) over each jet; zero for a jet without constituents."""
    some = counts > 0
    sums = np.zeros(len(counts), np.float32)
    sums[some] = np.add.reduceat(a, (np.cumsum(counts) - counts)[some])
    return sums


def _flat(array: Any, dtype: type = np.float32) -> NDArray[Any]:
    return np.asarray(ak.to_numpy(ak.flatten(array, axis=None)), dtype)


def _check_fields(what: str, array: Any, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field not in ak.fields(array):
            raise ValueError(f"expected {what} with a field '{field}'; got {ak.fields(array)}")
