"""A network applied to events: logits and scores, in slices that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .networks import Sliceable
from .schedule import Precision, uses_bfloat16

__all__ = ["apply", "autocast", "logits", "predict", "raise_mmap_threshold", "slices", "tensor"]

SLICE_SIZE = 1024


def predict(network: nn.Module, x: Any, *, precision: Precision = "auto") -> NDArray[np.float32]:
    """Scores sigmoid(logit) of events x, shape (N, *shape), each by itself.

    Returns:
        Shape (N,), float32, within [0, 1].
    """
    z = logits(network, x, precision=precision)
    return np.asarray(torch.sigmoid(z).numpy(), dtype=np.float32)


def logits(network: nn.Module, x: Any, *, precision: Precision = "auto") -> Tensor:
    """Logits of events x, shape (N, *shape), each by itself; shape (N,) or (N, classes)."""
    return apply(network, network, x, precision=precision)


def apply(
    f: Callable[[Tensor], Tensor], network: nn.Module, x: Any, *, precision: Precision = "auto"
) -> Tensor:
    """A function f of a network in evaluation mode, of events x, shape (N, *shape), in slices."""
    raise_mmap_threshold()
    was_training = network.training
    network.eval()
    n = network.slice_size if isinstance(network, Sliceable) else SLICE_SIZE
    with torch.inference_mode(), autocast(precision):
        out, done = torch.empty(0), 0
        for i in slices(len(x), n):
            part = f(tensor(x[i])).float()
            if not done:
                out = part.new_empty(len(x), *part.shape[1:])
            out[done : done + len(part)] = part
            done += len(part)
    network.train(was_training)
    return out


def autocast(precision: Precision) -> torch.autocast:
    """The arithmetic of matrix products."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=uses_bfloat16(precision))


def slices(n: int, size: int) -> list[NDArray[np.intp]]:
    """The numbers 0 to n - 1 in parts of a size."""
    return np.split(np.arange(n), range(size, n, size))


def tensor(a: Any) -> Tensor:
    """An array as a float32 tensor, without a copy where there need be none."""
    return a if isinstance(a, Tensor) else torch.from_numpy(np.require(a, np.float32, ["C", "W"]))


def raise_mmap_threshold() -> None:
    """Have glibc keep the memory of large arrays."""
    # glibc returns each larger block to the kernel when it is freed, and getting it back costs as
    # much as the arithmetic, until a block just below 32 MB, its highest threshold, was freed once.
    torch.empty(31 << 20, dtype=torch.uint8)
