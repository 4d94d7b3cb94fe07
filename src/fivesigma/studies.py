"""Grids of trainings: samples in, one record per task out, resumable.

The record of a task lies in a file named by the hash of all that decides it, so a second run does
only what is missing, and killing a run loses at most the tasks in flight. Tasks run on Dask: a
local cluster, or one that the site provides; what a worker had in hand when it was lost goes to
another. A task that fails is told of, and tried again by the next run; it does not stop the others.
"""

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from .arms import build
from .configuration import Study
from .plan import Plan
from .projection import Projection
from .projection_plan import Prepared, prepare_projection, projection_tasks
from .projections import ProjectionTask
from .samples import Missing, Report, Samples, prepare
from .searches import SearchTask
from .store import cores
from .tasks import Pretraining, Task
from .writing import write_json

__all__ = ["Projected", "Run", "project", "run"]

Job: TypeAlias = Task | SearchTask | Pretraining | ProjectionTask

# A terminal interrupts all processes; the first alone is to know, which ends the others.
DEAF = """
import multiprocessing, signal
if multiprocessing.parent_process():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
"""
# Dask has workers give memory back to the system at once; a training asks for the same memory in
# every step, and would spend half of its time on page faults.
WORKERS = {
    "logging.distributed": "critical",
    "distributed.worker.preload": [DEAF],
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MALLOC_TRIM_THRESHOLD_": 2**30,
        "MALLOC_MMAP_THRESHOLD_": 2**30,
    },
}


@dataclass(frozen=True)
class Run:
    """What a study made."""

    study: Study
    """Its configuration."""
    samples: Samples
    """Its events."""
    records: tuple[dict[str, Any], ...]
    """One per task that is done, in the order of the grid, with the task itself."""
    pretraining: tuple[dict[str, Any], ...]
    """What was learnt before, with names."""
    failures: tuple[dict[str, str], ...]
    """Tasks that failed: what they are, and the error."""


@dataclass(frozen=True)
class Projected:
    """What a projection made."""

    projection: Projection
    """Its configuration."""
    prepared: Prepared
    """Its events."""
    records: tuple[dict[str, Any], ...]
    """One per task that is done, in the order of the grid, with the task itself."""
    failures: tuple[dict[str, str], ...]
    """Tasks that failed: what they are, and the error."""


def run(
    study: Study,
    *,
    out: Path,
    store: Path,
    workers: int = 0,
    scheduler: str | None = None,
    missing: Missing = "run",
    report: Report,
) -> Run:
    """Do what is missing of a study.

    Args:
        study: Configuration.
        out: Folder of the study; records are kept in out/records.
        store: Folder of the samples and of the pretrained networks.
        workers: Processes for generation and training; 0 for one per core.
        scheduler: Address of a Dask scheduler; None for a local cluster.
        missing: Whether tasks without a record are run, or left and told of among the failures;
            events that are not there are then an error.
        report: Told about progress.

    Raises:
        ValueError: Something in the study does not fit, or no task can be done.
    """
    workers = workers or cores()
    for arm in study.arms:
        build(arm)
    samples = prepare(study, store=store, workers=workers, report=report, missing=missing)
    plan = Plan(study, samples, store, report)
    tasks: Sequence[Task | SearchTask] = plan.searches() if study.search else plan.tasks()
    pretraining = plan.pretraining()
    crew = Crew(out / "records", workers, scheduler, report)
    failures = _do(crew, tasks, pretraining) if missing == "run" else _left(crew, tasks)
    done = _done(crew, tasks, failures)
    learnt = [{"name": p.title, **record} for p in pretraining if (record := crew.record(p))]
    return Run(study, samples, done, tuple(learnt), tuple(failures))


def project(
    projection: Projection,
    *,
    out: Path,
    store: Path,
    workers: int = 0,
    scheduler: str | None = None,
    missing: Missing = "run",
    report: Report,
) -> Projected:
    """Do what is missing of a projection; as `run`."""
    workers = workers or cores()
    how: Any = {"store": store, "workers": workers, "report": report, "missing": missing}
    prepared = prepare_projection(projection, **how)
    tasks = projection_tasks(projection, prepared)
    crew = Crew(out / "records", workers, scheduler, report)
    failures = crew.do("train", tasks) if missing == "run" else _left(crew, tasks)
    done = _done(crew, tasks, failures)
    return Projected(projection, prepared, done, tuple(failures))


def _done(
    crew: "Crew", tasks: Sequence[Job], failures: list[dict[str, str]]
) -> tuple[dict[str, Any], ...]:
    """Records with their tasks.

    Raises:
        ValueError: There is none; the first failure is named.
    """
    done = [{"task": task, **record} for task in tasks if (record := crew.record(task))]
    if not done:
        raise ValueError(f"{failures[0]['task']}: {failures[0]['error']}")
    return tuple(done)


def _do(
    crew: "Crew", tasks: Sequence[Task | SearchTask], pretraining: Sequence[Pretraining]
) -> list[dict[str, str]]:
    """Do what is missing; returns what failed."""
    needed = {_source(task) for task in tasks if crew.record(task) is None}
    needed |= {p.base().path for p in pretraining if p.source.meta and p.path in needed}
    first = [p for p in pretraining if p.path in needed]
    failures = crew.do("pretrain", [p for p in first if not p.source.meta], again=_lost)
    failures += crew.do("meta-train", [p for p in first if p.source.meta], again=_lost)
    searching = any(isinstance(task, SearchTask) for task in tasks)
    return failures + crew.do("search" if searching else "train", tasks)


def _source(task: Task | SearchTask) -> Path | None:
    return task.task.source if isinstance(task, SearchTask) else task.source


def _lost(task: Job) -> bool:
    """Whether the file of a pretrained network is not there, though its record may be."""
    return isinstance(task, Pretraining) and not task.path.exists()


def _left(crew: "Crew", tasks: Sequence[Job]) -> list[dict[str, str]]:
    """What is not done yet."""
    n = sum(crew.record(task) is None for task in tasks)
    return [{"task": f"{n} of {len(tasks)} tasks", "error": "not run yet"}] * (n > 0)


@dataclass(frozen=True)
class Crew:
    """Workers, and the records of what they did."""

    records: Path
    workers: int
    scheduler: str | None
    report: Report

    def record(self, task: Job) -> dict[str, Any] | None:
        """The record of a task; None if it is not done."""
        path = self._path(task)
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        whole = isinstance(content, dict) and content.get("hash") == path.stem
        return content if whole else None

    def do(self, stage: str, tasks: Sequence[Job], *, again: Any = None) -> list[dict[str, str]]:
        """Do what is missing; returns what failed."""
        missing = [t for t in tasks if self.record(t) is None or (again and again(t))]
        if tasks:
            self.report(stage, len(tasks) - len(missing), len(tasks), "")
        if not missing:
            return []
        with dask.config.set(WORKERS), ExitStack() as stack:
            cluster = self.scheduler or stack.enter_context(
                LocalCluster(
                    n_workers=min(self.workers, len(missing)),
                    threads_per_worker=1,
                    dashboard_address=":0",  # any free port; None would insist on 8787
                    silence_logs=logging.CRITICAL + 1,  # of what an interrupt closes, too
                )
            )
            client = stack.enter_context(Client(cluster))
            return self._gather(client, stage, missing, len(tasks))

    def _gather(
        self, client: Client, stage: str, missing: list[Job], total: int
    ) -> list[dict[str, str]]:
        done, failures = total - len(missing), []

        def tell(note: str) -> None:
            self.report(stage, done, total, note)

        client.subscribe_topic("epochs", lambda event: tell(event[1]))
        futures = {
            client.submit(_run, task, key=f"{stage}-{task.hash}", priority=-i, pure=False): task
            for i, task in enumerate(missing)
        }
        for future in as_completed(futures):
            task = futures.pop(future)
            if error := self._kept(task, future):
                failures.append({"task": task.title, "error": " ".join(str(error).split())})
            else:
                done += 1
            future.release()  # else it is done again if the worker that keeps its result is lost
            tell(f"{task.title}: failed, {failures[-1]['error']}" if error else "")
        return failures

    def _kept(self, task: Job, future: Future) -> BaseException | None:
        """Write the record of a task that is done; returns why there is none."""
        error: BaseException | None = future.exception()
        if isinstance(error, KilledWorker):
            return OSError("killed again and again (out of memory?)")
        if error:
            return error
        try:
            write_json(self._path(task), future.result())
        except ValueError as wrong:
            return ValueError(f"expected a record of finite numbers: {wrong}")
        return None

    def _path(self, task: Job) -> Path:
        return self.records / f"{task.hash}.json"


def _run(task: Job) -> dict[str, Any]:
    return task.run()
