r"""Named cuts, the cutflow they leave, and regions.

After cuts $1 \dots k$ on $N$ events the efficiency and its binomial error are

$$
\varepsilon_k = \frac{n_k}{N}, \qquad \sigma(\varepsilon_k) = \sqrt{\frac{\varepsilon_k (1 -
\varepsilon_k)}{N}} .
$$

Cuts are cumulative; regions are cuts as well, each applied on top of all cuts but not on top of
each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .kinematics import dijet_mass
from .quantities import QUANTITIES, measure

__all__ = ["VARIABLES", "Cut", "CutflowRow", "Selected", "Selection", "combine", "table"]


@dataclass(frozen=True)
class Cut:
    """A variable has to lie in one of the windows low <= x < high. A region is a named cut."""

    name: str
    """Name in the cutflow."""
    variable: str
    """Key of `VARIABLES`, or of `QUANTITIES` in a selection that keeps such."""
    windows: tuple[tuple[float, float], ...]
    """Allowed values [GeV where it is a momentum or mass]."""

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which values pass, shape of x."""
        return np.asarray(np.any([(low <= x) & (x < high) for low, high in self.windows], axis=0))


@dataclass(frozen=True)
class CutflowRow:
    """One line of a cutflow."""

    cut: str
    """Name of the cut."""
    count: int
    """Events left."""
    total: int
    """Events before the first cut."""

    @property
    def efficiency(self) -> float:
        """Share of all events that is left."""
        return self.count / self.total if self.total else 0.0

    @property
    def error(self) -> float:
        """Binomial error of the efficiency."""
        e = self.efficiency
        return (e * (1 - e) / self.total) ** 0.5 if self.total else 0.0


@dataclass(frozen=True)
class Selected:
    """Events that pass."""

    mask: NDArray[np.bool_]
    """Shape (N,) over the events before the cuts."""
    cutflow: tuple[CutflowRow, ...]
    """All events, each cut, each region."""
    events: ak.Array
    """The events that pass: {m_jj, jets: 2 * {pt, eta, phi, mass, constituents}}, or a number for
    each quantity that is kept, float32."""


def _leading(
    name: str, reduce: Callable[..., ak.Array]
) -> Callable[[ak.Array], NDArray[np.float64]]:
    def variable(clustered: ak.Array) -> NDArray[np.float64]:
        two = clustered.jets[name][:, :2]
        return _filled(reduce(np.abs(two), axis=1), clustered)

    return variable


def _filled(values: ak.Array, clustered: ak.Array) -> NDArray[np.float64]:
    x: NDArray[np.float64] = ak.to_numpy(ak.fill_none(values, np.nan)).astype(np.float64)
    x[ak.to_numpy(ak.num(clustered.jets)) < 2] = np.nan
    return x


def m_jj(clustered: ak.Array) -> NDArray[np.float64]:
    """Invariant mass of the two leading jets [GeV], shape (N,); NaN with fewer than two."""
    x = np.full(len(clustered), np.nan)
    two = ak.to_numpy(ak.num(clustered.jets)) >= 2
    jets = clustered.jets[two][:, :2]
    x[two] = dijet_mass(*(ak.to_numpy(jets[name]) for name in ("pt", "eta", "phi", "mass")))
    return x


VARIABLES: dict[str, Callable[[ak.Array], NDArray[np.float64]]] = {
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

    def __call__(self, reconstructed: ak.Array) -> Selected:
        """Apply the cuts.

        Args:
            reconstructed: N * {n_jets, jets: var * {pt, eta, phi, mass, constituents}} from
                `jets.cluster`, or, where quantities are kept, N events from `objects.reconstruct`.

        Raises:
            ValueError: A cut on a variable that does not exist.
        """
        n = len(reconstructed)
        values = self._values(reconstructed)
        mask = np.ones(n, bool)
        rows = [CutflowRow("all", n, n)]
        for cut in self.cuts:
            mask = mask & cut(values[cut.variable])
            rows.append(CutflowRow(cut.name, int(mask.sum()), n))
        for region in self.regions:
            inside = mask & region(values[region.variable])
            rows.append(CutflowRow(region.name, int(inside.sum()), n))
        passed = reconstructed[mask]
        kept = measure(self.quantities, passed) if self.quantities else None
        return Selected(mask, tuple(rows), _compact(passed) if kept is None else ak.zip(kept))

    def _values(self, reconstructed: ak.Array) -> dict[str, NDArray[np.float64]]:
        """The variable of each cut, shape (N,)."""
        known = VARIABLES if self.quantities is None else QUANTITIES
        names = {cut.variable for cut in (*self.cuts, *self.regions)}
        if unknown := sorted(names - set(known)):
            raise ValueError(f"expected cuts on {sorted(known)}; got {unknown}")
        if self.quantities is None:
            return {name: VARIABLES[name](reconstructed) for name in names}
        measured = measure(sorted(names), reconstructed)
        return {name: x.astype(np.float64) for name, x in measured.items()}

    def region(self, name: str) -> Cut:
        """The region of that name.

        Raises:
            ValueError: No such region.
        """
        for region in self.regions:
            if region.name == name:
                return region
        raise ValueError(f"expected a region of {[r.name for r in self.regions]}; got {name!r}")


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
    return tuple(
        CutflowRow(rows[0].cut, sum(r.count for r in rows), sum(r.total for r in rows))
        for rows in zip(*cutflows, strict=True)
    )


def table(cutflow: Sequence[CutflowRow]) -> str:
    """The cutflow as text, one line a cut."""
    width = max(len(row.cut) for row in cutflow)
    head = f"{'cut':<{width}}  {'events':>10}  efficiency"
    lines = [
        f"{r.cut:<{width}}  {r.count:>10d}  {r.efficiency:.5f} +- {r.error:.5f}" for r in cutflow
    ]
    return "\n".join([head, *lines])
