r"""Maxima over cells of 2 x 2 pixels, and a first convolution that is computed pooled.

A convolution of one input channel has the largest output of a network, of which pooling keeps a
quarter. The four pixels of a cell see windows that lie within one of $(k+1) \times (k+1)$ pixels,
so that with $W_q$ the kernel placed at corner $q$ of that window $z$,

$$ \max_q \, (\gamma z + \beta m) \cdot W_q , \qquad q = 1 \dots 4 , $$

is four matrix products and a maximum. $\gamma$ and $\beta$ scale and shift the image within its
borders: $m$ is 1 within it and 0 in its padding, of which there are only a few patterns $U$. With
the pattern of each window as a one-hot vector $u$, and the bias $b$, this is
$(z, u) \cdot (\gamma W_q, \beta U W_q + b)$.

The gradient of a maximum goes to the first that attains it. Pixels are the first axes of arrays,
and the four products are of so few at a time that they stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PooledConvolution", "pool"]

CACHED = 400_000
"""Numbers of the four products together that stay in a cache of 2 MB."""


def pool(h: Tensor) -> Tensor:
    """Maximum over cells of 2 x 2 pixels, (H, H, N, C) to (H // 2, H // 2, N, C)."""
    m: Tensor = _Pool.apply(h)  # type: ignore[no-untyped-call]
    return m


class PooledConvolution(nn.Conv2d):
    """A convolution of one channel, the maximum over cells of 2 x 2 pixels, and ReLU."""

    bias: Tensor
    U: Tensor
    u: Tensor

    def __init__(self, outputs: int, kernel: int, *, pixels: int) -> None:
        """Draw weights as torch does.

        Args:
            outputs: number of channels of the result.
            kernel: k, the pixels along each side of the kernel, odd.
            pixels: P, the pixels along each side of an image.
        """
        super().__init__(1, outputs, kernel, padding="same")
        U, u = _border(pixels, kernel)
        self.register_buffer("U", U, persistent=False)
        self.register_buffer("u", u, persistent=False)

    def forward(  # type: ignore[override]
        self, z: Tensor, gamma: Tensor, beta: Tensor
    ) -> Tensor:
        """What becomes of images, shape (P // 2, P // 2, J N, outputs), at least 0.

        Args:
            z: images, shape (J, N, P, P).
            gamma: what the images of each j are multiplied by, shape (J,).
            beta: what is added to their pixels then, shape (J,).
        """
        W, k, p = self.weight[:, 0], self.kernel_size[0], self.kernel_size[0] // 2
        z = F.pad(z.to(_dtype(z)), [p] * 4).unfold(2, k + 1, 2).unfold(3, k + 1, 2)
        J, N, H = z.shape[:3]
        z = z.permute(0, 2, 3, 1, 4, 5).reshape(J, H * H, N, -1)
        zu = torch.cat([z, self.u[:, None].to(z.dtype).expand(J, -1, N, -1)], dim=-1)
        W_q = torch.stack([F.pad(W, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)])
        W_q = W_q.flatten(2).transpose(1, 2)
        gamma, beta = gamma[:, None, None, None], beta[:, None, None, None]
        W_q = torch.cat([gamma * W_q, beta * (self.U @ W_q) + self.bias], dim=2)
        m: Tensor = _LargestProduct.apply(zu, W_q.to(z.dtype))  # type: ignore[no-untyped-call]
        return m.view(H, H, J * N, -1)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        m = _maximum(_corners(h))
        ctx.save_for_backward(h, m)
        return m

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        h, m = ctx.saved_tensors
        grad = torch.zeros_like(h) if len(h) % 2 else torch.empty_like(h)
        for _ in _shares(_corners(h), m, g.clone(), out=_corners(grad)):
            pass
        return grad


class _LargestProduct(torch.autograd.Function):
    """The largest of 0 and x_j W_jq over q, (J, P, N, K) and (J, Q, K, C) to (P, J, N, C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor) -> Tensor:
        J, P, N, _ = x.shape
        m = x.new_empty(P, J, N, W.shape[-1])
        h = []
        for j, p in _blocks(J, P, N * W.shape[-1]):
            h.append((x[j, p].flatten(0, 1) @ W[j]).view(len(W[j]), -1, N, W.shape[-1]))
            _maximum([*h[-1]], out=m[p, j]).clamp_(min=0)
        ctx.save_for_backward(x, W, m, *h)
        return m

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor]:
        x, W, m, *h = ctx.saved_tensors
        J, P, N, _ = x.shape
        grad_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        grad_W = torch.zeros_like(W, dtype=torch.promote_types(W.dtype, torch.float32))
        for (j, p), h_b in zip(_blocks(J, P, N * W.shape[-1]), h, strict=True):
            x_b, m_b = x[j, p].flatten(0, 1).t(), m[p, j]
            g_b = torch.ops.aten.threshold_backward(g[p, j], m_b, 0)
            share = torch.empty_like(m_b)
            for q, g_q in enumerate(_shares([*h_b], m_b, g_b, out=[share] * len(h_b))):
                grad_W[j, q] += x_b @ g_q.flatten(0, 1)
                if grad_x is not None:
                    grad_x[j, p] += g_q @ W[j, q].t()
        return grad_x, grad_W.to(W.dtype)


def _blocks(J: int, P: int, size: int) -> list[tuple[int, slice]]:
    """Jets, and runs of P pixels of a size, so long that four products of them stay cached."""
    n = max(CACHED // (4 * size), 1)
    return [(j, slice(p, p + n)) for j in range(J) for p in range(0, P, n)]


def _corners(h: Tensor) -> list[Tensor]:
    even = 2 * (len(h) // 2)
    return [h[i:even:2, j:even:2] for i in (0, 1) for j in (0, 1)]


def _maximum(parts: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    a, b, c, d = parts
    return torch.maximum(torch.maximum(a, b), torch.maximum(c, d), out=out)


def _shares(
    parts: Sequence[Tensor], m: Tensor, g: Tensor, *, out: Sequence[Tensor]
) -> Iterable[Tensor]:
    """What each part receives of the gradient g of the maximum m, into its own `out`; g is lost."""
    # Of the ways to write it this one is fast: no integer indices, no scatter, no booleans.
    for part, share in zip(parts[:-1], out, strict=False):
        torch.eq(part, m, out=share).mul_(g)
        g.sub_(share)
        yield share
    yield out[-1].copy_(g)


def _dtype(z: Tensor) -> torch.dtype:
    """What matrices are multiplied in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else z.dtype


def _border(pixels: int, k: int) -> tuple[Tensor, Tensor]:
    m = F.pad(torch.ones(pixels, pixels), [k // 2] * 4)
    m = m.unfold(0, k + 1, 2).unfold(1, k + 1, 2).reshape(-1, (k + 1) ** 2)
    U, index = torch.unique(m, dim=0, return_inverse=True)
    return U, F.one_hot(index).float()
