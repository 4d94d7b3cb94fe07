"""From the records of a search to its part of results.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .arms import build
from .calibration import calibrate
from .configuration import Arm
from .findings import ANY, Null, measures, power, quantiles
from .hunts import Hunt, sentence
from .resemblance import Resemblance, resemblance_words
from .searches import windows
from .studies import Run
from .tasks import REGIONS

__all__ = ["searched"]

Sets: TypeAlias = list[dict[str, Any]]
LEAST = 40
MANY = 0.2
SHAPE = "shape"


@dataclass(frozen=True)
class Searches:
    """By one method: in data sets without a signal, with one, and in data that are not simulated.

    A method that starts from another network for each target is one for each target.
    """

    arm: str
    """Name of the method."""
    name: str
    """Name of the method, and the signal that its network does not know."""
    without: Sets
    """Without a signal."""
    by_target: dict[str, Sets]
    """With a signal, by its name."""
    data: Sets
    """Not simulated: one or none."""
    taught: bool
    """Whether the method has learnt from other signals before."""


def searched(run: Run) -> dict[str, Any]:
    """By method: searches without a signal, with one in each target, in data; and in words."""
    search = run.study.search
    assert search is not None
    groups = [group for arm in run.study.arms for group in _groups(run, arm)]
    failures = [*run.failures, *_failed(groups)]
    groups = [group for group in groups if len(group.without) >= LEAST]
    if not groups:
        raise ValueError(f"{failures[0]['task']}: {failures[0]['error']}")
    nulls = {
        f"{group.name}, {how}": (group, Null(group.without, how, taught=group.taught))
        for group in groups
        for how in search.background
    }
    rng = np.random.default_rng(run.study.seed)
    found = {name: _found(*pair, rng=rng) for name, pair in nulls.items()}
    hunts = {group.name: _hunted(run, group) for group in groups if search.windows}
    known = {group.name: _resembled(group) for group in groups if "shares" in group.without[0]}
    told = [_told(name, one) for name, one in found.items()]
    told += [sentence(name, one) for name, one in hunts.items()]
    told += [resemblance_words(name, one) for name, one in known.items() if "data" in one]
    told += _best(
        {name: (null, group.data[0]) for name, (group, null) in nulls.items() if group.data}
    )
    shared = _shared(run)
    results = {"search": found, "summary": [*told, _of_shared(shared)], "shared": shared}
    extra = {"hunt": hunts, "known": known}
    return results | {"failures": failures} | {key: one for key, one in extra.items() if one}


def _groups(run: Run, arm: Arm) -> list[Searches]:
    """Searches by a method, all together or one for each target."""
    own = [record for record in run.records if record["task"].task.arm == arm]
    simulated = [
        (r["task"].task.target, one) for r in own if r["task"].data is None for one in r["sets"]
    ]
    without = [(target, one) for target, one in simulated if one["s_over_sqrt_b"] == 0]
    with_one = [(target, one) for target, one in simulated if one["s_over_sqrt_b"] > 0]
    data = [one for r in own if r["task"].data for one in r["sets"]]
    taught = build(arm).strategy.source != "none"
    calibrated = list(dict.fromkeys(target for target, _ in without))
    targets = list(dict.fromkeys(target for target, _ in with_one)) or calibrated

    def of(pairs: Sequence[tuple[str, dict[str, Any]]], target: str) -> Sets:
        return [one for name, one in pairs if name == target]

    if len(calibrated) < 2:
        powers = {target: sets for target in targets if (sets := of(with_one, target))}
        return [Searches(arm.name, arm.name, [one for _, one in without], powers, data, taught)]
    return [
        Searches(
            arm.name,
            f"{arm.name} without {target}",
            of(without, target),
            {target: sets} if (sets := of(with_one, target)) else {},
            data if target == calibrated[0] else [],
            taught,
        )
        for target in calibrated
    ]


def _failed(groups: list[Searches]) -> list[dict[str, str]]:
    """Data sets in which nothing was found out, and methods with too few; drops the former."""
    failures = []
    for group in groups:
        for name, sets in {"no signal": group.without, **group.by_target}.items():
            failed = [one["failed"] for one in sets if "failed" in one]
            if failed:
                task = f"{group.name}, {name}: {len(failed)} of {len(sets)} data sets"
                failures.append({"task": task, "error": failed[0]})
                sets[:] = [one for one in sets if "failed" not in one]
        if (n := len(group.without)) < LEAST:
            error = f"expected {LEAST} data sets without a signal to calibrate with; got {n}"
            failures.append({"task": group.name, "error": error})
    return failures


def _found(group: Searches, null: Null, *, rng: np.random.Generator) -> dict[str, Any]:
    """Of a method and an estimate of the background."""
    powers = {
        target: power(sets, null, rng=rng) for target, sets in group.by_target.items() if sets
    }
    numbers: dict[str, Any] = {
        "method": f"{group.arm}, {null.background}",
        "background": null.background,
    }
    numbers |= {"null": null.summary(), "power": powers}
    return numbers | ({"data": null.of_data(group.data[0])} if group.data else {})


def _hunted(run: Run, group: Searches) -> dict[str, Any]:
    assert run.study.search is not None
    assert run.study.search.windows is not None
    hunt = Hunt(group.without, windows(run.study.search.windows))
    powers = {target: hunt.power(sets) for target, sets in group.by_target.items() if sets}
    found = {"null": hunt.summary(), "power": powers}
    return found | ({"data": hunt.of_data(group.data[0])} if group.data else {})


def _resembled(group: Searches) -> dict[str, Any]:
    """Which of the known signals the data sets of a method look like."""
    null = Resemblance(group.without)
    powers = {target: null.power(sets) for target, sets in group.by_target.items() if sets}
    found = {"null": null.summary(), "power": powers}
    return found | ({"data": null.of_data(group.data[0])} if group.data else {})


def _told(name: str, found: dict[str, Any]) -> str:
    """What a method finds in data, claims without a signal, and from which strength on it finds."""
    null, text = found["null"], f"{name}: "
    if "data" in found:
        text += _told_of_data(found)
    shape = null["calibrated"][SHAPE]
    text += (
        f"{null['n_sets']} data sets without a signal have calibrated p-values uniform with "
        f"p = {shape['ks_p']:.2g}, the largest local significance is "
        f"{null['local'][SHAPE]['z_max']:.1f}"
    )
    if null["naive_z"]:
        worst = max(null["naive_z"].values(), key=lambda z: z["median"])
        text += f", where the common recipe claims {worst['median']:.1f} (median)"
    reaches = [
        f"{target} from S/sqrt(B) = {r['value']:.2f} on"
        for target, row in found["power"].items()
        if (r := row[SHAPE]["reach"]["calibrated"]["5"])["value"] is not None
    ]
    if found["power"]:
        text += f"; 5 sigma calibrated: {', '.join(reaches) or 'beyond the grid'}"
    return f"{text}."


def _told_of_data(found: Mapping[str, Any]) -> str:
    whole = found["data"]["calibrated"][SHAPE]
    text = (
        f"in the data {_word(whole['z'])}, {whole['z']:.2f} sigma calibrated by "
        f"{whole['n_null']} data sets without a signal ({whole['origin']})"
    )
    if found["background"] == "template":
        text += ", if the simulation describes the data"
    return f"{text}{_fault(found['data']['doctor'])}; "


def _fault(doctor: Sequence[Mapping[str, Any]]) -> str:
    """The first fault of a search, and what it means."""
    words = {one["check"]: one["words"] for one in doctor}
    faults = [one["check"] for one in doctor if one["verdict"] == "fault"]
    if not faults:
        return ""
    eps = faults[0].removeprefix("simulation behind ")
    if further := words.get(f"excess beyond the sidebands {eps}"):
        meaning = f": a simulation that is wrong, or a signal in the sidebands; {further}"
    else:
        meaning = ", which makes it wrong"
    return f", but {words[faults[0]]}{meaning}"


def _best(searches: Mapping[str, tuple[Null, dict[str, Any]]]) -> list[str]:
    """Which of several methods is best in the data, and the smallest of all p-values.

    To take the best of several is a choice made in the data, so both stand beside the best of the
    same methods in each data set without a signal.
    """
    if len(searches) < 2:
        return []
    argos = {name: _argos(null, one) for name, (null, one) in searches.items()}
    p = [null.local(one)[SHAPE] for null, one in searches.values()]
    nulls = [null for null, _ in searches.values()]
    rows = [{one["repeat"]: i for i, one in enumerate(null.records)} for null in nulls]
    kept = [[row[r] for r in sorted(set.intersection(*map(set, rows)))] for row in rows]
    pairs = list(zip(nulls, kept, strict=True))
    largest = [[_argos(null, null.records[i]) for i in here] for null, here in pairs]
    usual = quantiles(np.max(largest, axis=0))
    chosen = calibrate(min(p), np.min([null.p[SHAPE][here] for null, here in pairs], axis=0))
    best = max(argos, key=lambda name: argos[name])
    nothing = ", so that this says nothing" if argos[best] <= usual["high"] else ""
    return [
        f"By the ARGOS measure, which knows no truth, the best of {len(searches)} methods in the "
        f"data is {best}, with {argos[best]:.3f}; without a signal the best has "
        f"{usual['median']:.3f} (median, 68 % within {usual['low']:.3f} and {usual['high']:.3f})"
        f"{nothing}. The smallest p-value of all of them is {chosen.z:.2f} sigma, calibrated by "
        f"the smallest of all in data sets without a signal ({chosen.origin})."
    ]


def _argos(null: Null, record: Mapping[str, Any]) -> float:
    return measures(null.outcome(record), record["n_events"])[ANY]


def _shared(run: Run) -> dict[str, float]:
    """By region: the share of the simulated background that each data set takes."""
    B, held_out = run.samples.n_background(run.study), run.study.held_out.background
    inside, outside = (run.samples.background.passed(region) for region in REGIONS)
    taken = {REGIONS[0]: B / (inside - held_out), REGIONS[1]: B / inside}
    return taken if outside else {REGIONS[0]: taken[REGIONS[0]]}


def _of_shared(shared: Mapping[str, float]) -> str:
    most = max(shared.values())
    text = f"Each data set takes up to {100 * most:.0f} % of the simulated background events"
    if most <= MANY:
        return f"{text}."
    return (
        f"{text}, so that data sets share events and vary less than data do: significances "
        "calibrated by them are too large, and more simulated events make that smaller."
    )


def _word(z: float) -> str:
    """A significance in a word."""
    words = ((5.0, "an excess"), (3.0, "evidence of an excess"), (2.0, "a hint of an excess"))
    return next((word for least, word in words if z >= least), "no excess")
