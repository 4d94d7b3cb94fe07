"""Backgrounds to pairs of vectorlike quarks, 14 TeV: cross sections and settings.

References:
    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad, Table 5.1
"""

from dataclasses import dataclass

__all__ = ["BACKGROUNDS", "Background"]

NAN = float("nan")


@dataclass(frozen=True)
class Background:
    """A process of Table 5.1 of the source, with all decays of what it makes."""

    title: str
    """What it is."""
    source_fb: float
    """Total cross section of the source, at higher order [fb]."""
    leading_order_fb: float = NAN
    """Total cross section of the settings without limits or a veto, by Pythia 8.317 [fb]; NaN where
    the events have to come from a file, which states it."""
    error_fb: float = NAN
    """Its statistical error [fb]."""
    settings: tuple[str, ...] = ()
    """Settings of all of it; none where the events have to come from a file."""
    with_parton: tuple[str, ...] = ()
    """Settings of the part that recoils against a parton, for slices in pTHat, where the process
    itself makes a single particle and has no pTHat."""


BACKGROUNDS = {
    "top_pairs": Background(
        "pairs of top quarks", 988_570, 602_800, 560, ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
    ),
    "w_jets": Background(
        "W + jets", 1.95e8, 1.5308e8, 1.7e5,
        ("WeakSingleBoson:ffbar2W = on",),
        ("WeakBosonAndParton:qqbar2Wg = on", "WeakBosonAndParton:qg2Wq = on"),
    ),
    "z_jets": Background(
        "Z + jets, without photons", 6.33e7, 4.6819e7, 5.1e4,
        ("WeakSingleBoson:ffbar2gmZ = on", "WeakZ0:gmZmode = 2"),
        ("WeakBosonAndParton:qqbar2gmZg = on", "WeakBosonAndParton:qg2gmZq = on",
         "WeakZ0:gmZmode = 2"),
    ),
    # "tb" and "t + jets" in the table, but its numbers are those of the channels
    "single_top_t": Background(
        "a top by exchange of a W, from a b in the proton", 248_000, 168_510, 250,
        ("Top:qq2tq(t:W) = on",),
    ),
    "single_top_s": Background(
        "a top and a b from a virtual W", 12_350, 7_954, 11, ("Top:ffbar2tqbar(s:W) = on",)
    ),
    "ww": Background("two W", 124_310, 70_690, 83, ("WeakDoubleBoson:ffbar2WW = on",)),
    "wz": Background("a W and a Z", 51_820, 25_798, 30, ("WeakDoubleBoson:ffbar2ZW = on",)),
    "tth": Background(
        "pairs of top quarks with a Higgs boson", 610, 421.0, 0.7,
        ("HiggsSM:gg2Httbar = on", "HiggsSM:qqbar2Httbar = on"),
    ),
    "ttw": Background("pairs of top quarks with a W", 650),
    "ttw_plus": Background("pairs of top quarks with a W+", 433.6),
    "ttw_minus": Background("pairs of top quarks with a W-", 216.4),
    "ttz": Background("pairs of top quarks with a Z", 1_050),
    "tw": Background("a top with a W", 83_100),
}  # fmt: skip
