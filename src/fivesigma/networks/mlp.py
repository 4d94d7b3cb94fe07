r"""A dense network for a few high-level features of an event.

For the $F$ features $f$ of an event, with mean $\mu$ and variance $v$ of each feature,

$$ u = \frac{f - \mu}{\sqrt{v + 10^{-12}}}, \qquad
   h = \operatorname{ReLU}(W_1 u + b_1) \quad \text{(tower)}, $$
$$ \text{logits} = W_3 \operatorname{ReLU}(W_2 h + b_2) + b_3 \quad \text{(head)} , $$

with $h$ and $W_2 h$ of 128 numbers. In training $\mu$ and $v$ are those of the batch, in evaluation
the plain averages over all batches since the last `reset`. They are float64, in which a feature
that is the same in all events becomes 0 and not the rounding of its mean. All else is float32:
there is little to gain, and a few features rounded to 8 bits would lose what they know.

Instead of the ReLU, another activation, a norm of the inputs of the next layer, and dropout may
follow each hidden layer,

$$ h = \operatorname{Dropout}(\operatorname{BatchNorm}(a(W u + b))) , \qquad
   \operatorname{Mish}(v) = v \tanh \ln (1 + e^v) . $$

With a norm or dropout both hidden layers belong to the tower, so that the head, the last layer,
stays a function of single events of which many can be stacked. With `activation="mish"`,
`norm="batch"` and `dropout=0.2`, and a weight decay of 1e-4, it is the network of the thesis, which
does not print the order, but says that the norm is one of each layer's inputs.

References:
    Mish: A Self Regularized Non-Monotonic Activation Function (Misra, 2019)
    https://arxiv.org/abs/1908.08681

    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad,
    sections 4.5.3, 5.3.2 and 6.4.2
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from .cnn import draw

__all__ = ["ACTIVATIONS", "MLP", "Dense", "Norm"]

Norm: TypeAlias = Literal["none", "batch"]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "mish": nn.Mish}
WIDTH = 128
VARIANCE_MIN = 1e-12
EVENTS_PER_SLICE = 4096


class Dense(nn.Module):
    """Dense layers with ReLUs between them, in float32 also where autocast is on.

    Nothing but matrix products and ReLUs, so that many can be stacked and run by `torch.vmap`; also
    with what else is a function of single events, without random numbers, between them.
    """

    def __init__(self, *sizes: int, between: Callable[[], nn.Module] = nn.ReLU) -> None:
        """Layers with torch's initial weights.

        Args:
            sizes: number of inputs, of each hidden layer, and of outputs.
            between: makes what follows each hidden layer.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in pairwise(sizes):
            layers += [between(), nn.Linear(i, o)]
        self.layers = nn.Sequential(*layers[1:])
        self.sizes, self.between = sizes, between

    def forward(self, e: Tensor) -> Tensor:
        """Outputs, shape (N,) if there is one, else (N, outputs), float32.

        Args:
            e: inputs, shape (N, *E), of as many numbers as the first size.
        """
        # In float32, since scores rounded to 8 bits would tie at the tight end of a ROC curve.
        with torch.autocast("cpu", enabled=False):
            z: Tensor = self.layers(e.float().flatten(1))
        return z.squeeze(-1) if self.sizes[-1] == 1 else z

    def another(self, seed: int) -> Dense:
        """The same layers with weights of their own: Glorot uniform, biases zero."""
        dense = type(self)(*self.sizes, between=self.between)
        draw(dense, torch.Generator().manual_seed(seed))
        return dense


class MLP(nn.Module):
    """Features of any shape, flattened: F -> 128 -> 128 -> outputs.

    The tower is the standardisation and the first hidden layer, or both if they have a norm or
    dropout; the head is the rest.

    Raises:
        ValueError: if an event has no features, or there is no such activation, norm or dropout.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        seed: int | None = None,
        outputs: int = 1,
        activation: str = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
    ) -> None:
        """Draw a new network.

        Args:
            shape: shape of an event, for example (2, F): jet, feature.
            seed: seed of the initial weights; by default they come from torch's generator.
            outputs: logits of an event; 1 for signal against background.
            activation: a name of `ACTIVATIONS`.
            norm: "batch" for zero mean and unit variance of the activations in a batch, scaled and
                shifted by weights.
            dropout: probability of an activation to be dropped in training.
        """
        super().__init__()
        features = math.prod(shape)
        if not shape or features < 1:
            raise ValueError(f"expected events of at least one feature; got {tuple(shape)}")
        hidden = _hidden(activation, norm, dropout)
        in_tower = 1 if norm == "none" and not dropout else 2
        self.norm = norm
        statistics = nn.BatchNorm1d(features, eps=VARIANCE_MIN, momentum=None, affine=False)
        self.statistics = statistics.double()
        self.first = Dense(features, *[WIDTH] * in_tower, between=hidden)
        self.after = hidden()
        self.head = Dense(*[WIDTH] * (3 - in_tower), outputs, between=hidden)
        draw(self, None if seed is None else torch.Generator().manual_seed(seed))
        for scaled in (m for m in self.modules() if isinstance(m, nn.BatchNorm1d)):
            scaled.reset_parameters()  # a scale is drawn as 0

    @property
    def slice_size(self) -> int:
        """All events of a batch where the norm of hidden layers couples them, as in training."""
        return sys.maxsize if self.norm == "batch" and self.training else EVENTS_PER_SLICE

    def forward(self, x: Tensor) -> Tensor:
        """Logits of events x, shape (N, *shape): (N,), or (N, outputs) if there are several."""
        return self.logits(self.standardise(x))

    def tower(self, x: Tensor) -> Tensor:
        """Embedding of events x, shape (N, *shape): (N, 128), float32."""
        return self.features(self.standardise(x))

    def new_head(self, seed: int) -> Dense:
        """A head for the same tower, with weights of its own."""
        return self.head.another(seed)

    def standardise(self, x: Tensor) -> Tensor:
        """Features of zero mean and unit variance, shape (N, F); couples a batch."""
        with torch.autocast("cpu", enabled=False):
            u: Tensor = self.statistics(x.double().flatten(1))
            return u.float()

    def features(self, u: Tensor) -> Tensor:
        """Embedding of standardised events, shape (N, 128), each for itself but for a norm."""
        with torch.autocast("cpu", enabled=False):
            h: Tensor = self.after(self.first(u))
            return h

    def logits(self, u: Tensor) -> Tensor:
        """Logits of standardised events, each for itself but for a norm."""
        z: Tensor = self.head(self.features(u))
        return z

    def reset(self) -> None:
        """Forget the running statistics, as a network should that moves to other data."""
        self.statistics.reset_running_stats()


def _hidden(activation: str, norm: Norm, dropout: float) -> Callable[[], nn.Module]:
    """Maker of what follows a hidden layer.

    Raises:
        ValueError: if a value is not known or out of range.
    """
    for name, value, words in (
        ("activation", activation, [*ACTIVATIONS]),
        ("norm", norm, [*get_args(Norm)]),
    ):
        if value not in words:
            raise ValueError(f"expected {name} to be one of {words}; got {value!r}")
    if not 0 <= dropout < 1:
        raise ValueError(f"expected dropout within [0, 1); got {dropout}")
    makers = [ACTIVATIONS[activation]]
    if norm == "batch":
        makers.append(partial(nn.BatchNorm1d, WIDTH))
    if dropout:
        makers.append(partial(nn.Dropout, dropout))
    return makers[0] if len(makers) == 1 else partial(_sequence, tuple(makers))


def _sequence(makers: tuple[Callable[[], nn.Module], ...]) -> nn.Module:
    return nn.Sequential(*(make() for make in makers))
