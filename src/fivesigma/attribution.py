r"""Which inputs move the logit of an event: integrated gradients, averaged over background events.

For a network $f$, an event $x$ and a baseline $b$, the attribution to input $i$ is

$$ a_i(x, b) = (x_i - b_i) \int_0^1 \partial_i f \big( b + \alpha (x - b) \big) \, d\alpha ,
   \qquad \sum_i a_i(x, b) = f(x) - f(b) \quad \text{(completeness)} , $$

with $f$ the logit. The integral is a Gauss-Legendre sum. No single event is a natural baseline, so
that the attribution is the mean over baselines drawn from the background, in proportion to weights
such as cross sections,

$$ a_i(x) = \frac1K \sum_{k=1}^K a_i(x, b_k), \qquad b_k \sim p_\text{background} . $$

An input that the network ignores, or that has the same value in $x$ and $b$, gets 0.

Completeness needs a logit that is continuous along the line. A network that counts constituents
jumps where one appears, and the logarithm of its momentum diverges there. Clouds are therefore
compared with the baseline $\tilde b$ that has the constituents of $x$: of those in $b$ with the
same number it takes pT and place; where $b$ has none, that of $x$ stays. What is left is the rest
$r = f(\tilde b) - f(b)$, due to the number of constituents and to those of $b$ alone:

$$ f(x) - f(b) = \sum_i a_i(x, \tilde b) + r . $$

References:
    Axiomatic attribution for deep networks (Sundararajan, Taly, Yan, 2017)
    https://arxiv.org/abs/1703.01365

    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad,
    section 5.5: baselines from the background in proportion to cross sections
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from .networks import Sliceable
from .prediction import SLICE_SIZE, autocast, logits, slices, tensor

__all__ = ["Attributions", "Baselines", "as_drawn", "attributions", "same_constituents"]

Floats: TypeAlias = NDArray[np.float64]
Match: TypeAlias = Callable[[Tensor, Tensor], Tensor]

DOUBLINGS = 4


def as_drawn(x: Tensor, b: Tensor) -> Tensor:
    """Baselines b of events x as they are, both of shape (n, *shape): for images and features."""
    return b


def same_constituents(x: Tensor, b: Tensor) -> Tensor:
    """Clouds with as many constituents as x, from the baseline b where it has them.

    Args:
        x: clouds, shape (n, 2, P, 3): event, jet, constituent, (pT [GeV], x, y).
        b: a baseline for each, of the same shape.
    """
    there = x[..., :1] > 0
    return torch.where(there & (b[..., :1] > 0), b, x * there)


@dataclass(frozen=True, eq=False)
class Baselines:
    """Background events to compare with.

    Raises:
        ValueError: if there are no events, or the weights are not M numbers >= 0 of which one is
            larger.
    """

    events: Any
    """Represented events, shape (M, *shape), float32; an array or rows on disk."""

    weights: ArrayLike | None = None
    """In proportion to which they are drawn, shape (M,), for example cross sections per generated
    event in fb; None if all are alike."""

    match: Match = as_drawn
    """Where the path to an event starts for a baseline that was drawn; `same_constituents` for
    clouds."""

    def __post_init__(self) -> None:
        n = len(self.events)
        if not n:
            raise ValueError("expected at least one background event as baseline; got none")
        w = np.ones(n) if self.weights is None else np.asarray(self.weights, dtype=float)
        if w.shape != (n,) or not (np.isfinite(w) & (w >= 0)).all() or not w.any():
            raise ValueError(
                f"expected weights of baselines, {n} finite numbers >= 0 that are not all 0; "
                f"got shape {w.shape}, from {w.min(initial=0):g} to {w.max(initial=0):g}"
            )
        object.__setattr__(self, "weights", w)

    def draw(self, n: int, draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Numbers of the baselines of n events, shape (n, draws)."""
        w = np.asarray(self.weights)
        return rng.choice(len(w), (n, draws), p=w / w.sum())


@dataclass(frozen=True, eq=False)
class Attributions:
    """Attributions to the inputs of N events, and how well they add up. All are in logits."""

    values: NDArray[np.float32]
    """Attribution to each input, shape (N, *shape)."""

    logit: Floats
    """Logit f(x), shape (N,)."""

    baseline_logit: Floats
    """Mean logit of the baselines that were drawn, shape (N,)."""

    rest: Floats
    """Part of logit - baseline_logit that lies between matched and drawn baselines, shape (N,);
    0 for baselines `as_drawn`."""

    error: Floats
    """Sum of the values + rest - (logit - baseline_logit), shape (N,): 0 if they are complete."""

    steps: NDArray[np.intp]
    """Steps of the sum that were taken, shape (N,)."""


def attributions(
    network: nn.Module,
    x: Any,
    baselines: Baselines,
    *,
    rng: np.random.Generator,
    draws: int = 32,
    steps: int = 32,
    tolerance: float = 0.02,
) -> Attributions:
    """Integrated gradients of the logit of each event, averaged over drawn baselines.

    Float32 without autocast, in evaluation mode, in slices as large as those of a prediction. Each
    event has baselines of its own. One that misses the tolerance is done again with twice as many
    steps, up to 16 times as many.

    Args:
        network: maps events, shape (N, *shape), to logits, shape (N,).
        x: events, shape (N, *shape); an array or rows on disk.
        baselines: background events, of the same shape.
        rng: draws the baselines.
        draws: K, baselines of each event.
        steps: points of the sum, to begin with.
        tolerance: largest |error|, in units of max(1, |sum of the values|), dimensionless.

    Raises:
        ValueError: if shapes differ, an input is not finite, the network has not one logit, a
            number is out of range, or an event misses the tolerance with all steps.
    """
    _check_events(x, baselines.events)
    _check_numbers(draws, steps, tolerance)
    drawn = baselines.draw(len(x), draws, rng)
    was_training = network.training
    network.eval()
    try:
        _check_network(network, x)
        found = _integrate(network, x, baselines, drawn, steps)
        for k in range(1, DOUBLINGS + 1):
            if not len(late := _incomplete(found, tolerance)):
                break
            better = _integrate(network, x[late], baselines, drawn[late], steps << k)
            for field in fields(Attributions):
                getattr(found, field.name)[late] = getattr(better, field.name)
    finally:
        network.train(was_training)
    if len(late := _incomplete(found, tolerance)):
        raise ValueError(
            f"expected attributions that add up to the logit within {tolerance:g}; {len(late)} of "
            f"{len(x)} events do not with {steps << DOUBLINGS} steps, the first by "
            f"{found.error[late[0]]:.3g}: the logit is steep or jumps on the way from a baseline"
        )
    return found


def _integrate(
    network: nn.Module, x: Any, baselines: Baselines, drawn: NDArray[np.intp], steps: int
) -> Attributions:
    """The means over the baselines `drawn`, (N, K), of events x, all with the same steps."""
    # It loads matplotlib, which training has no need of.
    from captum.attr import IntegratedGradients

    gradients = IntegratedGradients(network)
    size = network.slice_size if isinstance(network, Sliceable) else SLICE_SIZE
    n, draws = drawn.shape
    values, f = np.zeros((n, *x.shape[1:])), np.zeros((n, 3))
    for pair in slices(drawn.size, size):
        event = pair // draws
        x_k, b_k = tensor(x[event]), tensor(baselines.events[drawn.ravel()[pair]])
        start = baselines.match(x_k, b_k)
        with autocast("float32"):
            a = gradients.attribute(x_k, start, n_steps=steps, internal_batch_size=size)
        np.add.at(values, event, a.numpy())
        ends = [logits(network, end, precision="float32") for end in (x_k, start, b_k)]
        np.add.at(f, event, torch.stack(ends, dim=1).numpy())
    f_x, f_start, f_drawn = (f / draws).T.copy()
    values /= draws
    error = values.reshape(n, -1).sum(axis=1) - (f_x - f_start)
    count = np.full(n, steps)
    return Attributions(values.astype("f4"), f_x, f_drawn, f_start - f_drawn, error, count)


def _incomplete(found: Attributions, tolerance: float) -> NDArray[np.intp]:
    """Events that miss the tolerance; NaN does."""
    total = np.abs(found.logit - found.baseline_logit - found.rest)
    return np.flatnonzero(~(np.abs(found.error) <= tolerance * np.maximum(1, total)))


def _check_events(x: Any, b: Any) -> None:
    if not len(x) or tuple(x.shape[1:]) != tuple(b.shape[1:]):
        raise ValueError(
            f"expected events, at least one, and baselines of one shape; got {tuple(x.shape)} and "
            f"{tuple(b.shape)}"
        )
    for name, a in (("events", x), ("baselines", b)):
        if not all(bool(tensor(a[i]).isfinite().all()) for i in slices(len(a), SLICE_SIZE)):
            raise ValueError(f"expected finite {name}; got some that are not")


def _check_numbers(draws: int, steps: int, tolerance: float) -> None:
    if draws < 1 or steps < 1 or not tolerance > 0:
        raise ValueError(
            f"expected draws and steps of at least 1 and a tolerance > 0; got {draws}, {steps} and "
            f"{tolerance}"
        )


def _check_network(network: nn.Module, x: Any) -> None:
    shape = tuple(logits(network, x[:1], precision="float32").shape)
    if shape != (1,):
        raise ValueError(f"expected a network with one logit for an event; got shape {shape}")
