"""The figures of a study: one function a figure, from the records of results.json.

Each takes the content of results.json, even without trainings, and opens no window.
"""

from collections.abc import Callable

from matplotlib.figure import Figure

from .attributions import attribution_maps, importances
from .events import average_images, mass_spectrum
from .methods import methods
from .projections import (
    correlations,
    losses_by_epoch,
    scanned_significance,
    significance_by_threshold,
    yields_by_threshold,
)
from .search import data_spectrum, fakes, hunt, known_signals, null_p_values, power
from .strengths import auc, reach, significance
from .trainings import accuracy, learning_curves, roc_curves
from ..series import Results, all_strengths, series

__all__ = [
    "ATTRIBUTION_FIGURES",
    "DATA_FIGURES",
    "FIGURES",
    "HUNT_FIGURES",
    "KNOWN_FIGURES",
    "PROJECTION_FIGURES",
    "SEARCH_FIGURES",
    "Figure",
]


def _significance(results: Results) -> Figure:
    """Z_A after the cut: against S/sqrt(B) before it, or of methods at the only one."""
    strengths = all_strengths(series(results))
    return methods(results, strengths[0]) if len(strengths) == 1 else significance(results)


FIGURES: dict[str, Callable[[Results], Figure]] = {
    "significance": _significance,
    "reach": reach,
    "auc": auc,
    "roc_curves": roc_curves,
    "learning_curves": learning_curves,
    "accuracy": accuracy,
    "mass_spectrum": mass_spectrum,
    "average_images": average_images,
}

SEARCH_FIGURES: dict[str, Callable[[Results], Figure]] = {
    "null_p_values": null_p_values,
    "fakes": fakes,
    "power": power,
    "mass_spectrum": mass_spectrum,
}

ATTRIBUTION_FIGURES: dict[str, Callable[[Results], Figure]] = {
    "ranking": importances,
    "maps": attribution_maps,
}
"""By the part of an interpretation that they show."""

DATA_FIGURES: dict[str, Callable[[Results], Figure]] = {"data_spectrum": data_spectrum}
"""Of events that are not simulated."""

HUNT_FIGURES: dict[str, Callable[[Results], Figure]] = {"hunt": hunt}

KNOWN_FIGURES: dict[str, Callable[[Results], Figure]] = {"known_signals": known_signals}
"""Of methods that fit what the signal is made of."""

PROJECTION_FIGURES: dict[str, Callable[[Results], Figure]] = {
    "significance_by_threshold": significance_by_threshold,
    "yields_by_threshold": yields_by_threshold,
    "scanned_significance": scanned_significance,
    "losses_by_epoch": losses_by_epoch,
    "correlations": correlations,
}
