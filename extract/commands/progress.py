"""Show what takes long, and what it takes."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from extract.support.console import Console, echo, tolerating_closed_output
from extract.trace import Trace

__all__ = ["TaskProgress", "peak_memory", "wait_quietly"]

_SECONDS_BETWEEN_LINES = 20.0
"""How often a task that takes long prints a line where there is no terminal."""


class TaskProgress:
    """A bar for each task on stderr; lines instead if stderr is not a terminal."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        console = Console(stderr=True)
        self._bars = Progress(*columns, *times, console=console) if console.is_terminal else None
        self._task, self._name, self._unfinished = TaskID(0), "", False
        self._began = self._printed = 0.0

    def __enter__(self) -> TaskProgress:
        return self

    def __exit__(self, *error: object) -> None:
        with tolerating_closed_output(sys.stderr):
            if self._bars is not None:
                self._bars.stop()

    def report(self, task: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a task are finished."""
        is_new = task != self._name or not self._unfinished
        self._name, self._unfinished = task, done < total
        if self._bars is None:
            self._print(is_new, done, total)
            return
        with tolerating_closed_output(sys.stderr):
            # Not before: a bar of the hub's client may be there while a model is downloaded.
            self._bars.start()
            if is_new:
                self._task = self._bars.add_task(task, total=total)
            self._bars.update(self._task, completed=done, total=total)

    def save(self, trace: Trace, file: Path) -> None:
        """Write a trace, and show that it is being written."""
        self.report("saving", 0, 1)
        trace.save(file)
        self.report("saving", 1, 1)

    def _print(self, is_new: bool, done: int, total: int) -> None:
        """Print a line for a new task, and others now and then while it takes long."""
        now = time.monotonic()
        if is_new:
            self._began = self._printed = now
            echo(self._name, err=True)
        elif now - self._printed >= _SECONDS_BETWEEN_LINES or (
            not self._unfinished and self._printed > self._began
        ):
            self._printed = now
            echo(f"{self._name}: {done} of {total} after {now - self._began:.0f} s", err=True)


def wait_quietly() -> None:
    """Let threads of torch not spin while they wait: on a busy machine they slow each other."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux the value of getrusage also includes the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
