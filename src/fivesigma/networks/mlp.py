r"""A dense network for a few high-level features of an event.

For the $F$ features $f$ of an event, with mean $\mu$ and variance $v$ of each feature,

$$ u = \frac{f - \mu}{\sqrt{v + 10^{-3}}}, \qquad
   h = \operatorname{ReLU}(W_1 u + b_1) \quad \text{(tower)}, $$
$$ \text{logits} = W_3 \operatorname{ReLU}(W_2 h + b_2) + b_3 \quad \text{(head)} , $$

with $h$ and $W_2 h$ of 128 numbers. In training $\mu$ and $v$ are those of the batch, in evaluation
the plain averages over all batches since the last `reset`. All of it is float32: there is little to
gain, and a few features rounded to 8 bits would lose what they know.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cnn import draw

__all__ = ["MLP", "Dense"]

WIDTH = 128
EVENTS_PER_SLICE = 4096


class Dense(nn.Module):
    """Dense layers with ReLUs between them, in float32 also where autocast is on.

    Nothing but matrix products and ReLUs, so that many can be stacked and run by `torch.vmap`.
    """

    def __init__(self, *sizes: int) -> None:
        """Layers with torch's initial weights.

        Args:
            sizes: number of inputs, of each hidden layer, and of outputs.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in pairwise(sizes):
            layers += [nn.ReLU(), nn.Linear(i, o)]
        self.layers = nn.Sequential(*layers[1:])
        self.sizes = sizes

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
        dense = Dense(*self.sizes)
        draw(dense, torch.Generator().manual_seed(seed))
        return dense


class MLP(nn.Module):
    """Features of any shape, flattened: F -> 128 -> 128 -> outputs.

    The tower is the standardisation and the first hidden layer, the head is the rest.

    Raises:
        ValueError: if an event has no features.
    """

    def __init__(
        self, shape: tuple[int, ...], *, seed: int | None = None, outputs: int = 1
    ) -> None:
        """Draw a new network.

        Args:
            shape: shape of an event, for example (2, F): jet, feature.
            seed: seed of the initial weights; by default they come from torch's generator.
            outputs: logits of an event; 1 for signal against background.
        """
        super().__init__()
        features = math.prod(shape)
        if not shape or features < 1:
            raise ValueError(f"expected events of at least one feature; got {tuple(shape)}")
        self.slice_size = EVENTS_PER_SLICE
        self.statistics = nn.BatchNorm1d(features, eps=1e-3, momentum=None, affine=False)
        self.first = Dense(features, WIDTH)
        self.head = Dense(WIDTH, WIDTH, outputs)
        draw(self, None if seed is None else torch.Generator().manual_seed(seed))

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
            u: Tensor = self.statistics(x.float().flatten(1))
            return u

    def features(self, u: Tensor) -> Tensor:
        """Embedding of standardised events, each for itself, shape (N, 128)."""
        return F.relu(self.first(u))

    def logits(self, u: Tensor) -> Tensor:
        """Logits of standardised events, each for itself."""
        z: Tensor = self.head(self.features(u))
        return z

    def reset(self) -> None:
        """Forget the running statistics, as a network should that moves to other data."""
        self.statistics.reset_running_stats()
