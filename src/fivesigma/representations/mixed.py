"""Images and a few features of the same jets, side by side in one flat array.

References:
    Transfer learning for weakly supervised searches (Beauchesne, Chen, Chiang, 2023)
    https://arxiv.org/abs/2312.06152
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Representation

__all__ = ["SideBySide"]


@dataclass(frozen=True)
class SideBySide:
    """Several representations of an event, flat and one after the other."""

    parts: tuple[Representation, ...]
    """What there is of an event, such as its images and its features."""

    @classmethod
    def of(cls, *makers: Callable[..., Representation]) -> "Callable[..., SideBySide]":
        """A constructor with the fields of all parts, each of which has names of its own."""

        def make(**fields: Any) -> SideBySide:
            known = [maker.__dataclass_fields__ for maker in makers]  # type: ignore[attr-defined]
            if unknown := sorted(set(fields).difference(*known)):
                expected = sorted(set().union(*known))
                raise ValueError(f"expected fields of {expected}; got {unknown}")
            return cls(
                tuple(
                    maker(**{name: value for name, value in fields.items() if name in own})
                    for maker, own in zip(makers, known, strict=True)
                )
            )

        return make

    @property
    def name(self) -> str:
        """Those of the parts."""
        return "-".join(part.name for part in self.parts)

    @property
    def shape(self) -> tuple[int]:
        """Numbers of an event."""
        return (sum(int(np.prod(part.shape)) for part in self.parts),)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the parts."""
        return tuple(name for part in self.parts for name in part.columns)

    def __call__(self, jets: Any) -> NDArray[np.float32]:
        """Represent N events; shape (N, sum of the sizes of the parts), float32."""
        return np.concatenate([part(jets).reshape(len(jets), -1) for part in self.parts], axis=1)
