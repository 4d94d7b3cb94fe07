"""Processes whose vetoes are tried, and cross sections that are compared."""

from functools import partial

import generated
import numpy as np

from fivesigma.vetoes import LeptonVeto, ShowerVeto

TOP = ("Beams:eCM = 14000", "Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
HARD = (*TOP, "PhaseSpace:pTHatMin = 400", "PartonLevel:MPI = off")
QUICK = ("HadronLevel:all = off",)

LOOSE = LeptonVeto(
    scale=10.0,
    hard_lepton_pt_min=0.0,
    early_h_t_min=0.0,
    lepton_pt_min=0.0,
    lepton_eta_max=1e3,
    h_t_min=0.0,
    fat_pt_min=0.0,
    fat_mass_min=-1.0,
)
DIJETS = ShowerVeto(
    scale=20.0, radius=0.8, pt_min=0.0, eta_max=1e3, mass_min=-1.0, mass_max=1e9
)  # fmt: skip

made = partial(generated.made, seed=3)


def sigma(events):
    return np.array([events.cross_section_fb, events.cross_section_error_fb])


def agree(a, b, n=4.0):
    return abs(a[0] - b[0]) < n * np.hypot(a[1], b[1])
