"""What kills a worker; alone in a file, as each worker has to read it."""

import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from distributed import WorkerPlugin

__all__ = ["Fatal"]


@dataclass
class Fatal(WorkerPlugin):
    """Writes down which process begins which task, and kills one of them, once, in a task."""

    folder: Path
    """Where that is written."""
    records: Path
    """Two of these have to be there."""
    name: str = "fatal"

    def setup(self, worker):
        """Nothing is kept of the worker."""

    def transition(self, key, _start, finish):
        """A task of this process is in another state."""
        if finish != "executing":
            return
        task, pid = key.split("-")[1], os.getpid()
        with (self.folder / "begun.txt").open("a") as file:
            file.write(f"{task} {pid}\n")
        done = [path.stem for path in self.records.glob("*.json")]
        if len(done) >= 2:
            with suppress(FileExistsError), (self.folder / "killed.json").open("x") as file:
                json.dump({"task": task, "pid": pid, "done": done}, file)
                Timer(0.05, os.kill, (pid, signal.SIGKILL)).start()

    def begun(self):
        """Tasks and processes, in order."""
        lines = (self.folder / "begun.txt").read_text().splitlines()
        return [(task, int(pid)) for task, pid in map(str.split, lines)]

    def killed(self):
        """The task and the process that was killed in it, and the tasks with a record then."""
        return json.loads((self.folder / "killed.json").read_text())
