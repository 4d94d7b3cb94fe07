"""What a trained network looks at, as a record: ranking of its inputs, maps over the jets.

Events of a signal are drawn in proportion to their weights, each at most once, and compared with
events of the background that are drawn so, each as often as it comes (see `attribution` and
`importance`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import nn

from .attribution import Attributions, Baselines, as_drawn, attributions, same_constituents
from .importance import JetMap, map_of_clouds, map_of_images, ranking
from .representations import JetClouds, JetImages, Representation

__all__ = ["interpret"]

Floats: TypeAlias = NDArray[np.float64]
DIGITS = 5


def interpret(
    network: nn.Module,
    tests: tuple[Any, Any],
    seen: Representation | tuple[str, ...],
    *,
    rng: np.random.Generator,
    events: int,
    baselines: int,
    weights: tuple[Floats | None, Floats | None] = (None, None),
) -> dict[str, Any]:
    """Attributions of the logit, averaged over events; JSON types only, in logits.

    Args:
        network: maps events, shape (N, *shape), to logits, shape (N,).
        tests: represented events of signal and of background, each of shape (N, *shape); arrays or
            rows on disk.
        seen: what the network sees, or the name of each input, in the order of the flat shape.
        rng: draws events and baselines.
        events: at most so many signal events, and as many of background for the maps.
        baselines: background events that each is compared with.
        weights: of the events of signal and of background; None if all are alike.

    Returns:
        `events`, `baselines`, `largest_error` of completeness, `ranking` of the signal's inputs
        with a list for each field of `Ranking`, and, of images and clouds, `maps` with `half_width`
        and the map of either process, shape (2, P, P).

    Raises:
        ValueError: if there are no events, or attributions do not add up (see `attributions`).
    """
    x, b = (_drawn(test, events, w, rng) for test, w in zip(tests, weights, strict=True))
    match = same_constituents if isinstance(seen, JetClouds) else as_drawn
    compared = Baselines(tests[1], weights[1], match)
    found = attributions(network, x, compared, rng=rng, draws=baselines)
    of_signal = ranking(found.values, seen if isinstance(seen, tuple) else seen.columns, rng=rng)
    record: dict[str, Any] = {
        "events": len(x),
        "baselines": baselines,
        "largest_error": float(np.abs(found.error).max()),
        "ranking": {name: _plain(value) for name, value in vars(of_signal).items()},
    }
    if isinstance(seen, JetClouds | JetImages):
        others = attributions(network, b, compared, rng=rng, draws=baselines)
        maps = {"signal": _map(found, x, seen), "background": _map(others, b, seen)}
        record["maps"] = {name: _plain(one.values) for name, one in maps.items()}
        record["maps"] |= {"half_width": maps["signal"].half_width}
    return record


def _drawn(x: Any, n: int, weights: Floats | None, rng: np.random.Generator) -> Any:
    """At most n events, each once."""
    p = np.ones(len(x)) if weights is None else weights
    n = min(n, int((p > 0).sum()))
    return x[np.sort(rng.choice(len(x), n, replace=False, p=p / p.sum()))]


def _map(found: Attributions, x: Any, seen: JetClouds | JetImages) -> JetMap:
    if isinstance(seen, JetClouds):
        return map_of_clouds(found.values, x)
    return map_of_images(found.values, half_width=seen.half_width)


def _plain(value: Any) -> Any:
    """Names as they are, numbers to a few digits."""
    if isinstance(value, tuple):
        return list(value)
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.maximum(np.abs(value), 1e-30))))
    return (np.round(value * scale) / scale).tolist()
