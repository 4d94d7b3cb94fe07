"""Landscapes of the losses that are significances, and what is and is not submodular.

Of two events, a signal event of weight 1 and a background event of weight 10, the loss is drawn
over both logits, for the four errors, as in Figure 6.1 of the thesis. The corners, where an event
is right or wrong without doubt, must have the cost of the set of wrong events. Then second
differences of that cost in false negatives and false positives: diminishing returns, on which
convexity in the errors rests, need all of them to be at most 0 (Figure 6.2).

Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad, chapter 6.

    python validation/landscapes.py --out docs/results/losses

Ends with one line of JSON.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fivesigma.lovasz import ERRORS, Lovasz, LovaszAsimov, LovaszSignificance
from fivesigma.plots.base import STYLE, panels

Floats = NDArray[np.float64]
KINDS: dict[str, type[Lovasz]] = {"Z": LovaszSignificance, "zeta": LovaszAsimov}
TITLES = {"Z": "$\\Delta_Z$", "zeta": "$\\Delta_\\zeta$"}
Y, WEIGHT = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 10.0])
EDGE = 4.0
POINTS = 81
SURE = 50.0
"""Logit of which the sigmoid is 1."""
N_S, N_B, EVENTS = 30.0, 3000.0, 60


def landscape(loss: Lovasz, z: Floats) -> Floats:
    """The loss at each pair of logits (background, signal), shape (P, P)."""
    rows = [[loss(torch.tensor([a, b]), Y, WEIGHT).item() for a in z] for b in z]
    return np.array(rows)


def corners(kind: type[Lovasz]) -> float:
    """Largest deviation from the cost of the set of wrong events; sigmoid errors are 0 and 1."""
    loss = kind("sigmoid")

    def Z(n: float, p: float) -> float:
        return float(loss.significance(np.array([1.0 - n]), np.array([1.0 + p]))[0])

    deviations = []
    for wrong_s in (0, 1):
        for wrong_b in (0, 1):
            z = torch.tensor([SURE * (1 - 2 * wrong_s), SURE * (2 * wrong_b - 1)])
            deviations.append(loss(z, Y, WEIGHT).item() - (Z(0, 0) - Z(wrong_s, 10.0 * wrong_b)))
    return float(np.abs(deviations).max())


def concave_by(surface: Floats, rng: np.random.Generator) -> float:
    """How far the loss is above its chords at most, between points of the grid: 0 if convex."""
    (i, j), (k, l) = rng.integers(0, POINTS, (2, 2, 100_000))
    whole = ((i + k) % 2 == 0) & ((j + l) % 2 == 0)
    i, j, k, l = (index[whole] for index in (i, j, k, l))
    middle = surface[(i + k) // 2, (j + l) // 2]
    return float((middle - (surface[i, j] + surface[k, l]) / 2).max())


def second_differences(kind: type[Lovasz]) -> dict[str, Floats]:
    """Change of what a false negative or positive costs by one more of either, in Z."""
    s = N_S * (1 - np.arange(EVENTS + 1) / EVENTS)
    b = 1.0 + N_B * np.arange(EVENTS + 1) / EVENTS
    cost = -kind().significance(*np.meshgrid(s, b, indexing="ij"))
    return {
        "two false negatives": np.diff(cost, 2, axis=0),
        "one of each": np.diff(np.diff(cost, axis=0), axis=1),
        "two false positives": np.diff(cost, 2, axis=1),
    }


@rc_context(STYLE)
def draw_landscapes(surfaces: dict[str, dict[str, Floats]]) -> Figure:
    figure, axes = panels(len(surfaces), len(ERRORS), size=(3.1, 3.0), x="all", y="all")
    for row, (kind, by_error) in zip(axes, surfaces.items(), strict=True):
        for axis, (error, surface) in zip(row, by_error.items(), strict=True):
            shown = axis.contourf(*[np.linspace(-EDGE, EDGE, POINTS)] * 2, surface, levels=18)
            figure.colorbar(shown, ax=axis, shrink=0.8)
            axis.set_title(f"{TITLES[kind]}, {error.replace('_', ' ')}", fontsize=10)
            axis.grid(visible=False)
        row[0].set_ylabel("logit of the background event")
    for axis in axes[-1]:
        axis.set_xlabel("logit of the signal event")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder of the figures; none if left out")
    out = parser.parse_args().out
    z = np.linspace(-EDGE, EDGE, POINTS)
    surfaces = {
        name: {error: landscape(kind(error), z) for error in ERRORS} for name, kind in KINDS.items()
    }
    differences = {name: second_differences(kind) for name, kind in KINDS.items()}
    rng = np.random.default_rng(1)
    numbers: dict[str, Any] = {
        name: {
            "corners": corners(kind),
            "above_chords": {
                error: round(concave_by(surface, rng), 6)
                for error, surface in surfaces[name].items()
            },
            "largest_second_difference": {
                pair: float(values.max()) for pair, values in differences[name].items()
            },
        }
        for name, kind in KINDS.items()
    }
    if out:
        out.mkdir(parents=True, exist_ok=True)
        draw_landscapes(surfaces).savefig(out / "landscapes.png", dpi=110)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
