"""Progress for people: a bar with rate and time left on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Display"]

LINE_EVERY = 10.0


class Display:
    """Shows how far each stage is.

    Use as a context manager and call it with (stage, done, total, note).
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._printed: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("[dim]{task.fields[note]}"),
            console=self._console,
        )

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell that `done` of `total` parts of a stage are finished."""
        if self._console.is_terminal:
            if stage not in self._bars:
                self._bars[stage] = self._progress.add_task(
                    stage, total=total, note=note, completed=done
                )
            self._progress.update(self._bars[stage], completed=done, total=total, note=note)
        else:
            self._line(stage, done, total, note)

    def _line(self, stage: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        start, first = self._started.setdefault(stage, (now, done))
        if done < total and now - self._printed.get(stage, -LINE_EVERY) < LINE_EVERY:
            return
        self._printed[stage] = now
        left = (
            f", {(now - start) / (done - first) * (total - done):.0f} s left"
            if done > first
            else ""
        )
        text = f"{stage}: {done}/{total}, {now - start:.0f} s{left}{'; ' + note if note else ''}"
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
