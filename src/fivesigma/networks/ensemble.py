r"""Networks that score together.

The score of an event is the mean of the scores of $M$ networks, $p = \frac1M \sum_m \sigma(z_m)$,
with the logit

$$ \log \frac{p}{1 - p} = \log \sum_m \sigma(z_m) - \log \sum_m \sigma(-z_m) . $$
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """Networks of one logit each: events, shape (N, *shape), to logits, shape (N,)."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the mean score."""
        z = torch.stack([member(x).float() for member in self.members])
        return F.logsigmoid(z).logsumexp(dim=0) - F.logsigmoid(-z).logsumexp(dim=0)
