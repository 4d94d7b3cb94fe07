r"""Which of the known signals do data look like, and how much of that is chance?

A method that knows other signals may fit what the signal region holds as a mixture of them, or as
one of several, with shares $a_k$. Without a signal the shares are something as well, so beside
those of data stand those of the data sets without a signal; and as the largest is the one that is
looked at, its p-value is the share of the $T$ data sets $t$ whose largest is as large,

$$ p = \frac{1}{T} \sum_t \mathbf 1 \big( \max_k a_k^{(t)} \geq \max_k a_k \big) . $$

It is not a significance of the signal, of which there may be much that looks like several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from .findings import quantiles

__all__ = ["Resemblance", "resemblance_words"]

Set: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Resemblance:
    """What one method fits in data sets without a signal."""

    records: Sequence[Set]
    """Of the data sets, with `shares` by the name of the known signal."""

    @cached_property
    def largest(self) -> list[float]:
        """The largest share of any signal in each data set."""
        return [max(record["shares"].values()) for record in self.records]

    def of_data(self, record: Set) -> dict[str, Any]:
        """Shares in a data set, the largest of them, and its p-value; JSON types only."""
        shares = record["shares"]
        name = max(shares, key=lambda k: shares[k])
        p = float(np.mean(np.array(self.largest) >= shares[name]))
        return {"shares": dict(shares), "largest": name, "p": p}

    def summary(self) -> dict[str, Any]:
        """By name: median, central 68 % and largest share of data sets without a signal."""
        return _by_name(self.records)

    def power(self, records: Sequence[Set]) -> list[dict[str, Any]]:
        """The same of data sets with a signal, for each strength; JSON types only."""
        strengths = sorted({record["s_over_sqrt_b"] for record in records})
        groups = [[r for r in records if r["s_over_sqrt_b"] == s] for s in strengths]
        return [
            {"s_over_sqrt_b": s, "shares": _by_name(group)}
            for s, group in zip(strengths, groups, strict=True)
        ]


def _by_name(records: Sequence[Set]) -> dict[str, Any]:
    return {
        name: quantiles(np.array([record["shares"][name] for record in records]))
        for name in records[0]["shares"]
    }


def resemblance_words(method: str, found: Mapping[str, Any]) -> str:
    """Which of the known signals data look like, in words."""
    data, name = found["data"], found["data"]["largest"]
    usual = found["null"][name]
    return (
        f"{method}: of the known signals the data look most like {name}, with a share of "
        f"{data['shares'][name]:.2f} (without a signal 68 % within {usual['low']:.2f} and "
        f"{usual['high']:.2f}); {100 * data['p']:.3g} % of data sets without a signal have as "
        "large a share of any. It says something only where there is an excess."
    )
