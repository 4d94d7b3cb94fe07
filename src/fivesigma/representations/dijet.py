r"""Kinematics of the two leading jets, for weights and checks.

$$ (m_{jj}, \; p_{T,1}, \; \eta_1, \; p_{T,2}, \; \eta_2) , \qquad
   m_{jj}^2 = (E_1 + E_2)^2 - |\vec p_1 + \vec p_2|^2 $$
"""

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..kinematics import dijet_mass

__all__ = ["COLUMNS", "Dijet"]

COLUMNS = ("m_jj", "pt_1", "eta_1", "pt_2", "eta_2")


@dataclass(frozen=True)
class Dijet:
    """Mass, transverse momenta and pseudorapidities of the two leading jets, see `COLUMNS`.

    It serves weights and checks. It is not meant for training: the regions are cuts on the dijet
    mass, and a network that sees it learns the cuts.
    """

    @property
    def name(self) -> str:
        """The same for all."""
        return "dijet"

    @property
    def shape(self) -> tuple[int]:
        """Shape of one event: the `COLUMNS`."""
        return (len(COLUMNS),)

    @property
    def columns(self) -> tuple[str, ...]:
        """The `COLUMNS`."""
        return COLUMNS

    def __call__(self, jets: Any) -> NDArray[np.float32]:
        """Kinematics of N events.

        Args:
            jets: awkward array `N * 2 * {pt, eta, phi, mass}`; pT and mass in GeV, phi in radians.
                Further fields are ignored.

        Returns:
            Array (N, 5), float32: m_jj [GeV], pT1 [GeV], eta1, pT2 [GeV], eta2.

        Raises:
            ValueError: a field is missing, or an event has not two jets.
        """
        fields = ("pt", "eta", "phi", "mass")
        for field in fields:
            if field not in ak.fields(jets):
                raise ValueError(f"expected jets with a field '{field}'; got {ak.fields(jets)}")
        if len(wrong := np.setdiff1d(ak.to_numpy(ak.num(jets)), 2)):
            raise ValueError(f"expected two jets in every event; got an event with {wrong[0]}")
        pt, eta, phi, mass = (
            ak.to_numpy(ak.flatten(jets[field])).reshape(-1, 2) for field in fields
        )
        m_jj = dijet_mass(pt, eta, phi, mass)
        return np.stack([m_jj, pt[:, 0], eta[:, 0], pt[:, 1], eta[:, 1]], 1).astype(np.float32)
