r"""A network of the constituents of two jets that knows no order among them.

Constituent $i$ of a jet has transverse momentum $p_i$ [GeV] and lies at $x_i, y_i$ from the origin
of the aligned jet. With $p = \sum_i p_i$ and $z_i = p_i / p$,

$$ v_i = \Big( \tfrac12 (\ln z_i + 5), \; 4 x_i, \; 4 y_i, \;
   \ln \sqrt{x_i^2 + y_i^2 + 0.01^2} + 2, \; 8 z_i \Big), \qquad h_i = \Phi(v_i) \ge 0 , $$
$$ g = \Big( \frac1n \sum_i h_i, \; \sum_i z_i h_i, \; \max_i h_i, \; \ln(1 + n) - 4, \;
   \big[ \ln \max(p / \text{TeV}, 10^{-3}) \big] \Big), \qquad e = R(g) . $$

$\Phi$ has three dense layers of 64 and $R$ two, each followed by a ReLU; both jets share them. The
embedding of an event is $e$ of its two jets, and a head of layers 128, 64, 64 makes the logits. The
term in brackets is there with `momentum = "absolute"` only: without it the network does not change
when all $p_i$ are multiplied by a constant. The constants make the inputs of order one for jets of
a TeV; none is taken from the data.

The sum weighted by $z$ is that of energy flow networks; the mean and $n$ make the sum of particle
flow networks.
Padding takes no part: the constituents of all jets are gathered in one flat array, which for jets
that fill half of the padded one nearly halves the arithmetic. An empty jet has $g = 0$ but for $n$.

References:
    Energy flow networks: deep sets for particle jets (Komiske, Metodiev, Thaler, 2018)
    https://arxiv.org/abs/1810.05165

    Deep sets (Zaheer et al., 2017) https://arxiv.org/abs/1703.06114
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cnn import draw
from .mlp import Dense

__all__ = ["CloudNet", "Momentum"]

Momentum: TypeAlias = Literal["relative", "absolute"]

WIDTH = 64
PARTICLES_PER_SLICE = 20_000


class CloudNet(nn.Module):
    """Particle flow of two jets: 37 761 parameters, 64 more with absolute momentum.

    Raises:
        ValueError: if `shape` is not (2, P, 3), or `momentum` is not known.

    References:
        Energy flow networks: deep sets for particle jets (Komiske, Metodiev, Thaler, 2018)
        https://arxiv.org/abs/1810.05165
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        seed: int | None = None,
        outputs: int = 1,
        momentum: Momentum = "relative",
    ) -> None:
        """Draw a new network.

        Args:
            shape: shape of an event, (2, P, 3): jet, constituent, (pT, x, y).
            seed: seed of the initial weights; by default they come from torch's generator.
            outputs: logits of an event; 1 for signal against background.
            momentum: "absolute" shows the network the pT of each jet, "relative" hides it.
        """
        super().__init__()
        if len(shape) != 3 or shape[0] != 2 or shape[1] < 1 or shape[2] != 3:
            raise ValueError(f"expected events of shape (2, P, 3), P >= 1; got {tuple(shape)}")
        if momentum not in get_args(Momentum):
            raise ValueError(f"expected momentum, one of {get_args(Momentum)}; got {momentum!r}")
        self.slice_size = max(1, PARTICLES_PER_SLICE // (2 * shape[1]))
        self.momentum = momentum
        layers = (nn.Linear(i, WIDTH) for i in (5, WIDTH, WIDTH))
        self.phi = nn.Sequential(*[module for layer in layers for module in (layer, nn.ReLU())])
        self.rho = Dense(3 * WIDTH + (1 if momentum == "relative" else 2), WIDTH, WIDTH)
        self.head = Dense(2 * WIDTH, WIDTH, WIDTH, outputs)
        draw(self, None if seed is None else torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of events, shape (N,), or (N, outputs) if there are several; float32.

        Args:
            x: clouds, shape (N, 2, P, 3): pT [GeV], x, y; a constituent without pT is padding.
        """
        return self.logits(self.standardise(x))

    def standardise(self, x: Tensor) -> Tensor:
        """The events themselves: the constants of the network suffice."""
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Logits of events, each for itself."""
        z: Tensor = self.head(self.tower(x))
        return z

    def tower(self, x: Tensor) -> Tensor:
        """Embedding of events, shape (N, 2, 64): one of each jet, float32."""
        x = x.flatten(0, 1)
        real = x[..., 0] > 0
        n, p = real.sum(dim=1), x[..., 0].sum(dim=1)
        jet = torch.repeat_interleave(n)
        p_i, x_i, y_i = x[real].unbind(dim=1)
        z = p_i / p[jet]
        r = torch.sqrt(x_i**2 + y_i**2 + 0.01**2)
        v = torch.stack([(z.log() + 5) / 2, 4 * x_i, 4 * y_i, r.log() + 2, 8 * z], dim=1)
        h = self.phi(v)
        # In float32, since a sum of many small numbers would stop growing at 8 bits.
        with torch.autocast("cpu", enabled=False):
            g = [*_pool(h.float(), z, jet, n), torch.log1p(n)[:, None] - 4]
            if self.momentum == "absolute":
                g.append((p / 1000).clamp_min(1e-3).log()[:, None])
            e: Tensor = F.relu(self.rho(torch.cat(g, dim=1)))
        return e.view(-1, 2, WIDTH)

    def new_head(self, seed: int) -> Dense:
        """A head for the same tower, with weights of its own."""
        return self.head.another(seed)


def _pool(h: Tensor, z: Tensor, jet: Tensor, n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, sum weighted by z and maximum over each jet of h >= 0; zeros for an empty jet."""
    zeros = h.new_zeros(len(n), h.shape[1])
    mean = zeros.index_add(0, jet, h) / n.clamp_min(1)[:, None]
    maximum = zeros.scatter_reduce(0, jet[:, None].expand_as(h), h, "amax")
    return mean, zeros.index_add(0, jet, z[:, None] * h), maximum
