"""Events of jets and leptons that can be written down, and quantities of them."""

import awkward as ak
import numpy as np

ONE = ((100.0, 0.0, 0.0),)


def particles(constituents):
    return [{"pt": p, "eta": e, "phi": f, "species": 0} for p, e, f in constituents]


def jet(pt, eta=0.0, phi=0.0, mass=0.0, *, b=False, constituents=ONE):
    fields = {"pt": pt, "eta": eta, "phi": phi, "mass": mass, "b": b, "flavour": 0}
    return fields | {"constituents": particles(constituents)}


def event(*, leptons=(), jets=(), fat_jets=(), missing=(0.0, 0.0), h_t=0.0):
    return {
        "leptons": particles(leptons),
        "jets": list(jets),
        "fat_jets": list(fat_jets),
        "missing": dict(zip(("pt", "phi"), missing, strict=True)),
        "h_t": h_t,
    }


def collect(events, dtype=np.float32):
    """An array of events; the types of its fields are those of an event that has all of them."""
    full = event(leptons=[(9.0, 0.0, 0.0)], jets=[jet(9.0)], fat_jets=[jet(9.0)])
    objects = ak.Array([full, *events])[1:]
    return ak.with_field(ak.values_astype(objects, dtype), objects.jets.b, ("jets", "b"))
