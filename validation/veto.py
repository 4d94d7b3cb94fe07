"""What a veto before hadronisation drops of the events that pass the cuts.

    python validation/veto.py heavy_quark top_pairs --parameters '{pt_min: 350}' --figure veto.png

Events are made through a looser veto, and the benchmark's own notes of each whether it would have
dropped it: both judge the same events, so that the error is that of what is lost. The share is
given behind every cut, and in the figure against what cuts are made on. Ends with a line of JSON.
"""

import argparse
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import matplotlib.pyplot as plt
import numpy as np
import yaml
from numpy.typing import NDArray

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.benchmarks.base import Benchmark
from fivesigma.detector import respond
from fivesigma.events import Events, Process, generate
from fivesigma.progress import Display
from fivesigma.selection import PROBABILITY, CutflowRow, combine
from fivesigma.store import reconstructed
from fivesigma.vetoes import Veto

CHUNK = 250
LOOSER: dict[str, dict[str, float]] = {
    "hidden_valley": {"pt_min": 550.0, "eta_max": 3.0, "mass_min": 3500.0, "mass_max": 9000.0},
    "heavy_quark": {
        "hard_lepton_pt_min": 35.0,
        "early_h_t_min": 250.0,
        "lepton_pt_min": 75.0,
        "lepton_eta_max": 3.0,
        "h_t_min": 600.0,
        "fat_pt_min": 330.0,
        "fat_mass_min": 120.0,
    },
}
DRAWN = {
    "hidden_valley": ("m_jj",),
    "heavy_quark": ("h_t", "pt(l)", "pt(J)", "m(J)"),
}
QUANTILES = np.linspace(0, 1, 7)


@dataclass(frozen=True)
class Watched:
    """The looser veto, with notes of what the other would have dropped of the events it keeps."""

    looser: Veto
    veto: Veto
    notes: list[bool]

    def hooks(self) -> list[Any]:
        """Hooks of both; Pythia asks them in order, until one drops the event."""
        return [*(noting(hook, self.notes) for hook in self.veto.hooks()), *self.looser.hooks()]


def noting(hook: Any, notes: list[bool]) -> Any:
    """The hook, which notes at the end of each shower what it thinks of it, and drops none.

    A shower whose partons do not hadronise is made anew, and so is its note.
    """

    class Noting(type(hook)):  # type: ignore[misc]
        at_once = dropped = noted = False

        def canVetoProcessLevel(self) -> bool:
            return True

        def doVetoProcessLevel(self, process: Any) -> bool:
            self.at_once = self.dropped = super().doVetoProcessLevel(process)
            self.noted = False
            return False

        def doVetoStep(self, *step: Any) -> bool:
            self.dropped = self.dropped or super().doVetoStep(*step)
            return False

        def doVetoPT(self, position: int, event: Any) -> bool:
            self.dropped = self.dropped or super().doVetoPT(position, event)
            return False

        def canVetoPartonLevel(self) -> bool:
            return True

        def doVetoPartonLevel(self, _event: Any) -> bool:
            notes[len(notes) - self.noted :] = [self.dropped]
            self.noted, self.dropped = True, self.at_once
            return False

    return Noting(hook.veto)


def watch(process: Process, looser: Veto, n: int, *, seed: int) -> tuple[Events, NDArray[np.bool_]]:
    """Events that pass the looser veto, and which of them the process' own would have dropped."""
    assert process.veto is not None
    notes: list[bool] = []
    events = generate(replace(process, veto=Watched(looser, process.veto, notes)), n, seed=seed)
    if len(notes) != len(events):
        raise RuntimeError(f"expected a note of each of {len(events)} events; got {len(notes)}")
    return events, np.array(notes)


def select(
    benchmark: Benchmark, events: Events, dropped: NDArray[np.bool_], *, seed: int
) -> tuple[tuple[CutflowRow, ...], tuple[CutflowRow, ...], ak.Array]:
    """Cutflows of all events and of those that are kept, and all that pass the cuts."""
    seen = respond(events, benchmark.detector, seed=seed)
    objects = reconstructed(seen, events, benchmark.jets, seed=seed)
    every, kept = benchmark.selection(objects), benchmark.selection(objects[~dropped])
    drawn = {name: ak.to_numpy(every.events[name]) for name in DRAWN[benchmark.name]}
    w = np.ones(len(every.events))
    if PROBABILITY in every.events.fields:
        w = ak.to_numpy(every.events[PROBABILITY])
    return every.cutflow, kept.cutflow, ak.Array(drawn | {"w": w, "dropped": dropped[every.mask]})


def lost(every: CutflowRow, kept: CutflowRow) -> tuple[float, float]:
    r"""Share of the weight that is dropped, L / T, and its error.

    With the sums of squares $Q$ of the weights that are dropped and kept,

    $$ p = L / T , \qquad \sigma^2(p) = \big( (1 - p)^2 Q_L + p^2 Q_K \big) / T^2 , $$

    and the share of one event of the effective number $T^2 / Q_T$ where none is dropped.
    """
    if not every.count:
        return math.nan, math.nan
    Q_T, Q_K = (r.count if r.squares is None else r.squares for r in (every, kept))
    p = 1 - kept.count / every.count
    if p == 0:
        return p, Q_T / every.count**2
    return p, math.sqrt((1 - p) ** 2 * (Q_T - Q_K) + p**2 * Q_K) / every.count


def draw(passed: ak.Array, title: str, path: Path) -> None:
    """Share that is dropped in bins of equal numbers of events of each quantity."""
    names = [name for name in passed.fields if name not in {"w", "dropped"}]
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3), squeeze=False)
    w, dropped = (ak.to_numpy(passed[name]) for name in ("w", "dropped"))
    for ax, name in zip(axes[0], names, strict=True):
        x = ak.to_numpy(passed[name])
        edges = np.quantile(x, QUANTILES)
        T, L, Q_T, Q_L = (
            np.histogram(x, edges, weights=v)[0] for v in (w, w * dropped, w**2, w**2 * dropped)
        )
        p = L / T
        error = np.sqrt((1 - p) ** 2 * Q_L + p**2 * (Q_T - Q_L)) / T
        center, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
        ax.errorbar(center, 100 * p, xerr=half, yerr=100 * error, fmt="o", ms=3)
        ax.axhline(0, color="0.7", lw=0.8)
        ax.set(xlabel=f"{name} [GeV]")
    axes[0, 0].set_ylabel("dropped by the veto [%]")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    options = _options()
    benchmark = BENCHMARKS[options.benchmark]
    process = benchmark.process(options.process, options.parameters)
    looser: Any = replace(process.veto, **LOOSER[options.benchmark])  # type: ignore[type-var]
    parts = []
    with Display() as display:
        for k, first in enumerate(range(0, options.events, CHUNK)):
            n, seed = min(CHUNK, options.events - first), options.seed + k
            events, dropped = watch(process, looser, n, seed=seed)
            parts.append(select(benchmark, events, dropped, seed=seed))
            display("generate", first + n, options.events)
    every, kept = (combine(flows) for flows in list(zip(*parts, strict=True))[:2])
    passed = ak.concatenate([part[2] for part in parts])
    width = max(len(row.cut) for row in every)
    print(f"{'cut':<{width}}  {'events':>10}  dropped by the veto")
    result = {}
    for row, row_kept in zip(every, kept, strict=True):
        p, error = lost(row, row_kept)
        result[row.cut] = {
            "events": round(row.count, 1),
            "dropped": round(p, 5),
            "error": round(error, 5),
        }
        print(f"{row.cut:<{width}}  {row.count:>10.1f}  {100 * p:.2f} +- {100 * error:.2f} %")
    if options.figure:
        draw(passed, f"{benchmark.name}, {process.name}", options.figure)
    print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("benchmark", choices=sorted(LOOSER))
    parser.add_argument("process")
    parser.add_argument("--parameters", type=yaml.safe_load, default={}, help="mapping in YAML")
    parser.add_argument("--events", type=int, default=2000, help="that pass the looser veto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figure", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
