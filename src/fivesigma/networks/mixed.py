r"""Mixed data: jet images times a few features of both jets.

The convolutional network makes the logit $a$ of the images, and a dense network the logit $b$ of
the features, such as the Les Houches angularity and the mass of each jet. The event has the score

$$ p = \sigma(a) \, \sigma(b) , $$

with the logit that `product_logit` gives. Either part can be used alone, which sets the other
factor to 1. An event is one flat array, its $2 P^2$ pixels before its features.

Both parts are connected: the score depends on both inputs, and gradients reach all weights.

References:
    Transfer learning for weakly supervised searches (Beauchesne, Chen, Chiang, 2023)
    https://arxiv.org/abs/2312.06152

    Systematics of quark/gluon tagging (Gras et al., 2017) https://arxiv.org/abs/1704.03878
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn

from .cnn import CNN, draw, product_logit
from .mlp import MLP

__all__ = ["MixedNet", "Part", "Product"]

Part: TypeAlias = Literal["both", "images", "features"]
Shape: TypeAlias = tuple[int, ...]


class MixedNet(nn.Module):
    """Product of the scores of a CNN and an MLP.

    Raises:
        ValueError: if `shape` is not (2 P^2 + F,) with P of at least 8 pixels and F of at least one
            feature, or if `part` is not known.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        pixels: int,
        seed: int | None = None,
        outputs: int = 1,
        part: Part = "both",
    ) -> None:
        """Draw a new network.

        Args:
            shape: shape of an event, (2 P^2 + F,): two jet images and F features of the event.
            pixels: P, the number of pixels along each side of an image.
            seed: seed of the initial weights; by default they come from torch's generator. A part
                alone has the weights that it has in both.
            outputs: logits of an event; 1 for signal against background, and with more those of
                the two parts are added.
            part: what is looked at.
        """
        super().__init__()
        n = 2 * pixels**2
        if len(shape) != 1 or shape[0] <= n:
            raise ValueError(
                f"expected events of shape (2 P^2 + F,) with P = {pixels} and F >= 1, that is, of "
                f"more than {n} numbers; got {tuple(shape)}"
            )
        if part not in get_args(Part):
            raise ValueError(f"expected part, one of {get_args(Part)}; got {part!r}")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        first, second = torch.randint(2**31, (2,), generator=generator).tolist()
        parts: dict[str, tuple[slice, Shape, type[CNN] | type[MLP], int]] = {
            "images": (slice(n), (2, pixels, pixels), CNN, first),
            "features": (slice(n, None), (shape[0] - n,), MLP, second),
        }
        used = {name: values for name, values in parts.items() if part in ("both", name)}
        self.columns, self.shapes, kinds, seeds = zip(*used.values(), strict=True)
        towers = [
            kind(shape, seed=seed, outputs=outputs)
            for kind, shape, seed in zip(kinds, self.shapes, seeds, strict=True)
        ]
        self.slice_size = min(tower.slice_size for tower in towers)
        self.head = _take_heads(towers, self.shapes)
        self.towers = nn.ModuleDict(dict(zip(used, towers, strict=True)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of events x, shape (N, *shape): (N,), or (N, outputs) if there are several."""
        return self.logits(self.standardise(x))

    def tower(self, x: Tensor) -> Tensor:
        """Embedding of events x, shape (N, *shape): (N, E), that of the images first."""
        return self.features(self.standardise(x))

    def new_head(self, seed: int) -> Product:
        """A head for the same tower, with weights of its own."""
        head = copy.deepcopy(self.head).requires_grad_()
        draw(head, torch.Generator().manual_seed(seed))
        return head

    def standardise(self, x: Tensor) -> Tensor:
        """Standardised pixels and features of the parts in use; couples a batch."""
        u = [
            tower.standardise(torch.unflatten(x[:, columns], 1, shape)).flatten(1)
            for tower, columns, shape in zip(self._towers, self.columns, self.shapes, strict=True)
        ]
        return torch.cat(u, dim=1)

    def features(self, u: Tensor) -> Tensor:
        """Embedding of standardised events, each for itself, shape (N, E)."""
        parts = _parts(u, self.shapes)
        e = [tower.features(v).flatten(1) for tower, v in zip(self._towers, parts, strict=True)]
        return torch.cat(e, dim=1)

    def logits(self, u: Tensor) -> Tensor:
        """Logits of standardised events, each for itself."""
        z: Tensor = self.head(self.features(u))
        return z

    @property
    def _towers(self) -> list[CNN | MLP]:
        return cast("list[CNN | MLP]", list(self.towers.values()))


class Product(nn.Module):
    """The heads of one or two parts, and the product of their scores."""

    def __init__(self, heads: Sequence[nn.Module], shapes: Sequence[Shape]) -> None:
        """Join heads.

        Args:
            heads: one or two; each maps an embedding (N, *E) to logits, (N,) or (N, outputs).
            shapes: *E of each.
        """
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.shapes = tuple(shapes)

    def forward(self, e: Tensor) -> Tensor:
        """Logits, shape (N,) or (N, outputs), of the flat embeddings of all parts, (N, E)."""
        parts = _parts(e, self.shapes)
        a, *others = [head(v) for head, v in zip(self.heads, parts, strict=True)]
        z: Tensor = a
        for b in others:
            z = product_logit(z, b) if z.ndim == 1 else z + b
        return z


def _parts(flat: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """The columns of a flat array (N, sum of sizes) as arrays (N, *shape)."""
    parts = torch.split(flat, [math.prod(shape) for shape in shapes], dim=1)
    return [torch.unflatten(v, 1, shape) for v, shape in zip(parts, shapes, strict=True)]


def _take_heads(networks: Sequence[CNN | MLP], shapes: Sequence[Shape]) -> Product:
    """The heads of networks for events of these shapes, which keep their towers only."""
    heads = [network.head for network in networks]
    with torch.no_grad():
        embedded = [
            network.features(torch.zeros(1, *shape)).shape[1:]
            for network, shape in zip(networks, shapes, strict=True)
        ]
    for network in networks:
        del network.head
    return Product(heads, [tuple(shape) for shape in embedded])
