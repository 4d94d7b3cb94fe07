r"""Pairs of vectorlike quarks B, with B to b Phi and B to t W, in events with one lepton at 14 TeV.

The detector is that of the CMS card with the isolation cone of electrons and muons at 0.2; b tags
are those of the medium working point of DeepCSV; fat jets, R = 1.2, are made of all energy flow and
not cleaned of isolated objects, as in the card, so that one may hold the lepton. The cuts C1 to C6
leave events with one lepton, three jets of which one has a b tag, and a fat jet that may be a
Phi.

Whether a jet has a tag is not drawn for the cuts C4 and C6. Each event that passes the others has
the weight

$$ w = 1 - \prod_i (1 - \varepsilon_i) $$

of a tag among its jets above 60 GeV, at C6 those outside of the fat jet, with the efficiencies
$\varepsilon_i$ of their tags; which of them has it is drawn given that one does.

References:
    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad,
    section 5.2 and Table 6.1
"""

from dataclasses import replace

from .base import Benchmark
from .heavy_quark_costs import COSTS
from .heavy_quark_processes import PROCESSES, SQRT_S
from ..detector import CMS
from ..isolation import CMS_ISOLATION
from ..objects import ObjectDefinition
from ..quantities import FEATURES
from ..selection import Cut, Selection
from ..tracker import SPECIES

__all__ = ["HEAVY_QUARK"]

INFINITY = float("inf")
CONES = ((SPECIES["photon"], 0.5), (SPECIES["electron"], 0.2), (SPECIES["muon"], 0.2))
SCAN = [(b, phi) for b in (1000, 1200, 1400, 1500, 1600, 1800, 2000) for phi in (400, 700)]

HEAVY_QUARK = Benchmark(
    name="heavy_quark",
    title="pairs of vectorlike quarks, B to b Phi and B to t W, one lepton, 14 TeV",
    processes=PROCESSES,
    signal="signal",
    background="top_pairs",
    points={f"B{b}-Phi{phi}": {"mass_b": float(b), "mass_phi": float(phi)} for b, phi in SCAN},
    detector=replace(CMS, name="cms, cone 0.2", isolation=replace(CMS_ISOLATION, radius=CONES)),
    jets=ObjectDefinition(),
    selection=Selection(
        cuts=(
            Cut("C1: one lepton, pT > 100 GeV", "n_leptons", ((1.0, 2.0),)),
            Cut("C2: H_T > 900 GeV", "h_t", ((900.0, INFINITY),)),
            Cut("C3: three jets, pT > 60 GeV", "n_jets_60", ((3.0, INFINITY),)),
            Cut("C3: leading jet, pT > 120 GeV", "jet1_pt", ((120.0, INFINITY),)),
            Cut("C4: a b jet, pT > 60 GeV", "n_b_jets_60", ((1.0, INFINITY),)),
            Cut("C5: fat jet, pT > 500 GeV, m > 250 GeV", "n_fat_jets", ((1.0, INFINITY),)),
            Cut("C6: a b jet outside of it", "n_b_outside", ((1.0, INFINITY),)),
        ),
        regions=(),
        quantities=FEATURES,
        tags="weighted",
    ),
    sqrt_s=SQRT_S,
    luminosity_fb=3000.0,
    background_cross_section_fb=91.25,
    source="thesis of Bardhan, Table 6.1: top pairs and top pairs with a W after the cuts",
    costs=COSTS,
)
