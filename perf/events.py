"""CPU time per event of each step from collisions to selected jets, on one thread.

Run `python perf/events.py --events 500`; the last line is JSON. Seconds are the processor's, so a
busy machine matters little. Delphes with the same card and HepMC3 input made 83 (QCD) and 145
(signal with a dark coupling that does not run, multiparton off) events per CPU-second on one core
of a 2-core Xeon; Pythia's own rate in the same run is the yardstick for other machines.
"""

import argparse
import json
import os

os.environ["OMP_NUM_THREADS"] = "1"

from dataclasses import replace
from itertools import pairwise
from statistics import median
from time import process_time

import awkward as ak

from fivesigma.benchmarks.hidden_valley import HIDDEN_VALLEY, qcd, signal
from fivesigma.detector import respond
from fivesigma.events import Events, Process, generate
from fivesigma.jets import JetDefinition, cluster

CHUNK = 250
WARM_UP = 20
STEPS = ("generation", "detector", "jets and selection")
FIXED = ("HiddenValley:setLambda = on", "HiddenValley:setLambda = off")
RUNNING = signal(multiparton="off")
AS_DELPHES = replace(RUNNING, settings=tuple(line.replace(*FIXED) for line in RUNNING.settings))
PROCESSES: dict[str, tuple[Process, float | None]] = {
    "qcd": (qcd(mass_min=3000.0), 83.0),
    "signal": (signal(), None),
    "signal of the Delphes sample": (AS_DELPHES, 145.0),
}


def chain(process: Process, n: int, *, seed: int) -> tuple[Events, dict[str, float]]:
    """Seconds per step for n events, Pythia's start included in the generation."""
    jets = HIDDEN_VALLEY.jets
    assert isinstance(jets, JetDefinition)
    times = [process_time()]
    events = generate(process, n, seed=seed)
    times.append(process_time())
    for first in range(0, n, CHUNK):
        seen = respond(
            Events(events.particles[first : first + CHUNK]), HIDDEN_VALLEY.detector, seed=seed
        )
        times.append(process_time())
        HIDDEN_VALLEY.selection(cluster(seen, jets))
        times.append(process_time())
    generation, *rest = (after - before for before, after in pairwise(times))
    return events, dict(zip(STEPS, (generation, sum(rest[::2]), sum(rest[1::2])), strict=True))


def start(process: Process) -> float:
    """Seconds that Pythia takes before its first event, median of three."""
    times = []
    for _ in range(3):
        before = process_time()
        generate(process, 0, seed=1)
        times.append(process_time() - before)
    return median(times)


def measure(process: Process, n: int, delphes: float | None) -> dict[str, float]:
    chain(process, WARM_UP, seed=1)
    first = start(process)
    events, total = chain(process, n, seed=2)
    total["generation"] -= first
    ours = total["detector"] + total["jets and selection"]
    figures = {f"{step.replace(' ', '_')}_ms": 1e3 * total[step] / n for step in STEPS}
    figures |= {
        "start_s": first,
        "particles_per_event": float(ak.mean(ak.num(events.particles))),
        "generated_per_second": n / total["generation"],
        "analysed_per_second": n / ours,
        "share_of_generation": ours / total["generation"],
    }
    if delphes is not None:
        figures["ratio_to_delphes"] = n / ours / delphes
    return figures


def show(name: str, figures: dict[str, float]) -> None:
    print(f"\n{name}: {figures['particles_per_event']:.0f} particles an event")
    for step in STEPS:
        print(f"  {step:<20}{figures[step.replace(' ', '_') + '_ms']:8.3f} ms")
    print(f"  {'our share':<20}{100 * figures['share_of_generation']:8.1f} % of the generation")
    rate = f"{figures['analysed_per_second']:.0f} events per CPU-second"
    if "ratio_to_delphes" in figures:
        rate += f", {figures['ratio_to_delphes']:.1f} times Delphes"
    print(f"  {'detector to cuts':<20}{rate}")
    print(f"  {'Pythia':<20}{figures['generated_per_second']:.0f} events per CPU-second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500, help="events per process")
    options = parser.parse_args()
    if options.events < 100:
        parser.error(f"expected a number of events >= 100; got {options.events}")
    results = {}
    for name, (process, delphes) in PROCESSES.items():
        results[name] = measure(process, options.events, delphes)
        show(name, results[name])
    rounded = {
        name: {key: float(f"{value:.4g}") for key, value in figures.items()}
        for name, figures in results.items()
    }
    print(json.dumps(rounded))


if __name__ == "__main__":
    main()
