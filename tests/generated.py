"""Events of Pythia, what is counted of them, and event files written by hand."""

import itertools
from functools import cache
from pathlib import Path

import awkward as ak
import numpy as np

from fivesigma.events import generate

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"


@cache
def made(process, n, seed=11):
    return generate(process, n, seed=seed)


def charged(events):
    return ak.to_numpy(ak.sum(events.particles.charge != 0, axis=1)).astype(float)


def mean(x):
    return x.mean(), x.std() / len(x) ** 0.5


def significance(a, b):
    (x, dx), (y, dy) = mean(a), mean(b)
    return (x - y) / np.hypot(dx, dy)


def les_houches(energies, weights=(1.0,), strategy=3):
    """u u -> u u at 90 degrees with these beam-parton energies [GeV]; 7 pb."""
    head = (
        '<LesHouchesEvents version="3.0">\n<init>\n'
        f"2212 2212 6500. 6500. 0 0 247000 247000 {strategy} 1\n7. 0.1 1. 1\n</init>\n"
    )
    colours = ("502 0", "501 0", "501 0", "502 0")
    events = []
    for e, weight in zip(energies, itertools.cycle(weights)):
        momenta = (("-1 0 0", 0, e), ("-1 0 0", 0, -e), ("1 1 2", e, 0), ("1 1 2", -e, 0))
        lines = [
            f"2 {origin} {colour} {px} 0. {pz} {e} 0. 0. 9."
            for (origin, px, pz), colour in zip(momenta, colours, strict=True)
        ]
        first = f"4 1 {weight} {e} 0.0075 0.09"
        events.append("\n".join(["<event>", first, *lines, "</event>", ""]))
    return head + "".join(events) + "</LesHouchesEvents>\n"


ENERGIES = (1500.0, 3000.0, 4500.0)
