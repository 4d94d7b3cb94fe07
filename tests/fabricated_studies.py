"""Studies of the fabricated events, run in this process, and what is made of them."""

from functools import partial

from distributed import LocalCluster
from fabricated import CWOLA

from fivesigma.arms import build

IN_PROCESS = partial(LocalCluster, processes=False)


def names(made):
    return [record["task"].arm.name for record in made.records]


def times(folder, *patterns):
    paths = [path for pattern in patterns for path in folder.rglob(pattern)]
    return {path: path.stat().st_mtime_ns for path in paths}


SEEN = build(CWOLA).seen
