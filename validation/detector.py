"""Compare the fast detector with Delphes on the same events.

Both see the same particles. For the two leading jets: median ratio (ours over Delphes') and
Kolmogorov-Smirnov distance of each quantity, and the two cutflows with the standard deviation of
their paired difference. Ends with one line of JSON.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from fivesigma.detector import DETECTORS, respond
from fivesigma.events import Events
from fivesigma.jets import JetDefinition, cluster, substructure
from fivesigma.selection import m_jj
from fivesigma.tracker import SPECIES

CHUNK = 500
SHAPES = ("nconst", "lha", "width", "ptd")
SHARES = {
    "f_trk": ("charged hadron", "electron", "muon"),
    "f_pho": ("photon",),
    "f_neu": ("neutral hadron",),
}
Quantities = dict[str, NDArray[np.float64]]
Masks = dict[str, NDArray[np.bool_]]
Cut = Callable[[Quantities], NDArray[np.bool_]]

CUTS: dict[str, Cut] = {
    "n_j>=2": lambda q: q["n_j"] >= 2,
    "pT>750 both": lambda q: np.minimum(q["j1_pt"], q["j2_pt"]) > 750,
    "|eta|<2 both": lambda q: np.maximum(abs(q["j1_eta"]), abs(q["j2_eta"])) < 2,
}
REGIONS: dict[str, Cut] = {
    "SR 4700<=mjj<=5500": lambda q: (q["mjj"] >= 4700) & (q["mjj"] <= 5500),
    "SB 4400-4700 or 5500-5800": lambda q: (
        ((q["mjj"] >= 4400) & (q["mjj"] < 4700)) | ((q["mjj"] > 5500) & (q["mjj"] <= 5800))
    ),
}


def read(particles: list[Path], vertices: Path) -> tuple[Events, NDArray[np.int64]]:
    made = ak.concatenate([ak.from_parquet(path) for path in particles])
    vertex = ak.from_parquet(vertices)
    first = int(made.event[0]) - int(vertex.event[0])
    vertex = vertex[first : first + len(made)]
    if not ak.all(ak.num(made.px) == ak.num(vertex.vx)):
        raise ValueError(f"expected vertices of the same particles; got other counts in {vertices}")
    columns = {name: made[name] for name in ("px", "py", "pz", "mass", "pdgid", "charge")}
    columns |= {name: vertex[name] for name in ("vx", "vy", "vz")}
    return Events(ak.zip(columns)), ak.to_numpy(made.event)


def describe(clustered: ak.Array) -> Quantities:
    q = {"n_j": ak.to_numpy(clustered.n_jets).astype(float), "mjj": m_jj(clustered)}
    padded = ak.num(clustered.jets)
    for k in (1, 2):
        have = ak.to_numpy(padded) >= k
        jet = clustered.jets[have][:, k - 1]
        shapes = substructure(jet) | {n: ak.to_numpy(jet[f]) for n, f in
                                      (("pt", "pt"), ("eta", "eta"), ("m", "mass"))}  # fmt: skip
        c = jet.constituents
        for name, species in SHARES.items():
            own = np.zeros(max(SPECIES.values()) + 1, bool)
            own[[SPECIES[s] for s in species]] = True
            flag = ak.unflatten(own[ak.to_numpy(ak.flatten(c.species))], ak.num(c))
            shapes[name] = ak.to_numpy(ak.sum(c.pt * flag, axis=1) / ak.sum(c.pt, axis=1))
        for name, values in shapes.items():
            q[f"j{k}_{name}"] = np.full(len(clustered), np.nan)
            q[f"j{k}_{name}"][have] = values
    return q


def simulate(events: Events, *, detector: str, seed: int) -> Quantities:
    parts = []
    for start in range(0, len(events), CHUNK):
        chunk = Events(events.particles[start : start + CHUNK])
        seen = respond(chunk, DETECTORS[detector], seed=seed + start)
        parts.append(describe(cluster(seen, JetDefinition())))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def passes(q: Quantities) -> Masks:
    mask: NDArray[np.bool_] = np.ones(len(q["n_j"]), bool)
    flow = {"all": mask}
    for name, cut in CUTS.items():
        mask = mask & cut(q)
        flow[name] = mask
    return flow | {name: mask & cut(q) for name, cut in REGIONS.items()}


def compare(ours: Quantities, theirs: Quantities) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for name in (f"j{k}_{s}" for k in (1, 2) for s in ("pt", "m", *SHAPES, *SHARES)):
        a, b = ours[name], theirs[name]
        a, b = a[np.isfinite(a)], b[np.isfinite(b)]
        result[name] = {"median_ratio": np.median(a) / np.median(b), "ks": ks_2samp(a, b).statistic}
    a, b = (q["mjj"][np.isfinite(q["mjj"])] for q in (ours, theirs))
    result["mjj"] = {"median_ratio": np.median(a) / np.median(b), "ks": ks_2samp(a, b).statistic}
    flow = {}
    for (name, we), they in zip(passes(ours).items(), passes(theirs).values(), strict=True):
        sigma = np.sqrt(np.sum(we != they))
        flow[name] = {
            "ours": int(we.sum()),
            "delphes": int(they.sum()),
            "sigma_of_difference": float(sigma),
        }
    return result | {"cutflow": flow}


def show(result: dict[str, dict[str, Any]]) -> None:
    print(f"{'quantity':<12}{'median ratio':>14}{'KS distance':>14}")
    for name, row in result.items():
        if name != "cutflow":
            print(f"{name:<12}{row['median_ratio']:>14.4f}{row['ks']:>14.4f}")
    print(f"\n{'cut':<28}{'ours':>8}{'Delphes':>9}{'difference / sigma':>20}")
    for name, row in result["cutflow"].items():
        difference, sigma = row["ours"] - row["delphes"], row["sigma_of_difference"]
        print(f"{name:<28}{row['ours']:>8}{row['delphes']:>9}{difference / max(sigma, 1.0):>20.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--particles", type=Path, nargs="+", required=True, help="particle files, in order"
    )
    parser.add_argument("--vertices", type=Path, required=True, help="their production vertices")
    parser.add_argument(
        "--delphes", type=Path, required=True, help="Delphes' jets of the same events"
    )
    parser.add_argument("--detector", choices=sorted(DETECTORS), default="cms")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    events, number = read(options.particles, options.vertices)
    theirs = ak.from_parquet(options.delphes)
    theirs = theirs[np.isin(ak.to_numpy(theirs.event), number)]
    if len(theirs) != len(events):
        raise ValueError(f"expected {len(events)} events in {options.delphes}; got {len(theirs)}")
    delphes = {name: ak.to_numpy(theirs[name]).astype(float) for name in theirs.fields}
    result = compare(simulate(events, detector=options.detector, seed=options.seed), delphes)
    show(result)
    print(json.dumps(result, default=float))


if __name__ == "__main__":
    main()
