"""From the records of a search to its part of results.json."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from .configuration import Arm
from .findings import ANY, Null, power
from .hunts import Hunt, sentence
from .searches import windows
from .studies import Run

__all__ = ["searched"]

Sets: TypeAlias = list[dict[str, Any]]


def searched(run: Run) -> dict[str, Any]:
    """By method: searches without a signal, with one in each target, in data; and in words."""
    found, hunts = _searches(run), _hunts(run)
    told = [_told(name, one) for name, one in found.items()]
    told += [sentence(name, one) for name, one in hunts.items()] + _best(found)
    return {"search": found, "summary": told} | ({"hunt": hunts} if hunts else {})


def _searches(run: Run) -> dict[str, Any]:
    """Of each method and estimate of the background."""
    rng, search = np.random.default_rng(run.study.seed), run.study.search
    assert search is not None
    found = {}
    for arm in run.study.arms:
        without, by_target, data = _sets(run, arm)
        null = {how: Null(without, how) for how in search.background}
        for how in search.background:
            powers = {target: power(sets, null[how], rng=rng) for target, sets in by_target.items()}
            numbers = {"null": null[how].summary(), "power": powers}
            if data:
                numbers["data"] = null[how].of_data(data[0])
            found[f"{arm.name}, {how}"] = numbers
    return found


def _sets(run: Run, arm: Arm) -> tuple[Sets, dict[str, Sets], Sets]:
    """Data sets of a method: without a signal; by target, with and without; not simulated."""
    own = [record for record in run.records if record["task"].task.arm == arm]
    simulated = [record for record in own if record["task"].data is None]
    sets = [(r["task"].task.target, one) for r in simulated for one in r["sets"]]
    targets = dict.fromkeys(t for t, one in sets if one["s_over_sqrt_b"] > 0)
    return (
        [one for _, one in sets if one["s_over_sqrt_b"] == 0],
        {target: [one for t, one in sets if t == target] for target in targets},
        [one for r in own if r["task"].data for one in r["sets"]],
    )


def _hunts(run: Run) -> dict[str, Any]:
    """Of each method; none where no windows are asked for."""
    assert run.study.search is not None
    if run.study.search.windows is None:
        return {}
    found = {}
    for arm in run.study.arms:
        without, by_target, data = _sets(run, arm)
        hunt = Hunt(without, windows(run.study.search.windows))
        powers = {target: hunt.power(sets) for target, sets in by_target.items()}
        found[arm.name] = {"null": hunt.summary(), "power": powers}
        if data:
            found[arm.name]["data"] = hunt.of_data(data[0])
    return found


def _told(name: str, found: dict[str, Any]) -> str:
    """What a method finds in data, claims without a signal, and from which strength on it finds."""
    null, text = found["null"], f"{name}: "
    if "data" in found:
        whole = found["data"]["calibrated"]["shape"]
        text += (
            f"in the data {_word(whole['z'])}, {whole['z']:.2f} sigma calibrated by "
            f"{whole['n_null']} data sets without a signal ({whole['origin']}); "
        )
    shape = null["calibrated"]["shape"]
    text += (
        f"{null['n_sets']} data sets without a signal have calibrated p-values uniform with "
        f"p = {shape['ks_p']:.2g}, the largest local significance is "
        f"{null['local']['shape']['z_max']:.1f}"
    )
    if null["naive_z"]:
        worst = max(null["naive_z"].values(), key=lambda z: z["median"])
        text += f", where the common recipe claims {worst['median']:.1f} (median)"
    reaches = [
        f"{target} from S/sqrt(B) = {r['value']:.2f} on"
        for target, row in found["power"].items()
        if (r := row["shape"]["reach"]["calibrated"]["5"])["value"] is not None
    ]
    if found["power"]:
        text += f"; 5 sigma calibrated: {', '.join(reaches) or 'beyond the grid'}"
    return f"{text}."


def _best(found: Mapping[str, Any]) -> list[str]:
    """Which of several methods is best in the data by the measure that knows no truth."""
    measured = {name: one["data"]["argos"][ANY] for name, one in found.items() if "data" in one}
    if len(measured) < 2:
        return []
    name = max(measured, key=lambda name: measured[name])
    null = found[name]["null"]["argos"][ANY]
    text = (
        f"By the ARGOS measure, which knows no truth, the best method in the data is {name}, with "
        f"{measured[name]:.3f}; without a signal it has {null['median']:.3f} (median, 68 % within "
        f"{null['low']:.3f} and {null['high']:.3f})"
    )
    reached = measured[name] <= null["high"]
    return [f"{text}, so that this says nothing." if reached else f"{text}."]


def _word(z: float) -> str:
    """A significance in a word."""
    words = ((5.0, "an excess"), (3.0, "evidence of an excess"), (2.0, "a hint of an excess"))
    return next((word for least, word in words if z >= least), "no excess")
