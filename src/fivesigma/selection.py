r"""Named cuts, the cutflow they leave, and regions.

After cuts $1 \dots k$ on $N$ events, of which $n_k$ are left, the efficiency and its error are

$$
\varepsilon_k = \frac{1}{N} \sum_{i=1}^{n_k} w_{ik} , \qquad \sigma(\varepsilon_k) =
\sqrt{\frac{1}{N} \Big( \frac{1}{N} \sum_{i=1}^{n_k} w_{ik}^2 - \varepsilon_k^2 \Big)} ,
$$

binomial where all weights are 1. Cuts are cumulative; regions are cuts as well, each applied on top
of all cuts but not on top of each other.

Where tags of jets weigh events, a cut that asks for a tag among some jets leaves all events that
can have one, and $w_{ik}$ is the probability that event $i$ has one among the jets of the last of
these cuts (see `tags`). It implies the earlier ones, whose jets include these.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .candidates import Candidates
from .kinematics import dijet_mass
from .quantities import QUANTITIES, measure

__all__ = [
    *("PROBABILITY", "VARIABLES", "Cut", "CutflowRow", "Selected", "Selection"),
    *("combine", "table"),
]

Doubles = NDArray[np.float64]
AT_LEAST_ONE = ((1.0, float("inf")),)
TAGGED = {"n_b_jets_60": "hard", "n_b_outside": "free"}
"""Numbers of tagged jets, and which jets of `Candidates` these are of; each include the next."""
OF_B = re.compile(r"[(,]b[,)]")
"""What the names of quantities of the tagged jet have in them."""
PROBABILITY = "tag_probability"
"""Column of selected events with the weights of their tags, where these weigh them."""


@dataclass(frozen=True)
class Cut:
    """A variable has to lie in one of the windows low <= x < high. A region is a named cut."""

    name: str
    """Name in the cutflow."""
    variable: str
    """Key of `VARIABLES`, or of `QUANTITIES` in a selection that keeps such."""
    windows: tuple[tuple[float, float], ...]
    """Allowed values [GeV where it is a momentum or mass]."""

    def __call__(self, x: Doubles) -> NDArray[np.bool_]:
        """Which values pass, shape of x."""
        return np.asarray(np.any([(low <= x) & (x < high) for low, high in self.windows], axis=0))


@dataclass(frozen=True)
class CutflowRow:
    """One line of a cutflow."""

    cut: str
    """Name of the cut."""
    count: float
    """Events left; where tags weigh them, the sum of their weights."""
    total: int
    """Events before the first cut."""
    squares: float | None = None
    """Sum of the squares of these weights; None where all are 1."""

    @property
    def efficiency(self) -> float:
        """Share of all events that is left."""
        return self.count / self.total if self.total else 0.0

    @property
    def error(self) -> float:
        """Error of the efficiency."""
        if not self.total:
            return 0.0
        squares = self.count if self.squares is None else self.squares
        variance = max(squares / self.total - self.efficiency**2, 0.0)
        return math.sqrt(variance / self.total)


@dataclass(frozen=True)
class Selected:
    """Events that pass."""

    mask: NDArray[np.bool_]
    """Shape (N,) over the events before the cuts."""
    cutflow: tuple[CutflowRow, ...]
    """All events, each cut, each region."""
    events: ak.Array
    """The events that pass: {m_jj, jets: 2 * {pt, eta, phi, mass, constituents}}, or a number for
    each quantity that is kept, and `PROBABILITY` where tags weigh events, float32."""


def _leading(name: str, reduce: Callable[..., ak.Array]) -> Callable[[ak.Array], Doubles]:
    def variable(clustered: ak.Array) -> Doubles:
        two = clustered.jets[name][:, :2]
        return _filled(reduce(np.abs(two), axis=1), clustered)

    return variable


def _filled(values: ak.Array, clustered: ak.Array) -> Doubles:
    x: Doubles = ak.to_numpy(ak.fill_none(values, np.nan)).astype(np.float64)
    x[ak.to_numpy(ak.num(clustered.jets)) < 2] = np.nan
    return x


def m_jj(clustered: ak.Array) -> Doubles:
    """Invariant mass of the two leading jets [GeV], shape (N,); NaN with fewer than two."""
    x = np.full(len(clustered), np.nan)
    two = ak.to_numpy(ak.num(clustered.jets)) >= 2
    jets = clustered.jets[two][:, :2]
    x[two] = dijet_mass(*(ak.to_numpy(jets[name]) for name in ("pt", "eta", "phi", "mass")))
    return x


VARIABLES: dict[str, Callable[[ak.Array], Doubles]] = {
    "n_jets": lambda clustered: ak.to_numpy(clustered.n_jets).astype(np.float64),
    "lowest pt": _leading("pt", ak.min),
    "largest abs eta": _leading("eta", ak.max),
    "m_jj": m_jj,
}


@dataclass(frozen=True)
class Selection:
    """Cuts in order, and regions behind them."""

    cuts: tuple[Cut, ...]
    """Cumulative cuts."""
    regions: tuple[Cut, ...]
    """Named windows on top of all cuts."""
    quantities: tuple[str, ...] | None = None
    """Keys of `QUANTITIES` that are kept of an event; by default its two leading jets are."""

    tags: Literal["weighted"] | None = None
    """Whether tags weigh events that can have those that cuts ask for; None to look at tags as they
    were drawn."""

    def __post_init__(self) -> None:
        if self.tags:
            _weighable(self.cuts, self.regions)

    def __call__(self, reconstructed: ak.Array) -> Selected:
        """Apply the cuts.

        Args:
            reconstructed: N * {n_jets, jets: var * {pt, eta, phi, mass, constituents}} from
                `jets.cluster`, or, where quantities are kept, N events from `objects.reconstruct`.

        Raises:
            ValueError: A cut on a variable that does not exist.
        """
        values = self._values(reconstructed)
        mask, w = np.ones(len(reconstructed), bool), None
        rows = [_row("all", mask, w)]
        for cut in self.cuts:
            x = values[cut.variable]
            if self._weighs(cut):
                mask, w = mask & (x > 0), x
            else:
                mask = mask & cut(x)
            rows.append(_row(cut.name, mask, w))
        for region in self.regions:
            rows.append(_row(region.name, mask & region(values[region.variable]), w))
        kept = self._kept(reconstructed[mask], None if w is None else w[mask])
        return Selected(mask, tuple(rows), kept)

    def _weighs(self, cut: Cut) -> bool:
        return self.tags is not None and cut.variable in TAGGED

    def _values(self, reconstructed: ak.Array) -> dict[str, Doubles]:
        """The variable of each cut, shape (N,), or the probability of the tag that it asks for."""
        known = VARIABLES if self.quantities is None else QUANTITIES
        names = {cut.variable for cut in (*self.cuts, *self.regions)}
        if unknown := sorted(names - set(known)):
            raise ValueError(f"expected cuts on {sorted(known)}; got {unknown}")
        if self.quantities is None:
            return {name: VARIABLES[name](reconstructed) for name in names}
        measured = measure(sorted(names), reconstructed)
        if self.tags:
            candidates = Candidates(reconstructed)
            for name in names & set(TAGGED):
                measured[name] = candidates.tagged(TAGGED[name]).astype(np.float32)
        return {name: x.astype(np.float64) for name, x in measured.items()}

    def _kept(self, passed: ak.Array, w: Doubles | None) -> ak.Array:
        """What is kept of events that pass, their tags as they were drawn or given those asked."""
        if self.quantities is None:
            return _compact(passed)
        if w is None:
            return ak.zip(measure(self.quantities, passed))
        last = [TAGGED[cut.variable] for cut in self.cuts if self._weighs(cut)][-1]
        kept = measure(self.quantities, Candidates(passed).given_one(last))
        return ak.zip(kept | {PROBABILITY: w.astype(np.float32)})

    def region(self, name: str) -> Cut:
        """The region of that name.

        Raises:
            ValueError: No such region.
        """
        for region in self.regions:
            if region.name == name:
                return region
        raise ValueError(f"expected a region of {[r.name for r in self.regions]}; got {name!r}")


def _weighable(cuts: Sequence[Cut], regions: Sequence[Cut]) -> None:
    """See that tags can be drawn given those that the cuts ask for."""
    asked = [cut for cut in cuts if cut.variable in TAGGED]
    names = [cut.variable for cut in asked]
    if not asked or names != [name for name in TAGGED if name in names]:
        raise ValueError(f"expected cuts on some of {list(TAGGED)}, in this order; got {names}")
    if wrong := [cut.name for cut in asked if cut.windows != AT_LEAST_ONE]:
        raise ValueError(f"expected cuts that ask for at least one tag; got {wrong}")
    others = [cut for cut in cuts if cut not in asked] + list(regions)
    if wrong := [c.name for c in others if c.variable in TAGGED or OF_B.search(c.variable)]:
        raise ValueError(f"expected no other cuts on what depends on tags; got {wrong}")


def _row(name: str, mask: NDArray[np.bool_], w: Doubles | None) -> CutflowRow:
    if w is None:
        return CutflowRow(name, int(mask.sum()), len(mask))
    return CutflowRow(name, float(w[mask].sum()), len(mask), float((w[mask] ** 2).sum()))


def _compact(selected: ak.Array) -> ak.Array:
    if ak.any(ak.num(selected.jets) < 2):
        raise ValueError("expected cuts that leave two jets in every event; got fewer")
    jets = ak.flatten(selected.jets[:, :2], axis=1)  # of the type N * 2 also if N = 0
    regular = ak.contents.RegularArray(ak.to_layout(jets), 2, zeros_length=0)
    jets = ak.values_astype(ak.Array(regular), np.float32)
    species = ak.values_astype(jets.constituents.species, np.int8)
    jets = ak.with_field(jets, species, ("constituents", "species"))
    mass = m_jj(selected).astype(np.float32)
    return ak.to_packed(ak.zip({"m_jj": mass, "jets": jets}, depth_limit=1))


def combine(cutflows: Sequence[Sequence[CutflowRow]]) -> tuple[CutflowRow, ...]:
    """Cutflow of several samples of the same selection together."""
    return tuple(_together(rows) for rows in zip(*cutflows, strict=True))


def _together(rows: Sequence[CutflowRow]) -> CutflowRow:
    squares = [row.squares for row in rows if row.squares is not None]
    return CutflowRow(
        rows[0].cut,
        sum(row.count for row in rows),
        sum(row.total for row in rows),
        sum(squares) if squares else None,
    )


def table(cutflow: Sequence[CutflowRow]) -> str:
    """The cutflow as text, one line a cut."""
    width = max(len(row.cut) for row in cutflow)
    head = f"{'cut':<{width}}  {'events':>10}  efficiency"
    lines = [
        f"{r.cut:<{width}}  {round(r.count, 1):>10}  {r.efficiency:.5f} +- {r.error:.5f}"
        for r in cutflow
    ]
    return "\n".join([head, *lines])
