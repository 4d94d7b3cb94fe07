r"""Convolutions as products in frequency space, each step of them a matrix product.

With $\hat{x}_{pq} = \sum_{ij} x_{ij} \, e^{-2 \pi i (p i + q j) / n}$ the Fourier transform of an
image of $H \times H$ pixels in a period of $n = H + \lfloor k/2 \rfloor$, so that nothing wraps
around into the image, a convolution that keeps the size of the image is

$$ \hat{y}_{pq} = \hat{x}_{pq} \, \hat{w}_{pq} , \qquad
   \hat{w}_{pq} = \sum_{st} w_{st} \, e^{2 \pi i (p s + q t) / n} , \qquad
   s, t = - \lfloor k/2 \rfloor \dots \lfloor k/2 \rfloor , $$

where $\hat{x}$ is a row of channels and $\hat{w}$ a matrix. Images are real, so that
$p = 0 \dots \lfloor n/2 \rfloor$ is enough, and a product of complex numbers is three real ones,

$$ a = (\text{Re} + \text{Im}) \, \hat{x} \cdot \text{Re} \, \hat{w} , \quad
   b = \text{Re} \, \hat{x} \cdot (\text{Im} - \text{Re}) \, \hat{w} , \quad
   c = \text{Im} \, \hat{x} \cdot (\text{Im} + \text{Re}) \, \hat{w} , \qquad
   \hat{y} = a - c + i (a + b) . $$

A kernel of $5 \times 5$ on $12 \times 12$ pixels takes 336 products with a matrix of channels
instead of 3600. Pixels are the first axes of all arrays here: transforms multiply from the left,
channels from the right. Processors with tiles of matrix arithmetic (AMX) convolve faster directly.

References:
    Fast training of convolutional networks through FFTs (Mathieu, Henaff, LeCun, 2013)
    https://arxiv.org/abs/1312.5851
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Convolution"]

DIRECT: bool = torch.cpu._is_amx_tile_supported()


class Convolution(nn.Conv2d):
    """A convolution without bias of square images of one size, which it keeps.

    The function is that of `torch.nn.Conv2d` to rounding. The bias is kept beside it, to be added
    where it costs least: the maximum of pooling is the same before it.
    """

    F_rows: Tensor
    F_columns: Tensor
    F_kernel: Tensor
    I_columns: Tensor
    I_rows: Tensor

    def __init__(self, channels: int, outputs: int, kernel: int, *, pixels: int) -> None:
        """Draw weights as torch does.

        Args:
            channels: number of channels of an image.
            outputs: number of channels of the result.
            kernel: k, the pixels along each side of the kernel, odd.
            pixels: H, the pixels along each side of an image.
        """
        super().__init__(channels, outputs, kernel, padding="same")
        for name, matrix in _transforms(pixels, kernel).items():
            self.register_buffer(name, matrix.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of images x, shape (H, H, N, channels); shape (H, H, N, outputs)."""
        if DIRECT:
            x = x.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)
            return F.conv2d(x, self.weight, padding="same").permute(2, 3, 0, 1)
        H, _, N, _ = x.shape
        M, P = len(self.F_kernel), len(self.F_rows) // 2
        w_hat = self.F_kernel @ self.weight.permute(2, 3, 1, 0).flatten(2).flatten(0, 1)
        x_hat = self.F_columns @ (self.F_rows @ x.reshape(H, -1)).view(P, 2 * H, -1)
        y_hat = x_hat.view(M, N, -1) @ w_hat.view(M, -1, self.out_channels)
        y = self.I_rows @ (self.I_columns @ y_hat.view(P, M // P, -1)).view(2 * P, -1)
        return y.view(H, H, N, -1)


def _transforms(H: int, k: int) -> dict[str, Tensor]:
    """The transforms; a complex number is a pair (Re, Im), a product of two is (a, b, c)."""
    n = H + k // 2
    P = n // 2 + 1
    q, j, t = (torch.arange(m, dtype=torch.float64) for m in (n, H, k))
    e = torch.exp(2j * math.pi / n * torch.outer(q, j))
    e_t = torch.exp(2j * math.pi / n * torch.outer(q, t - k // 2))
    w = (e_t[:P, None, :, None] * e_t[None, :, None, :]).reshape(P, n, k * k)
    twice = torch.where((q[:P] == 0) | (2 * q[:P] == n), 1, 2)
    F_p, I_p = e[:P].conj(), e[:P] * (twice / n**2)[:, None]
    F_q = torch.stack([e.conj(), 1j * e.conj()])  # of the real and imaginary part of rows
    I_q = torch.stack([(1 + 1j) * e, 1j * e, -e])  # y = (1 + i) a + i b - c
    F_abc = torch.stack([F_q.real + F_q.imag, F_q.real, F_q.imag])
    return {
        "F_rows": torch.stack([F_p.real, F_p.imag], dim=1).flatten(0, 1),
        "F_columns": F_abc.transpose(1, 2).reshape(3 * n, 2 * H),
        "F_kernel": torch.stack([w.real, w.imag - w.real, w.imag + w.real], dim=1).flatten(0, 2),
        "I_columns": torch.stack([I_q.real, I_q.imag]).permute(0, 3, 1, 2).reshape(2 * H, 3 * n),
        "I_rows": torch.stack([I_p.real, -I_p.imag], dim=1).permute(2, 0, 1).reshape(H, 2 * P),
    }
