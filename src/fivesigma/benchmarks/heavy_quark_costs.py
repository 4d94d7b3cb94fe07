"""What events of the search for vectorlike quarks cost, one that passes the veto each.

Times are CPU times of one core; the share that passes is that of events of any weight by tags, as
they are kept. Effective numbers are smaller by a factor of 1.2 for the signal, 1.3 to 1.5 for tops
and 4 to 6 where a jet without a b has to have the tag.
"""

from .base import Cost
from ..quantities import FEATURES

__all__ = ["COSTS"]

BYTES = 4 * (len(FEATURES) + 1)
"""Of an event that passes, with its weight."""
MEASURED = {  # seconds, and share that passes
    "signal": (0.0096, 0.21),
    "signal, veto=lepton": (0.011, 0.48),
    "top_pairs": (0.08, 0.10),
    "top_pairs, pt_max=100": (0.55, 0.07),
    "top_pairs, pt_min=100": (0.20, 0.13),
    "top_pairs, pt_min=200": (0.078, 0.14),
    "top_pairs, pt_min=350": (0.0175, 0.075),
    "top_pairs, pt_min=500": (0.0118, 0.107),
    "w_jets, pt_min=300": (0.0246, 0.084),
    "z_jets, pt_min=300": (0.024, 0.048),
    "single_top_t, pt_min=150": (0.14, 0.12),
    "single_top_s, pt_min=150": (0.063, 0.08),
    "ww, pt_min=200": (0.058, 0.16),
    "wz, pt_min=200": (0.075, 0.16),
    "tth": (0.083, 0.08),
    "ttw_plus, veto=lepton": (0.034, 0.15),
    "ttw_minus, veto=lepton": (0.034, 0.15),
}
COSTS = {name: Cost(seconds, share * BYTES) for name, (seconds, share) in MEASURED.items()}
