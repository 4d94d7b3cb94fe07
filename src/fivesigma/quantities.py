r"""Named numbers of events with a lepton, jets with b tags, a fat jet and missing momentum.

$$ m(\text{b,J}), \quad m_T(\text{missing,l}), \quad \Delta R(\text{l,b}), \quad
   \Delta\phi(\text{missing,j3}), \quad p_T(\text{j1}), \quad \tau_{21}^{(\beta=2)}, \quad
   \text{girth}(\text{J}), \quad \dots $$

Families are written like functions of candidates: l, j1, j2, j3, b, J and missing. Who they are and
how masses are defined is said in `candidates`, how shapes are in `jet_shapes`. All numbers are the
same after a rotation about the beam and after a reflection. Of a candidate that an event does not
have they are NaN, which passes no cut.

References:
    Revisiting Deep Learning for Particle Physics (thesis; Table 5.2 and section 5.2.3)

    Machine learning-enhanced search for a vectorlike singlet B quark decaying to a singlet scalar
    or pseudoscalar (Bardhan et al., 2022) https://arxiv.org/abs/2212.02442
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .candidates import JETS, VISIBLE, Candidates

__all__ = ["FEATURES", "QUANTITIES", "Quantity", "measure"]

Doubles = NDArray[np.float64]

MOMENTS = ("girth", "variance", "skewness", "kurtosis")


@dataclass(frozen=True)
class Quantity:
    """A number of each event."""

    unit: str
    """Unit; 1 if dimensionless."""
    formula: Callable[[Candidates], Doubles]
    """From N events to (N,)."""


SUBJETTINESS = {"tau_1(beta=1)": Quantity("1", lambda c: c.subjettiness[1, 1])} | {
    f"tau_{m}{n}(beta={beta})": Quantity("1", partial(Candidates.tau_ratio, m=m, n=n, beta=beta))
    for beta in (1, 2)
    for m, n in ((2, 1), (3, 2))
}
KINEMATICS = {
    f"pt({a})": Quantity("GeV", partial(Candidates.pt, name=a)) for a in (*VISIBLE, "missing")
} | {"h_t": Quantity("GeV", Candidates.h_t)}
GIRTH = {
    f"{shape}({a})": Quantity("1", partial(Candidates.shape, name=a, shape=shape))
    for shape in MOMENTS
    for a in JETS
}
DISTANCES = {
    f"delta_r({a},{b})": Quantity("1", partial(Candidates.delta_r, a=a, b=b))
    for a, b in combinations(VISIBLE, 2)
}
AZIMUTHS = {
    f"delta_phi({a},{b})": Quantity("rad", partial(Candidates.delta_phi, a=a, b=b))
    for a, b in combinations(("missing", *VISIBLE), 2)
}
MASSES = {
    f"m({','.join(names)})": Quantity("GeV", partial(Candidates.mass, names=names))
    for names in (
        *(subset for size in (1, 2, 3) for subset in combinations(JETS, size)),
        *(("l", a) for a in JETS),
    )
}
TRANSVERSE_MASSES = {
    f"transverse_mass({','.join(('missing', *names))})": Quantity(
        "GeV", partial(Candidates.transverse_mass, names=names)
    )
    for names in (*((a,) for a in VISIBLE), *(("l", a) for a in JETS))
}
MULTIPLICITIES = {
    f"multiplicity({a})": Quantity("1", partial(Candidates.shape, name=a, shape="multiplicity"))
    for a in JETS
}
SEEN = {
    **SUBJETTINESS,
    **KINEMATICS,
    **GIRTH,
    **DISTANCES,
    **AZIMUTHS,
    **MASSES,
    **TRANSVERSE_MASSES,
    **MULTIPLICITIES,
}

FEATURES: tuple[str, ...] = tuple(SEEN)
"""Names of what a classifier sees: 5 + 8 + 20 + 15 + 21 + 30 + 11 + 5 numbers."""

QUANTITIES: dict[str, Quantity] = SEEN | {
    "n_leptons": Quantity("1", partial(Candidates.number, name="leptons")),
    "n_jets_60": Quantity("1", partial(Candidates.number, name="hard")),
    "jet1_pt": SEEN["pt(j1)"],
    "n_b_jets_60": Quantity("1", partial(Candidates.number, name="b_jets")),
    "n_fat_jets": Quantity("1", partial(Candidates.number, name="fat_jets")),
    "fat_jet_pt": SEEN["pt(J)"],
    "fat_jet_mass": SEEN["m(J)"],
    "n_b_outside": Quantity("1", partial(Candidates.number, name="outside")),
}
"""All numbers by name: the features, h_t among them, and what else cuts are made on. Counts are of
objects above the thresholds of the choice, by default 60 GeV for jets."""


def measure(names: Sequence[str], objects: ak.Array) -> dict[str, NDArray[np.float32]]:
    """Numbers of N events.

    Args:
        names: Keys of `QUANTITIES`.
        objects: As in `Candidates`.

    Returns:
        Arrays (N,), float32, in their units, by name; NaN where a candidate does not exist.

    Raises:
        ValueError: A name that does not exist.
    """
    if unknown := [name for name in names if name not in QUANTITIES]:
        raise ValueError(f"expected quantities of {list(QUANTITIES)}; got {unknown}")
    candidates = Candidates(objects)
    return {name: QUANTITIES[name].formula(candidates).astype(np.float32) for name in names}
