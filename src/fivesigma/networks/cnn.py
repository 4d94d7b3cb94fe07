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

Pooling before the ReLU is the same function as the papers' order, at a quarter of the ReLUs.

The first convolution has one input channel and its output is the largest array of the network.
It is computed pooled: the four pixels of a pooling cell see windows that lie within one of
$(k+1) \times (k+1)$ pixels, so that with $W_q$ the kernel placed at corner $q$ of that window $z$,

$$ \max_q \, (\gamma z + \beta m) \cdot W_q , \qquad q = 1 \dots 4 , $$

is one matrix product and a maximum. $\gamma$ and $\beta$ belong to the norm, and $m$ is 1 within
the image and 0 in its padding, of which there are only a few patterns $U$: with the pattern of
each window as a one-hot vector $u$, this is $(z, u) \cdot (\gamma W_q, \beta U W_q)$.

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

__all__ = ["CNN", "Head", "Norm", "draw", "product_logit"]

PIXELS_PER_SLICE = 80_000


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

    U: Tensor
    u: Tensor
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
        self.slice_size = max(1, PIXELS_PER_SLICE // pixels**2)
        self.norm = Norm(2)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, k, padding="same")
            for i, o, k in [(1, 64, 5), (64, 64, 5), (64, 128, 3), (128, 128, 3)]
        )
        self.head = Head(128 * (pixels // 8) ** 2, outputs)
        U, u = _border(pixels, 5)
        self.register_buffer("U", U, persistent=False)
        self.register_buffer("u", u, persistent=False)
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        draw(self.convolutions, generator)
        draw(self.head, generator)
        for weight in self.convolutions.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

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
        _, second, third, fourth = self.convolutions
        h = F.relu(self._first(z))
        h = F.relu(F.max_pool2d(second(h), 2))
        h = F.relu(F.max_pool2d(third(h), 2))
        h = F.relu(fourth(h))
        return h.reshape(2, len(z), -1).transpose(0, 1)

    def _first(self, z: Tensor) -> Tensor:
        W, bias = self.convolutions[0].parameters()
        k, p = W.shape[-1], W.shape[-1] // 2
        z = F.pad(z.transpose(0, 1), (p, p, p, p)).unfold(2, k + 1, 2).unfold(3, k + 1, 2)
        _, N, H = z.shape[:3]
        u = self.u.expand(2, N, H * H, -1)
        zu = torch.cat([z.reshape(2, N, H * H, -1), u], dim=-1).flatten(1, 2)
        W_q = torch.stack([F.pad(W[:, 0], (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)])
        W_q = W_q.flatten(2).transpose(1, 2)
        UW_q = self.U @ W_q
        h = torch.cat(
            [
                _maximum(zu_jet @ torch.cat([gamma * W_q, beta * UW_q], dim=1))
                for zu_jet, gamma, beta in zip(zu, self.norm.scale, self.norm.shift, strict=True)
            ]
        )
        h = h + bias.to(h.dtype)
        return h.view(2 * N, H, H, -1).permute(0, 3, 1, 2)


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


def _maximum(h: Tensor) -> Tensor:
    m: Tensor = _Maximum.apply(h)  # type: ignore[no-untyped-call]
    return m


class _Maximum(torch.autograd.Function):
    """Maximum over the first axis; the gradient goes to the first that attains it, as in pooling.

    Of the ways to write it this one is fast: no integer indices, no scatter.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        a, b, c, d = h
        m = torch.maximum(torch.maximum(a, b), torch.maximum(c, d))
        ctx.save_for_backward(h, m)
        return m

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        h, m = ctx.saved_tensors
        grad = torch.empty_like(h)
        g = g.clone(memory_format=torch.contiguous_format)
        for h_q, grad_q in zip(h, grad, strict=True):
            torch.eq(h_q, m, out=grad_q).mul_(g)
            g.sub_(grad_q)
        return grad


def _border(pixels: int, k: int) -> tuple[Tensor, Tensor]:
    m = F.pad(torch.ones(pixels, pixels), [k // 2] * 4)
    m = m.unfold(0, k + 1, 2).unfold(1, k + 1, 2).reshape(-1, (k + 1) ** 2)
    U, index = torch.unique(m, dim=0, return_inverse=True)
    return U, F.one_hot(index).float()
