"""Progress displays; one display covers a whole run."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from extract.support.plain_text import escaped
from extract.support.printing import echo

__all__ = ["Meter", "make_meter"]


class Meter:
    """Progress display; this base class shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def describe(self, text: str) -> None:
        """Set the text that names the current work."""

    def advance(self, steps: int) -> None:
        """Add to the number of finished steps; the number may be negative."""


class BarMeter(Meter):
    """Progress bar with the remaining time, for a terminal."""

    def __init__(self, total: int, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._bar.stop()

    def describe(self, text: str) -> None:
        self._bar.update(self._task, description=escaped(text))

    def advance(self, steps: int) -> None:
        self._bar.advance(self._task, steps)


class LineMeter(Meter):
    """Prints a line at every tenth of the total, for logs."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._text = ""
        self._start = time.monotonic()

    def describe(self, text: str) -> None:
        self._text = text

    def advance(self, steps: int) -> None:
        tenth = self._done * 10 // self._total
        self._done += steps
        if self._done * 10 // self._total > tenth:
            elapsed = time.monotonic() - self._start
            left = round(elapsed * (self._total - self._done) / self._done)
            percent = self._done * 100 // self._total
            echo(f"{self._text}: {percent} %, {left // 60}:{left % 60:02} left", err=True)


def make_meter(total: int, *, quiet: bool) -> Meter:
    """Return a progress display: a bar on a terminal, lines elsewhere.

    Parameters
    ----------
    total
        Number of steps of the whole run.
    quiet
        Whether to show nothing.
    """
    if quiet or total == 0:
        return Meter()
    console = Console(stderr=True)
    return BarMeter(total, console) if console.is_terminal else LineMeter(total)
