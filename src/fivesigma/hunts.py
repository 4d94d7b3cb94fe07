"""From the records of a search to the findings of its hunt in sliding windows.

The local p-value of a window is that of the whole score, `shape`, with the closure that data sets
without a signal show in this window. It is calibrated by itself, as one window that was chosen
before; the smallest of all windows has a global p-value: of the data sets without a signal where
they reach, else of up-crossings where these apply, else a bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .calibration import calibrate
from .counting import bounded
from .findings import Null, distribution, quantiles
from .hunt import Global, Upcrossings, global_p, upcrossings
from .windows import Window

__all__ = ["Hunt", "global_words", "sentence"]

Set: TypeAlias = Mapping[str, Any]
Floats: TypeAlias = NDArray[np.float64]
SHAPE = "shape"


@dataclass(frozen=True, eq=False)
class Hunt:
    """Hunts in data sets without a signal, by one method.

    Raises:
        ValueError: if there are fewer than 20 of them.
    """

    records: Sequence[Set]
    """Of T data sets."""

    windows: tuple[Window, ...]
    """W windows, in ascending order."""

    def __post_init__(self) -> None:
        if len(self.records) < 20:
            raise ValueError(f"expected 20 data sets without a signal; got {len(self.records)}")

    @cached_property
    def nulls(self) -> list[Null]:
        """The searches in each window."""
        return [
            Null([_in_window(record, w) for record in self.records], SHAPE)
            for w in range(len(self.windows))
        ]

    @cached_property
    def p(self) -> Floats:
        """Local p-values, shape (T, W)."""
        return np.stack([null.p[SHAPE] for null in self.nulls], axis=1)

    def scan(self, record: Set) -> Floats:
        """Local p-values of a data set, shape (W,)."""
        found = [
            null.outcome(_in_window(record, w)).p_values(null.closure)[SHAPE]
            for w, null in enumerate(self.nulls)
        ]
        return np.array(found)

    def of_data(self, record: Set) -> dict[str, Any]:
        """What a data set holds, calibrated; JSON types only."""
        p = self.scan(record)
        counted, crossing = global_p(p, self.p), upcrossings(p, self.p)
        best = counted.best[0]
        return {
            "windows": [
                {"p_local": float(x), **asdict(calibrate(float(x), null.p[SHAPE]))}
                for x, null in zip(p, self.nulls, strict=True)
            ],
            "best": {"centre_gev": self.windows[best].centre, "p_local": float(p[best])},
            "global": _decided(counted, crossing),
            "data_sets": asdict(counted) | {"best": best},
            "up_crossings": asdict(crossing),
        }

    def crossed(self) -> Floats:
        """Global p-values of each half of the data sets, with closures of the other, shape (T,)."""
        halves = [Hunt(self.records[h::2], self.windows) for h in range(2)]
        found = np.empty(len(self.records))
        for h, half in enumerate(halves):
            other = halves[1 - h]
            found[h::2] = [global_p(other.scan(record), other.p).p for record in half.records]
        return found

    def summary(self) -> dict[str, Any]:
        """Numbers of the hunts without a signal, JSON types only."""
        return {
            "n_sets": len(self.records),
            "windows": [
                {
                    "centre_gev": window.centre,
                    **dict(zip(EDGES, window.edges, strict=True)),
                    "closure": {f"{eps:g}": d for eps, d in null.closure.cuts.items()},
                    "z_local": quantiles(bounded(null.p[SHAPE])),
                    "local": distribution(null.p[SHAPE]),
                }
                for window, null in zip(self.windows, self.nulls, strict=True)
            ],
            "global": distribution(self.crossed()),
        }

    def power(self, records: Sequence[Set]) -> dict[str, Any]:
        """What is found in data sets with a signal, by its strength; JSON types only."""
        strengths = sorted({record["s_over_sqrt_b"] for record in records} - {0.0})
        found = [
            [self.of_data(record) for record in records if record["s_over_sqrt_b"] == strength]
            for strength in strengths
        ]
        return {
            "s_over_sqrt_b": strengths,
            "z_global": [[one["global"]["z"] for one in same] for same in found],
            "origin": [sorted({one["global"]["origin"] for one in same}) for same in found],
            "centre_gev": [[one["best"]["centre_gev"] for one in same] for same in found],
            "z_local": [_median_scan(same) for same in found],
        }


EDGES = ("sideband_low_gev", "low_gev", "high_gev", "sideband_high_gev")


def sentence(method: str, found: Mapping[str, Any]) -> str:
    """What a hunt finds, in words."""
    null, text = found["null"], f"{method}, hunt in {len(found['null']['windows'])} windows: "
    if "data" in found:
        data, best = found["data"], found["data"]["best"]
        text += (
            f"in the data the most significant window is at {best['centre_gev']:g} GeV, "
            f"{bounded(best['p_local']):.2f} sigma local and {global_words(data['global'])}; "
        )
    return (
        f"{text}{null['n_sets']} data sets without a signal have global p-values uniform with "
        f"p = {null['global']['ks_p']:.2g}."
    )


def global_words(found: Mapping[str, Any]) -> str:
    """A global p-value in words."""
    return f"{found['z']:.2f} sigma global (p = {found['p']:.2g}, {found['origin']})"


def _decided(counted: Global, crossing: Upcrossings) -> dict[str, Any]:
    """The global p-value to believe, and where it is from."""
    if counted.origin == "bound" and crossing.p is not None:
        return {"p": crossing.p, "z": crossing.z, "origin": "up-crossings"}
    return {"p": counted.p, "z": counted.z, "origin": counted.origin}


def _in_window(record: Set, w: int) -> Set:
    """The record of a search in one window alone."""
    return {"outcomes": {SHAPE: record["windows"][w]}}


def _median_scan(found: Sequence[Mapping[str, Any]]) -> list[float]:
    z = [bounded([window["p_local"] for window in one["windows"]]) for one in found]
    return [float(x) for x in np.median(z, axis=0)]
