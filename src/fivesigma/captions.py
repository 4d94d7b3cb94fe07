"""The main numbers of each figure, in words."""

import math
from collections.abc import Callable

import numpy as np

from .series import Results, Series, all_strengths, at_cut, cuts, number, series, spread
from .tables import decimal, percent, reach_lines

__all__ = ["CAPTIONS"]

STRENGTH = "S/\u2060√B"  # does not break at the end of a line


def _each(results: Results, text: Callable[[Series], str]) -> str:
    return "; ".join(f"{one.name} {text(one)}" for one in series(results)) or "no trainings"


def _significance_caption(results: Results) -> str:
    strengths = all_strengths(series(results))
    if len(strengths) == 1:
        return _one_strength(results, strengths[0])
    best = [
        f"{line['method']} {line['cells'][line['best']][0]} (cut at {percent(line['best'])})"
        for line in reach_lines(results)
    ]
    return f"The smallest {STRENGTH} with a median of 5σ: {'; '.join(best) or 'no trainings'}."


def _one_strength(results: Results, strength: float) -> str:
    """The largest median significance of each method at the only S/sqrt(B), and its cut."""

    def best(one: Series) -> str:
        medians = {
            key: spread([at_cut(p, key, "z_after") for p in one.points]).median
            for key in cuts(results)
        }
        key = max(medians, key=lambda k: number(medians[k], otherwise=-np.inf))
        return f"{decimal(medians[key])} (cut at {percent(key)})"

    return f"The largest median significance at {STRENGTH} = {strength:g}: {_each(results, best)}."


def _reach_caption(results: Results) -> str:
    """The smallest reach of each signal at any cut, and the method that has it."""
    ceilings = {p["method"] for p in results["points"] if p["label"] == "supervised"}
    best: dict[str, tuple[float, str]] = {}
    for one in series(results):
        method = str(one.points[0]["method"])
        row = (results.get("reach") or {}).get(method, {})
        values = [number(entry["value"]) for entry in row.values() if entry["status"] == "measured"]
        if values and method not in ceilings:
            new = min(values), one.arm
            best[one.target] = min(best.get(one.target, new), new)
    each = "; ".join(
        f"{name}{': ' if name else ''}{arm} {decimal(x)}" for name, (x, arm) in best.items()
    )
    return f"The smallest of those that do not know the truth: {each or 'none'}."


def _auc_caption(results: Results) -> str:
    def ends(one: Series) -> str:
        groups = list(one.by_strength().values())
        medians = [spread([number(p["auc"]) for p in groups[i]]).median for i in (0, -1)]
        return f"{decimal(medians[0], 3)} to {decimal(medians[1], 3)}"

    return f"Median from the smallest to the largest {STRENGTH}: {_each(results, ends)}."


def _roc_caption(results: Results) -> str:
    key = ([*cuts(results)[1:], *cuts(results)] or ["0.01"])[0]

    def efficiency(one: Series) -> str:
        group = list(one.by_strength().values())[-1]
        return decimal(spread([at_cut(p, key, "eps_s") for p in group]).median, 3)

    share = f"Median signal efficiency at {percent(key)} background efficiency"
    return f"{share} for the largest {STRENGTH}: {_each(results, efficiency)}."


def _learning_caption(results: Results) -> str:
    def best(one: Series) -> str:
        return decimal(spread([number(p.get("best_epoch")) for p in one.runs]).median, 0)

    return f"Median of the best epoch: {_each(results, best)}."


def _accuracy_caption(results: Results) -> str:
    """How far both accuracies move over the trainings of a method."""

    def widths(one: Series) -> str:
        keys = ("accuracy", "true_accuracy")
        columns = [[number(p.get(key)) for p in one.runs] for key in keys]
        found = [
            decimal(np.ptp([x for x in c if np.isfinite(x)] or [math.nan]), 3) for c in columns
        ]
        return " and ".join(found)

    return (
        f"Range of the accuracy on the training labels and on the truth: {_each(results, widths)}."
    )


def _mass_caption(results: Results) -> str:
    spans = results.get("regions", {}).get("signal_region", [])
    region = " and ".join(f"{low:g} to {high:g} GeV" for low, high in spans)
    n = decimal(results.get("n_background_signal_region"), 0)
    return f"The signal region, {region}, expects {n} background events."


def _image_caption(results: Results) -> str:
    shares = []
    for kind, images in (results.get("average_images") or {}).items():
        for process in ("signal", "background"):
            image = np.array(images[process][0], dtype=float)
            x = (np.arange(len(image)) + 0.5) * 2 / len(image) - 1
            core = image[np.hypot(x[:, None], x) < 0.2].sum() / (image.sum() or math.nan)
            shares.append(f"{percent(round(core, 2))} ({process}, {kind})")
    text = "Share of the intensity of the leading jet within 0.2 of its axis"
    return f"{text}: {', '.join(shares) or 'no images'}."


def _ranking_caption(results: Results) -> str:
    first = [
        f"{one['method']}, {STRENGTH} = {one['s_over_sqrt_b']:g}: {one['ranking']['names'][0]}"
        for one in results.get("interpretations", ())
    ]
    return f"Of the largest mean absolute attribution: {'; '.join(first) or 'none'}."


def _maps_caption(results: Results) -> str:
    found = [one for one in results.get("interpretations", ()) if "maps" in one]
    error = max((one["largest_error"] for one in found), default=math.nan)
    return f"In each event attributions add up to the logit within {error:.2g}."


CAPTIONS: dict[str, Callable[[Results], str]] = {
    "significance": _significance_caption,
    "reach": _reach_caption,
    "auc": _auc_caption,
    "roc_curves": _roc_caption,
    "learning_curves": _learning_caption,
    "accuracy": _accuracy_caption,
    "mass_spectrum": _mass_caption,
    "average_images": _image_caption,
    "ranking": _ranking_caption,
    "maps": _maps_caption,
}
