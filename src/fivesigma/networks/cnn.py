r"""The convolutional network of the papers: one tower for both jets, and the product of its scores.

The image of each jet is standardised by its own norm and passes through the same tower,

$$ \text{BatchNorm} \to
   [\text{Conv}_{64}^{5 \times 5} \to \text{MaxPool} \to \text{ReLU}] \to
   [\text{Conv}_{64}^{5 \times 5} \to \text{MaxPool} \to \text{ReLU}] \to
   [\text{Conv}_{128}^{3 \times 3} \to \text{MaxPool} \to \text{ReLU}] \to
   [\text{Conv}_{128}^{3 \times 3} \to \text{ReLU}] \to
   3 \times [\text{Dense}_{128} \to \text{ReLU}] \to \text{Dense}_1 , $$

which gives the logits $a$ and $b$ of the two jets. The score of the event is
$p = \sigma(a) \, \sigma(b)$, and since $1/p = (1 + e^{-a})(1 + e^{-b})$ its logit is

$$ \log \frac{p}{1 - p} = - \log \left( e^{-a} + e^{-b} + e^{-a-b} \right) . $$

Pooling before bias and ReLU is the same function as the papers' order, at a quarter of the work.

References:
    Transfer learning for weakly supervised searches (Beauchesne, Chen, Chiang, 2023)
    https://arxiv.org/abs/2312.06152

    Improving the performance of weak supervision searches using data augmentation
    (Chen, Chiang, Hsieh, 2024) https://arxiv.org/abs/2412.00198
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pooling import PooledConvolution, pool
from .spectral import Convolution

__all__ = ["CNN", "Head", "Norm", "draw", "product_logit"]

PIXELS_PER_SLICE, EVENTS_PER_SLICE = 80_000, 32


def product_logit(a: Tensor, b: Tensor) -> Tensor:
    """Logit of sigmoid(a) sigmoid(b), finite with finite gradients for all finite a and b.

    Args:
        a: logits of the first jet, shape (N,).
        b: logits of the second jet, shape (N,).

    Returns:
        Shape (N,).
    """
    return -torch.logsumexp(torch.stack([-a, -b, -a - b]), dim=0)


class Norm(nn.Module):
    r"""Batch normalisation of each jet's image by one mean and variance.

    The papers' eps = 1e-3 is kept, their momentum is not: Keras' 0.99 forgets the initial mean and
    variance only after hundreds of steps, and evaluates wrongly until then. The norm sees data,
    which do not drift as weights do, so the running statistics are the plain averages over all
    batches since the last `reset`, right from the first epoch on.
    """

    def __init__(self, jets: int) -> None:
        super().__init__()
        self.statistics = nn.BatchNorm2d(jets, eps=1e-3, momentum=None, affine=False)
        self.scale = nn.Parameter(torch.ones(jets))
        self.shift = nn.Parameter(torch.zeros(jets))

    def standardise(self, x: Tensor) -> Tensor:
        """Images of zero mean and unit variance, shape (N, jets, P, P); couples a batch."""
        with torch.autocast("cpu", enabled=False):
            z: Tensor = self.statistics(x.float())
            return z

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift of the standardised images, shape (N, jets, P, P)."""
        return self.standardise(x) * self.scale[:, None, None] + self.shift[:, None, None]

    def reset(self) -> None:
        """Forget the running statistics, as a network should that moves to other data."""
        self.statistics.reset_running_stats()


class CNN(nn.Module):
    """The papers' network: 506 313 parameters at 25 x 25 pixels, counting running statistics.

    `norm` and `convolutions` are the tower, `head` makes the logits. Weights are drawn as Keras
    does (Glorot uniform, biases zero), not as torch does.

    Raises:
        ValueError: if `shape` is not (2, P, P) with P of at least 8 pixels.

    References:
        Transfer learning for weakly supervised searches (Beauchesne, Chen, Chiang, 2023)
        https://arxiv.org/abs/2312.06152
    """

    head: Head

    def __init__(
        self, shape: tuple[int, ...], *, seed: int | None = None, outputs: int = 1
    ) -> None:
        """Draw a new network.

        Args:
            shape: shape of an event, (2, P, P): jet, eta, phi.
            seed: seed of the initial weights; by default they come from torch's generator.
            outputs: logits of an event; 1 for signal against background.
        """
        super().__init__()
        if len(shape) != 3 or shape[0] != 2 or shape[1] != shape[2] or shape[1] < 8:
            raise ValueError(f"expected events of shape (2, P, P), P >= 8; got {tuple(shape)}")
        pixels = shape[1]
        self.slice_size = max(EVENTS_PER_SLICE, PIXELS_PER_SLICE // pixels**2)
        self.norm = Norm(2)
        self.convolutions = nn.ModuleList(
            [
                PooledConvolution(64, 5, pixels=pixels),
                Convolution(64, 64, 5, pixels=pixels // 2),
                Convolution(64, 128, 3, pixels=pixels // 4),
                Convolution(128, 128, 3, pixels=pixels // 8),
            ]
        )
        self.head = Head(128 * (pixels // 8) ** 2, outputs)
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        draw(self.convolutions, generator)
        draw(self.head, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of events, shape (N,), float32.

        Args:
            x: two jet images of each event, shape (N, 2, P, P).
        """
        return self.logits(self.standardise(x))

    def tower(self, x: Tensor) -> Tensor:
        """Flattened output of the convolutions for each jet, shape (N, 2, F)."""
        return self.features(self.standardise(x))

    def new_head(self, seed: int) -> Head:
        """A head for the same tower, with weights of its own."""
        head = copy.deepcopy(self.head)
        draw(head, torch.Generator().manual_seed(seed))
        return head

    def standardise(self, x: Tensor) -> Tensor:
        """The only part that couples the events of a batch; shape (N, 2, P, P)."""
        return self.norm.standardise(x)

    def logits(self, z: Tensor) -> Tensor:
        """Logits of standardised events, each for itself, shape (N,), float32."""
        logits: Tensor = self.head(self.features(z))
        return logits

    def features(self, z: Tensor) -> Tensor:
        """Flattened output of the convolutions for each jet, shape (N, 2, F).

        Args:
            z: standardised images, shape (N, 2, P, P).
        """
        first, second, third, fourth = self.convolutions
        h = first(z.transpose(0, 1), self.norm.scale, self.norm.shift)
        h = _activate(pool(second(h)), second)
        h = _activate(pool(third(h)), third)
        h = _activate(fourth(h), fourth)
        return torch.unflatten(h, 2, (2, -1)).permute(3, 2, 4, 0, 1).flatten(2)


class Head(nn.Module):
    """The dense layers: three of 128 and one logit for each jet, and the product of their scores.

    With more than one output, the logits of the two jets are added.
    """

    def __init__(self, features: int, outputs: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *[nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()],
            *[nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs)],
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits of events, shape (N,) or (N, outputs), of the features of their jets (N, 2, F)."""
        h = self.layers[:-1](features)
        # In float32, since scores rounded to 8 bits would tie at the tight end of a ROC curve.
        with torch.autocast("cpu", enabled=False):
            h = self.layers[-1](h.float())
            a, b = h.unbind(-2)
            return product_logit(a[..., 0], b[..., 0]) if h.shape[-1] == 1 else a + b


def draw(module: nn.Module, generator: torch.Generator | None) -> None:
    """Draw all weights as Keras does: Glorot uniform, biases zero."""
    for weight in module.parameters():
        if weight.ndim > 1:
            nn.init.xavier_uniform_(weight, generator=generator)
        else:
            nn.init.zeros_(weight)


def _activate(h: Tensor, layer: Any) -> Tensor:
    return F.relu(h + layer.bias.to(h.dtype))
