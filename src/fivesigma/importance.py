r"""What a network looks at on average: a ranking of its inputs, and where in a jet they lie.

With attributions $a_{ef}$ of events $e$ of weight $w_e$ to features $f$ (see `attribution`), the
importance of a feature is

$$ \bar a_f = \frac{\sum_e w_e a_{ef}}{\sum_e w_e} \quad \text{(signed: + is towards signal)} ,
   \qquad \overline{|a|}_f = \frac{\sum_e w_e |a_{ef}|}{\sum_e w_e} \quad \text{(size)} . $$

Inputs of one name, such as the pixels of a jet, are first summed in each event: by completeness
the sum is what all of them together do. Intervals are from events drawn with replacement; as each
event has baselines of its own, they hold the statistics of the draws as well.

References:
    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad,
    section 5.5

    Bootstrap methods: another look at the jackknife (Efron, 1979)
    https://doi.org/10.1214/aos/1176344552
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["JetMap", "Ranking", "map_of_clouds", "map_of_images", "ranking"]

Floats: TypeAlias = NDArray[np.float64]

TAIL = (1 - erf(1 / sqrt(2))) / 2  # outside a central 68.27 %, on one side


@dataclass(frozen=True, eq=False)
class Ranking:
    """Importance of F features, the largest mean absolute attribution first.

    Numbers are in logits, arrays of shape (F,), intervals central and 68.27 %.
    """

    names: tuple[str, ...]
    """Names of the features."""

    mean: Floats
    """Mean attribution: above 0 the feature makes events more like signal than the baselines."""

    mean_low: Floats
    """Lower end of its interval."""

    mean_high: Floats
    """Upper end of its interval."""

    size: Floats
    """Mean absolute attribution."""

    size_low: Floats
    """Lower end of its interval."""

    size_high: Floats
    """Upper end of its interval."""


@dataclass(frozen=True, eq=False)
class JetMap:
    """Mean attribution over the plane of the two jets."""

    values: Floats
    """Mean over events of the sum in each pixel [logit], shape (2, P, P): jet, η, φ."""

    half_width: float
    """Half of the side of the map, in η and in rad."""


def ranking(
    a: ArrayLike,
    names: Sequence[str],
    *,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
    replicas: int = 500,
) -> Ranking:
    """Features by mean absolute attribution, with bootstrap intervals over events.

    Args:
        a: attributions [logit], shape (N, *shape).
        names: name of each input, in the order of the flat shape: `columns` of a representation.
        rng: draws the replicas.
        weights: weights of the events, shape (N,); None if all are alike.
        replicas: number of replicas.

    Raises:
        ValueError: if there are no events, or too few names, weights or replicas.
    """
    all_a, w = _checked(a, weights)
    flat = all_a.reshape(len(all_a), -1)
    if len(names) != flat.shape[1] or replicas < 2:
        raise ValueError(
            f"expected {flat.shape[1]} names and at least 2 replicas; got {len(names)}, {replicas}"
        )
    known = list(dict.fromkeys(names))
    place = {name: k for k, name in enumerate(known)}
    summed = np.zeros((len(known), len(flat)))
    np.add.at(summed, [place[name] for name in names], flat.T)
    both = np.concatenate([summed, np.abs(summed)]).T
    low, high = _interval(both, w, replicas, rng)
    mean, size = np.split(w @ both / w.sum(), 2)
    order = np.argsort(-size, kind="stable")
    (mean_low, size_low), (mean_high, size_high) = np.split(low, 2), np.split(high, 2)
    numbers = (mean, mean_low, mean_high, size, size_low, size_high)
    return Ranking(tuple(known[k] for k in order), *(n[order] for n in numbers))


def map_of_images(
    a: ArrayLike, *, half_width: float = 1.0, weights: ArrayLike | None = None
) -> JetMap:
    """Mean attribution to each pixel.

    Args:
        a: attributions [logit] to the pixels of events of one process, shape (N, 2, P, P).
        half_width: that of the images, in η and in rad.
        weights: weights of the events, shape (N,); None if all are alike.

    Raises:
        ValueError: if shapes do not fit, or a number is not finite.
    """
    images, w = _checked(a, weights)
    if images.ndim != 4 or images.shape[1] != 2 or images.shape[2] != images.shape[3]:
        raise ValueError(f"expected attributions of shape (N, 2, P, P); got {images.shape}")
    return JetMap(np.tensordot(w / w.sum(), images, axes=1), half_width)


def map_of_clouds(
    a: ArrayLike,
    clouds: ArrayLike,
    *,
    pixels: int = 25,
    half_width: float = 1.0,
    weights: ArrayLike | None = None,
) -> JetMap:
    """Mean attribution to the constituents, pT, x and y together, in the pixel that they lie in.

    Args:
        a: attributions [logit] of events of one process, shape (N, 2, P, 3).
        clouds: the events, shape (N, 2, P, 3): pT [GeV], x, y; padding has no pT.
        pixels: pixels along each side of the map.
        half_width: half of the side of the map, in η and in rad; constituents outside are left out.
        weights: weights of the events, shape (N,); None if all are alike.

    Raises:
        ValueError: if shapes do not fit, or a number is not finite.
    """
    (parts, w), x = _checked(a, weights), np.asarray(clouds, dtype=float)
    if parts.shape != x.shape or x.ndim != 4 or x.shape[1] != 2 or x.shape[3] != 3:
        raise ValueError(
            f"expected attributions and clouds of shape (N, 2, P, 3); got {parts.shape}, {x.shape}"
        )
    share = parts.sum(axis=3) * (w / w.sum())[:, None, None]
    jets = [_histogram(x[:, j], share[:, j], pixels, half_width) for j in (0, 1)]
    return JetMap(np.stack(jets), half_width)


def _histogram(x: Floats, share: Floats, pixels: int, half_width: float) -> Floats:
    """Sum of the shares (N, P) of constituents (N, P, 3) in each pixel, (pixels, pixels)."""
    inside = (x[..., 0] > 0) & ((x[..., 1:] >= -half_width) & (x[..., 1:] < half_width)).all(axis=2)
    edges = np.linspace(-half_width, half_width, pixels + 1)
    _, eta, phi = x[inside].T
    summed: Floats = np.histogram2d(eta, phi, bins=[edges, edges], weights=share[inside])[0]
    return summed


def _interval(
    a: Floats, w: Floats, replicas: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Central 68.27 % of the weighted means of a, (N, F), over replicas; two of shape (F,)."""
    a, w = a[w > 0], w[w > 0]
    even = np.full(len(a), 1 / len(a))
    drawn = (w * rng.multinomial(len(a), even) for _ in range(replicas))
    means = np.stack([w_r @ a / w_r.sum() for w_r in drawn])
    low, high = np.quantile(means, [TAIL, 1 - TAIL], axis=0)
    return low, high


def _checked(a: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Attributions and weights of events in double precision."""
    values = np.asarray(a, dtype=float)
    n = len(values) if values.ndim else 0
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
    if not n or not np.isfinite(values).all():
        raise ValueError(f"expected finite attributions of events; got shape {values.shape}")
    if w.shape != (n,) or not (np.isfinite(w) & (w >= 0)).all() or not w.any():
        raise ValueError(f"expected {n} finite weights >= 0, not all 0; got shape {w.shape}")
    return values, w
