r"""A dense network of the features of one jet, and the sum of its logits over the jets of an event.

Given what an event is, its jets are nearly independent, and the logarithm of its likelihood ratio
is the sum of theirs: for the features $f_j$ of jet $j$, with mean $\mu$ and variance $v$ of each
feature over all jets,

$$ u_j = \frac{f_j - \mu}{\sqrt{v + 10^{-12}}}, \qquad
   h_j = \operatorname{ReLU}(W_1 u_j + b_1) \quad \text{(tower)}, $$
$$ \text{logits} = \sum_j \left[ W_3 \operatorname{ReLU}(W_2 h_j + b_2) + b_3 \right]
   \quad \text{(head)} , $$

with $h$ and $W_2 h$ of 128 numbers. One function of half of the numbers is learnt from twice as
many jets, and what is common to both jets of a rare signal is not learnt twice; a correlation of
the jets, which background has through their momenta, cannot be learnt at all. Statistics, precision
and slices are those of `mlp`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .cnn import draw
from .mlp import EVENTS_PER_SLICE, VARIANCE_MIN, WIDTH, Dense

__all__ = ["JetSum", "Jetwise"]


class JetSum(nn.Module):
    """Dense layers for each jet, and the sum of their outputs over the jets."""

    def __init__(self, *sizes: int) -> None:
        """Layers with torch's initial weights.

        Args:
            sizes: numbers of inputs of a jet, of each hidden layer, and of outputs.
        """
        super().__init__()
        self.each = Dense(*sizes)

    def forward(self, e: Tensor) -> Tensor:
        """Outputs, shape (N,) if there is one, else (N, outputs), float32.

        Args:
            e: inputs of each jet, shape (N, J, E).
        """
        z: Tensor = self.each(e.flatten(0, 1))
        return z.view(*e.shape[:2], *z.shape[1:]).sum(dim=1)

    def another(self, seed: int) -> JetSum:
        """The same layers with weights of their own: Glorot uniform, biases zero."""
        head = JetSum(*self.each.sizes)
        head.each = self.each.another(seed)
        return head


class Jetwise(nn.Module):
    """Features of J jets: F -> 128 -> 128 -> outputs for each jet, summed.

    Raises:
        ValueError: if `shape` is not (J, F) with at least one jet and one feature.
    """

    def __init__(
        self, shape: tuple[int, ...], *, seed: int | None = None, outputs: int = 1
    ) -> None:
        """Draw a new network.

        Args:
            shape: shape of an event, (J, F): jet, feature.
            seed: seed of the initial weights; by default they come from torch's generator.
            outputs: logits of an event; 1 for signal against background.
        """
        super().__init__()
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"expected events of shape (J, F), jet and feature; got {shape}")
        statistics = nn.BatchNorm1d(shape[1], eps=VARIANCE_MIN, momentum=None, affine=False)
        self.statistics = statistics.double()
        self.first = nn.Sequential(nn.Linear(shape[1], WIDTH), nn.ReLU())
        self.head = JetSum(WIDTH, WIDTH, outputs)
        self.slice_size = EVENTS_PER_SLICE
        draw(self, None if seed is None else torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of events x, shape (N, J, F): (N,), or (N, outputs) if there are several."""
        return self.logits(self.standardise(x))

    def tower(self, x: Tensor) -> Tensor:
        """Embedding of events x, shape (N, J, F): (N, J, 128), float32."""
        return self.features(self.standardise(x))

    def new_head(self, seed: int) -> JetSum:
        """A head for the same tower, with weights of its own."""
        return self.head.another(seed)

    def standardise(self, x: Tensor) -> Tensor:
        """Features of zero mean and unit variance, shape (N, J, F); couples a batch."""
        with torch.autocast("cpu", enabled=False):
            u: Tensor = self.statistics(x.double().flatten(0, 1))
            return u.float().view(x.shape)

    def features(self, u: Tensor) -> Tensor:
        """Embedding of standardised events, shape (N, J, 128), each for itself."""
        with torch.autocast("cpu", enabled=False):
            h: Tensor = self.first(u)
            return h

    def logits(self, u: Tensor) -> Tensor:
        """Logits of standardised events, each for itself."""
        z: Tensor = self.head(self.features(u))
        return z

    def reset(self) -> None:
        """Forget the running statistics, as a network should that moves to other data."""
        self.statistics.reset_running_stats()
