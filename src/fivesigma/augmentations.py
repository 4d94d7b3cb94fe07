r"""Label-preserving maps of events, drawn on the fly: smearing, rotation, noise.

With $z, z' \sim \mathcal{N}(0, 1)$ for each constituent or pixel and $\theta$ for each jet,

$$ (\eta, \phi) \leftarrow (\eta, \phi) + (z, z') \, \Lambda / p_T, \qquad
   p_T \leftarrow \max(0, \, p_T + f z), \qquad f^2 = a \, p_T^2 + b \, p_T $$
$$ (x, y) \leftarrow R(\theta) \, (x, y), \quad \theta \sim \mathcal{U}(-\Theta, \Theta), \qquad
   I_{ij} \leftarrow \max(0, \, I_{ij} + \sigma I_{ij} z) . $$

Random numbers are hashes of what they are for, so that an event does not depend on its batch: with
$h(k, i) = m(k + \gamma (i + 1))$ of SplitMix64 (https://doi.org/10.1145/2660193.2660195),

$$ k_\text{event} = h(h(h(0, \text{seed}), \text{copy}), \text{event}), \qquad
   k_\text{particle} = h(h(h(k_\text{event}, \text{channel}), \text{jet}), \text{particle}) . $$

References:
    Improving the performance of weak supervision searches using data augmentation
    (Chen, Chiang, Hsieh, 2024) https://arxiv.org/abs/2412.00198, after arXiv:2301.04660
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .constituents import Constituents, align, from_clouds, rotate, total
from .kinematics import delta_phi

__all__ = [
    "AUGMENTATIONS", "Augmentation", "Augmented", "Drawing", "EtaPhiSmearing", "PixelNoise",
    "PtSmearing", "Rotation", "View", "augmentation", "combination", "keys", "normal",
    "particle_keys", "uniform",
]  # fmt: skip

Floats = NDArray[np.float32]
Keys = NDArray[np.uint64]
Stage = Literal["detector", "image plane", "pixels"]
_CHUNK = 128  # events in one pass, whose arrays stay in the cache of a core


class Augmentation(Protocol):
    """A random map that keeps the label of an event; a frozen record."""

    stage: ClassVar[Stage]
    """What it acts on: `Constituents` before or after alignment, or images (n, 2, P, P)."""
    channel: ClassVar[int]
    """Number of its stream of random numbers, which no other augmentation has."""

    def __call__(self, events: Any, keys: Keys, /) -> Any:
        """Change n events by their keys (n,); the argument is left as it is."""


@dataclass(frozen=True)
class EtaPhiSmearing:
    """Each constituent moves by about Λ/pT. Chen, Chiang and Hsieh, arXiv:2412.00198."""

    stage: ClassVar[Stage] = "detector"
    channel: ClassVar[int] = 0
    scale: float = 0.1
    """Λ [GeV]. To be applied before `PtSmearing`, as there: with little pT left one goes far."""

    def __post_init__(self) -> None:
        _expect(0 < self.scale < np.inf, "a finite scale > 0", self.scale)

    def __call__(self, jets: Constituents, keys: Keys) -> Constituents:
        """Smear J = 2 n jets; y is wrapped, and constituents without pT stay."""
        width: Floats = np.where(jets.pt > 0, self.scale / np.maximum(jets.pt, 1e-30), 0)
        z_x, z_y = normal(particle_keys(keys, jets.counts, self.channel))
        return replace(jets, x=jets.x + width * z_x, y=delta_phi(jets.y + width * z_y, 0.0))


@dataclass(frozen=True)
class PtSmearing:
    """Each constituent's pT changes by about f(pT). Chen, Chiang and Hsieh, arXiv:2412.00198."""

    stage: ClassVar[Stage] = "detector"
    channel: ClassVar[int] = 1
    formula: Literal["published", "delphes"] = "published"
    """`published`: f² = 0.052 pT² + 1.502 pT [GeV], the coefficients in the authors' code;
    `delphes`: f² = (0.05 pT)² + 1.50² pT, a calorimeter's. At 1 TeV f is 231 or 69 GeV."""

    def __post_init__(self) -> None:
        _expect(self.formula in ("published", "delphes"), "published or delphes", self.formula)

    def __call__(self, jets: Constituents, keys: Keys) -> Constituents:
        """Smear J = 2 n jets; constituents with no pT left are taken out."""
        a, b = (0.052, 1.502) if self.formula == "published" else (0.05**2, 1.50**2)
        z, _ = normal(particle_keys(keys, jets.counts, self.channel))
        pt = jets.pt + np.sqrt((a * jets.pt + b) * jets.pt) * z
        left = pt > 0
        counts = total(left.astype(np.float32), jets.counts).astype(np.int64)
        return Constituents(jets.x[left], jets.y[left], pt[left], counts)


@dataclass(frozen=True)
class Rotation:
    """Each aligned jet is turned by its own angle. Chen, Chiang and Hsieh, arXiv:2412.00198."""

    stage: ClassVar[Stage] = "image plane"
    channel: ClassVar[int] = 2
    range_degrees: float = 180.0
    """Θ, the largest angle to either side [degrees]."""

    def __post_init__(self) -> None:
        _expect(0 < self.range_degrees <= 180, "range_degrees within (0, 180]", self.range_degrees)

    def __call__(self, jets: Constituents, keys: Keys) -> Constituents:
        """Turn J = 2 n jets about their centroids."""
        u, _ = uniform(particle_keys(keys, np.ones_like(jets.counts), self.channel))
        return rotate(jets, np.pi / 180 * self.range_degrees * (2 * u - 1))


@dataclass(frozen=True)
class PixelNoise:
    """Each pixel that holds something changes by about σ times itself, down to 0."""

    stage: ClassVar[Stage] = "pixels"
    channel: ClassVar[int] = 3
    sigma: float
    """σ, the width relative to the intensity of the pixel, dimensionless."""

    def __post_init__(self) -> None:
        _expect(0 < self.sigma < np.inf, "a finite sigma > 0", self.sigma)

    def __call__(self, images: Floats, keys: Keys) -> Floats:
        """Noisy images (n, 2, P, P); empty pixels stay empty."""
        I = images.reshape(2 * len(keys), -1).copy()
        hit = I > 0
        z, _ = normal(particle_keys(keys, hit.sum(axis=1), self.channel))
        I[hit] *= np.maximum(0, 1 + self.sigma * z)
        return I.reshape(images.shape)


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    "eta_phi_smearing": EtaPhiSmearing,
    "pt_smearing": PtSmearing,
    "rotation": Rotation,
    "pixel_noise": PixelNoise,
}


def augmentation(spec: str | Mapping[str, Any]) -> Augmentation:
    """What an entry of a study file means, a name or {"name": ..., fields}; else ValueError."""
    given: dict[str, Any] = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    name = given.pop("name", None)
    _expect(name in list(AUGMENTATIONS), f"an augmentation of {list(AUGMENTATIONS)}", spec)
    try:
        return AUGMENTATIONS[name](**given)
    except TypeError as error:
        raise ValueError(f"expected {name}{signature(AUGMENTATIONS[name])}; got {given}") from error


def combination(specs: Iterable[str | Mapping[str, Any]]) -> tuple[Augmentation, ...]:
    """What a list in a study file means; ValueError for a bad entry."""
    _expect(not isinstance(specs, str | Mapping), "a list of augmentations", specs)
    return tuple(map(augmentation, specs))


@runtime_checkable
class Drawing(Protocol):
    """What a `View` needs of a representation."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one event."""

    def draw(self, jets: Constituents) -> Floats:
        """Array (n, *shape) of J = 2 n jets as they lie."""


@dataclass(frozen=True)
class View:
    """How events are augmented, aligned and represented; ValueError if that cannot be done."""

    representation: Drawing
    """What is made of the aligned jets; images (2, P, P) if their pixels are to be changed."""
    augmentations: tuple[Augmentation, ...] = ()
    """Applied stage by stage and in this order; each kind once, since two would draw alike."""

    def __post_init__(self) -> None:
        stages = {type(a): a.stage for a in self.augmentations}
        _expect(len(stages) == len(self.augmentations), "each kind once", self.augmentations)
        images = self.shape[1:] == self.shape[1:2] * 2 or "pixels" not in stages.values()
        _expect(images, "images (2, P, P) to change pixels", self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one event, that of the representation."""
        return self.representation.shape

    def __call__(self, clouds: Floats, keys: Keys | None = None) -> Floats:
        """Augment and represent n events; float32 (n, *shape).

        Args:
            clouds: (n, 2, P, 3), unaligned: event, jet, constituent, (pT [GeV], Δη, Δφ [rad]).
            keys: (n,), from which the random numbers follow; None: no augmentation.
        """
        _expect(clouds.shape[1::2] == (2, 3), "clouds of shape (N, 2, P, 3)", clouds.shape)
        _expect(keys is None or len(keys) == len(clouds), f"{len(clouds)} keys", keys)
        x = np.empty((len(clouds), *self.shape), np.float32)
        for part in (slice(i, i + _CHUNK) for i in range(0, len(clouds), _CHUNK)):
            k = None if keys is None else keys[part]
            seen = align(self._change("detector", from_clouds(clouds[part]), k))
            drawn = self.representation.draw(self._change("image plane", seen, k))
            x[part] = self._change("pixels", drawn, k)
        return x

    def _change(self, stage: Stage, events: Any, keys: Keys | None) -> Any:
        for change in self.augmentations:
            if keys is not None and change.stage == stage:
                events = change(events, keys)
        return events


@dataclass(frozen=True, eq=False)
class Augmented:
    """A training sample, made when it is indexed: event v is event v mod N of x, copy v // N."""

    x: Any
    """Unaligned clouds (N, 2, P, 3): an array, or what has its shape, length and indexing."""
    view: View
    """What is made of them."""
    copies: int | None
    """n: the N originals and n fixed copies; None: copies only, one of each, new in each epoch."""
    seed: int
    """Seed of the random numbers."""
    epoch: int = 0
    """From 0; if copies is None this is copy epoch + 1."""

    def __post_init__(self) -> None:
        _expect(self.x.shape[1::2] == (2, 3), "clouds of shape (N, 2, P, 3)", self.x.shape)
        least = min(self.copies or 0, self.epoch)
        _expect(least >= 0, "copies and epoch >= 0", least)

    @property
    def shape(self) -> tuple[int, ...]:
        """(len, *shape of an event)."""
        return (len(self), *self.view.shape)

    def __len__(self) -> int:
        return len(self.x) * (1 + (self.copies or 0))

    def __getitem__(self, index: NDArray[Any]) -> Floats:
        """Represented events (n, *shape) at integers (n,) within [0, length)."""
        v = np.asarray(index)
        if v.ndim != 1 or v.dtype.kind not in "iu" or ((v < 0) | (v >= len(self))).any():
            raise IndexError(f"expected integers (n,) within [0, {len(self)}); got {index!r}")
        copy, event = np.divmod(v, len(self.x))
        copy += self.epoch + 1 if self.copies is None else 0
        x = np.empty((len(v), *self.view.shape), np.float32)
        for part, k in ((copy == 0, None), (copy > 0, keys(self.seed, copy, event)[copy > 0])):
            x[part] = self.view(self.x[event[part]], k)
        return x

    def at_epoch(self, epoch: int) -> "Augmented":
        """The sample of an epoch, counted from 0; fixed copies stay."""
        return replace(self, epoch=epoch) if self.copies is None else self


def keys(seed: int, copy: int | NDArray[Any], events: NDArray[Any]) -> Keys:
    """Keys (n,) of events by their numbers (n,) in one copy, or each in its own (n,)."""
    k = _hash(np.zeros(1, np.uint64), np.array([seed % 2**64], np.uint64))
    return _hash(_hash(k, np.atleast_1d(copy)), events)


def particle_keys(keys: Keys, counts: NDArray[Any], channel: int) -> Keys:
    """Keys (M,) of the M = Σ counts constituents, or other parts, of J = 2 n jets."""
    jets = _hash(_hash(keys, np.array([channel]))[:, None], np.arange(2)).ravel()
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return _hash(np.repeat(jets, counts), place)


def uniform(keys: Keys) -> tuple[Floats, Floats]:
    """Two independent numbers within (0, 1] for each key."""
    halves = keys >> np.uint64(32), keys & np.uint64(2**32 - 1)
    u, v = ((a.astype(np.float32) + np.float32(0.5)) * np.float32(2**-32) for a in halves)
    return u, v


def normal(keys: Keys) -> tuple[Floats, Floats]:
    """Two independent standard normal numbers for each key, after Box and Muller."""
    u, v = uniform(keys)
    r, angle = np.sqrt(-2 * np.log(u)), np.float32(2 * np.pi) * v
    return r * np.cos(angle), r * np.sin(angle)


def _hash(k: Keys, i: NDArray[Any]) -> Keys:
    z: Keys = k + np.uint64(0x9E3779B97F4A7C15) * (i.astype(np.uint64) + np.uint64(1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _expect(fulfilled: object, expected: str, got: object) -> None:
    if not fulfilled:
        raise ValueError(f"expected {expected}; got {got!r}")
