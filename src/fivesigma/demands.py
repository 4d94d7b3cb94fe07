"""What a study asks of its regions and events, before and while they are simulated for it."""

import math
from collections.abc import Mapping, Sequence

from .background import Spectrum
from .benchmarks import Benchmark
from .configuration import Search, Study
from .sample import Sample
from .searches import windows
from .store import Recipe
from .tasks import REGIONS
from .windows import within

__all__ = [
    *("check_recipes", "check_windows"),
    *("enough_expected", "enough_held_out", "enough_observed", "spectrum_of"),
]


def check_recipes(signals: Sequence[Recipe], backgrounds: Sequence[Recipe]) -> None:
    """See that no sample is both signal and background, or showers hard events again.

    Raises:
        ValueError: if one does.
    """
    for made_by in (*signals, *backgrounds):
        if (n := made_by.process.showers) > 1:
            raise ValueError(f"showers: expected 1, as showers share hard events; got {n}")
    known = {made_by.hash for made_by in backgrounds}
    for made_by in signals:
        if made_by.hash in known:
            raise ValueError(
                f"signal: expected other events than those of the background; got the same, of "
                f"{made_by.process.name}"
            )


def enough_held_out(study: Study) -> None:
    """Ask for test events behind the tightest cut.

    Raises:
        ValueError: if it leaves less than one.
    """
    n, eps = study.held_out.background, min(study.grid.eps_b)
    if round(n * eps, 9) < 1:
        raise ValueError(
            f"held_out.background: expected {math.ceil(round(1 / eps, 9))} events or more, of "
            f"which a cut at eps_b = {eps:g} leaves one; got {n}"
        )


def check_windows(search: Search, benchmark: Benchmark) -> None:
    """Ask for windows within the regions.

    Raises:
        ValueError: if one is beyond them, or there are too many.
    """
    if search.windows is None:
        return
    regions = map(benchmark.selection.region, REGIONS)
    try:
        within(search.windows.range, [window for region in regions for window in region.windows])
        windows(search.windows)
    except ValueError as error:
        raise ValueError(f"search.windows: {error}") from error


def spectrum_of(search: Search, benchmark: Benchmark) -> Spectrum | None:
    """Where a spectrum is fitted, if that is asked for.

    Raises:
        ValueError: if the signal region is not of one window.
    """
    if "spectrum" not in search.background:
        return None
    inside, sidebands = (benchmark.selection.region(name).windows for name in REGIONS)
    if len(inside) != 1:
        raise ValueError(
            f"search.background: expected a signal region of one window for spectrum; got "
            f"{len(inside)}"
        )
    return Spectrum(sidebands, inside[0], benchmark.sqrt_s)


def enough_observed(study: Study, search: Search, observed: Sample) -> None:
    """Ask a file for events in both regions.

    Raises:
        ValueError: if a region has too few.
    """
    for region, least in _least(study, search).items():
        if (got := observed.passed(region)) < least:
            cutflow = ", ".join(f"{row.cut}: {row.count}" for row in observed.cutflow)
            raise ValueError(
                f"search.data.path: expected {_words(study, search, region, least)}; got {got} "
                f"({cutflow})"
            )


def enough_expected(study: Study, search: Search, expected: Mapping[str, float]) -> None:
    """Ask the luminosity for background events, as far as their number is known.

    Args:
        study: whose cuts are made.
        search: whose folds are dealt.
        expected: background events by region.

    Raises:
        ValueError: if a region has too few.
    """
    least = _least(study, search)
    for region, n in expected.items():
        if n < least[region]:
            raise ValueError(
                f"search: expected {_words(study, search, region, least[region])}; got about "
                f"{n:.0f} background events at the luminosity of the study"
            )


def _least(study: Study, search: Search) -> dict[str, int]:
    """Events that folds and cuts need, by region."""
    k, eps = search.folds, min(study.grid.eps_b)
    behind = 0 if search.background == ["template"] else math.ceil(k / eps / 2)
    return {REGIONS[0]: 2 * k, REGIONS[1]: max(2 * k, behind)}


def _words(study: Study, search: Search, region: str, least: int) -> str:
    return (
        f"{least} events or more in the {region} for {search.folds} folds and a cut at "
        f"{100 * min(study.grid.eps_b):g} %"
    )
