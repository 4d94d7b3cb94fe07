"""A file of events with a hidden signal, and the sealed answer.

    python validation/blind.py FILE [--strength S] [--seed N] [--luminosity L] [--signal NAME]

Events of the two jets' constituents go into FILE (HDF5, the layout of the LHC Olympics, no label).
Without --strength one of 0, 1.5 and 3 is drawn. The answer lies in FILE.answer.json; the events are
of another seed than those a search is calibrated with.
"""

import argparse
import json
from pathlib import Path

import awkward as ak
import h5py
import numpy as np

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.configuration import SampleRequest
from fivesigma.progress import Display
from fivesigma.sample import Sample
from fivesigma.samples import recipe
from fivesigma.store import default_folder, make

STRENGTHS = (0.0, 1.5, 3.0)
PARTICLES = 700
GENERATED = {"qcd": 16_000, "signal": 2_000}  # for a luminosity of 13.9/fb


def main() -> None:
    options = _options()
    rng = np.random.default_rng(options.seed)
    strength = rng.choice(STRENGTHS) if options.strength is None else options.strength
    valley = BENCHMARKS["hidden_valley"]
    n = options.luminosity * valley.background_cross_section_fb
    point = valley.points[options.signal]
    background = _sample("qcd", {"mass_min": 3600.0, "veto": "dijet"}, options)
    signal = _sample("signal", point, options)
    wanted = {"qcd": rng.poisson(n), "signal": rng.poisson(strength * n**0.5)}
    parts = [
        _drawn(sample, wanted[name], rng)
        for name, sample in (("qcd", background), ("signal", signal))
    ]
    events = ak.concatenate(parts)[rng.permutation(sum(map(len, parts)))]
    with h5py.File(options.file, "w") as file:
        file.create_dataset("events", data=_table(events), compression="gzip")
    inside = valley.selection.region("signal_region")
    counts = [int(inside(ak.to_numpy(p.m_jj).astype(float)).sum()) for p in parts]
    answer = {
        "s_over_sqrt_b": float(strength),
        "signal": options.signal,
        "signal_region": {"background": counts[0], "signal": counts[1]},
        "seed": options.seed,
    }
    Path(f"{options.file}.answer.json").write_text(json.dumps(answer))
    print(json.dumps({"file": str(options.file), "events": len(events)}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--strength", type=float)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--luminosity", type=float, default=13.9)
    parser.add_argument("--signal", default="ID10")
    return parser.parse_args()


def _sample(name: str, parameters: dict[str, object], options: argparse.Namespace) -> Sample:
    valley = BENCHMARKS["hidden_valley"]
    events = int(np.ceil(GENERATED[name] * options.luminosity / 13.9))
    request = SampleRequest(process=name, events=events, parameters=parameters)
    with Display() as display:
        return make(
            recipe(valley, request, seed=options.seed),
            events,
            folder=default_folder(),
            workers=0,
            progress=lambda done, total: display(f"generate {name}", done, total),
        )


def _drawn(sample: Sample, n: int, rng: np.random.Generator) -> ak.Array:
    """Events of which n are in the signal region, and as many elsewhere as belong to them."""
    events = ak.concatenate(list(sample.batches()))
    inside = BENCHMARKS["hidden_valley"].selection.region("signal_region")
    total = int(inside(ak.to_numpy(events.m_jj).astype(float)).sum())
    if n > total:
        raise SystemExit(f"expected {n} events in the signal region; got {total}: generate more")
    chosen = rng.permutation(len(events))[: round(len(events) * n / total)]
    return events[np.sort(chosen)]


def _table(events: ak.Array) -> np.ndarray:
    """(pT, eta, phi) of up to 700 constituents of both jets, the hardest first, (N, 2100)."""
    parts = ak.flatten(events.jets.constituents, axis=2)
    parts = parts[ak.argsort(parts.pt, ascending=False)][:, :PARTICLES]
    columns = [
        ak.to_numpy(ak.fill_none(ak.pad_none(parts[name], PARTICLES, clip=True), 0.0))
        for name in ("pt", "eta", "phi")
    ]
    return np.stack(columns, axis=2).reshape(len(events), -1).astype(np.float32)


if __name__ == "__main__":
    main()
