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

from torch import Tensor

from .mlp import MLP, Dense

__all__ = ["JetSum", "Jetwise"]


class JetSum(Dense):
    """Dense layers for each jet, and the sum of their outputs over the jets."""

    def forward(self, e: Tensor) -> Tensor:
        """Outputs, shape (N,) if there is one, else (N, outputs), float32.

        Args:
            e: inputs of each jet, shape (N, J, E).
        """
        z = super().forward(e.flatten(0, 1))
        return z.view(*e.shape[:2], *z.shape[1:]).sum(dim=1)


class Jetwise(MLP):
    """Features of J jets: F -> 128 -> 128 -> outputs for each jet, summed.

    Events x have the shape (N, J, F), standardised as well, and their embedding (N, J, 128).

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
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"expected events of shape (J, F), jet and feature; got {shape}")
        super().__init__(shape[1:], seed=seed, outputs=outputs)
        head = JetSum(*self.head.sizes)
        head.load_state_dict(self.head.state_dict())
        self.head = head

    def standardise(self, x: Tensor) -> Tensor:
        """Features of zero mean and unit variance over all jets, shape (N, J, F)."""
        return super().standardise(x.flatten(0, 1)).view(x.shape)

    def features(self, u: Tensor) -> Tensor:
        """Embedding of the jets of standardised events, shape (N, J, 128), each for itself."""
        return super().features(u.flatten(0, 1)).view(*u.shape[:2], -1)
