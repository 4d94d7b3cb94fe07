"""Particles seen and quarks, placed by hand and at random."""

from dataclasses import replace

import awkward as ak
import numpy as np

from fivesigma.jets import JetDefinition
from fivesigma.objects import BTag, ObjectDefinition
from fivesigma.tracker import SPECIES

SURE = BTag(b=1.0, c=0.0, light=0.0)
PLAIN = ObjectDefinition(
    jets=JetDefinition(radius=0.4, energy_scale=None),
    fat_jets=JetDefinition(radius=1.2, pt_min=200.0, energy_scale=None),
    b_tag=SURE,
)
NO_TAG = replace(PLAIN, b_tag=None)


def thing(pt, eta=0.0, phi=0.0, kind="charged hadron"):
    row = {"pt": float(pt), "eta": float(eta), "phi": float(phi), "mass": 0.0}
    return row | {"species": SPECIES[kind], "isolated": False}


def quark(flavour, eta=0.0, phi=0.0, pt=50.0):
    return {"pt": float(pt), "eta": float(eta), "phi": float(phi), "flavour": flavour}


def seen_of(*events):
    array = ak.Array([*events, [thing(1.0)]])[:-1]  # the last one is only there to fix the type
    return ak.with_field(array, ak.values_astype(array.species, np.int8), "species")


def partons_of(*events):
    return ak.Array([*events, [quark(5)]])[:-1]


def random_events(n=60, seed=3):
    """Jets, leptons and quarks anywhere; some events have none of them."""
    rng = np.random.default_rng(seed)

    def flat(m):
        return rng.exponential(30.0, m) + 0.5, rng.normal(0, 1.6, m), rng.uniform(-np.pi, np.pi, m)

    counts = rng.integers(0, 30, n)
    counts[::9] = 0
    m = counts.sum()
    kinds = rng.integers(0, 5, m).astype(np.int8)
    free = (rng.random(m) < 0.3) & np.isin(kinds, [1, 3, 4])
    seen = dict(zip(("pt", "eta", "phi"), flat(m), strict=True))
    seen |= {"mass": np.zeros(m), "species": kinds, "isolated": free}
    number = rng.integers(0, 12, n)
    number[5::9] = 0
    k = number.sum()
    partons = dict(zip(("pt", "eta", "phi"), flat(k), strict=True))
    partons["pt"] = rng.exponential(2.0, k)
    partons["flavour"] = rng.choice([1, 4, 5, 21], k, p=[0.3, 0.3, 0.3, 0.1]).astype(np.int32)
    return (
        ak.zip({name: ak.unflatten(x, counts) for name, x in seen.items()}),
        ak.zip({name: ak.unflatten(x, number) for name, x in partons.items()}),
    )


SEEN, PARTONS = random_events()
