r"""Mixed data: jet images times a few features of both jets.

The convolutional network makes the logit $a$ of the images, and a dense network the logit $b$ of
the features, such as the Les Houches angularity and the mass of each jet. The event has the score

$$ p = \sigma(a + c + \ln 3) \, \sigma(b + c), \qquad c = \ln(1 + \sqrt 2) , $$

with the logit that `product_logit` gives. Either part can be used alone, which sets the other
factor to 1. An event is one flat array, its $2 P^2$ pixels before its features.

The constants make both factors $1 / \sqrt 2$, and the score 1/2, where the logits of both jets and
of the features are 0, as they nearly are before training. Without them the score begins at 1/8, and
both logits rise for all events; that of the images moves faster and does not stop before its factor
is 1 and its gradient lost. Then the features alone decide.

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

C = math.log(1 + math.sqrt(2))


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
            outputs: logits of an event; 1 for signal against background. Several are those of the
                two parts, added.
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
        seeds = torch.randint(2**31, (2,), generator=generator).tolist()
        parts: dict[str, tuple[slice, Shape, float, CNN | MLP]] = {}
        if part != "features":
            images = CNN((2, pixels, pixels), seed=seeds[0], outputs=outputs)
            parts["images"] = slice(n), (2, pixels, pixels), C + math.log(3), images
        if part != "images":
            features = MLP((shape[0] - n,), seed=seeds[1], outputs=outputs)
            parts["features"] = slice(n, None), (shape[0] - n,), C, features
        self.columns, self.shapes, constants, networks = zip(*parts.values(), strict=True)
        self.slice_size = min(network.slice_size for network in networks)
        self.head = _take_heads(networks, self.shapes, constants)
        self.towers = nn.ModuleDict(dict(zip(parts, networks, strict=True)))

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

    def __init__(
        self, heads: Sequence[nn.Module], shapes: Sequence[Shape], constants: Sequence[float]
    ) -> None:
        """Join heads.

        Args:
            heads: one or two; each maps an embedding (N, *E) to logits, (N,) or (N, outputs).
            shapes: *E of each.
            constants: what is added to each logit, if there is one of an event.
        """
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.shapes, self.constants = tuple(shapes), tuple(constants)

    def forward(self, e: Tensor) -> Tensor:
        """Logits, shape (N,) or (N, outputs), of the flat embeddings of all parts, (N, E)."""
        parts = _parts(e, self.shapes)
        z: list[Tensor] = [head(v) for head, v in zip(self.heads, parts, strict=True)]
        if z[0].ndim > 1:
            return torch.stack(z).sum(dim=0)
        a, *others = [z_i + c for z_i, c in zip(z, self.constants, strict=True)]
        return product_logit(a, others[0]) if others else a


def _parts(flat: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """The columns of a flat array (N, sum of sizes) as arrays (N, *shape)."""
    parts = torch.split(flat, [math.prod(shape) for shape in shapes], dim=1)
    return [torch.unflatten(v, 1, shape) for v, shape in zip(parts, shapes, strict=True)]


def _take_heads(
    networks: Sequence[CNN | MLP], shapes: Sequence[Shape], constants: Sequence[float]
) -> Product:
    """The heads of networks for events of these shapes; the networks keep their towers."""
    with torch.no_grad():
        e = [
            network.features(torch.zeros(1, *shape))
            for network, shape in zip(networks, shapes, strict=True)
        ]
    head = Product([n.head for n in networks], [tuple(e_i.shape[1:]) for e_i in e], constants)
    for network in networks:
        del network.head
    return head
