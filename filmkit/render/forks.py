"""Fork the process of a command for what runs scenes, instead of loading all anew.

A command has just loaded the project, and ends when its films are made. What runs for long, such as
a notebook or the studio, starts processes that load the code as it is then
(:mod:`filmkit.render.clean_process`).
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from mmap import mmap
from pathlib import Path
from typing import NoReturn

import click

from extract.support.interrupts import ENDING_SIGNALS
from filmkit.core.playing import hearing_of_beats
from filmkit.render.digests import project_digest

__all__ = ["allow_forks", "can_fork", "going_on_in_fork", "load_kit"]

USED = "filmkit.render.manim_config", "filmkit.pictures.stage", "filmkit.core.card"
"""What runs any scene. It imports Manim and the kit, and draws nothing: Pango would keep a thread
for its fonts, and a fork would wait for that forever."""

PAGE = 4096  # bytes
HAS_ENDED = "."  # no beat is called so

_begun = ""


def allow_forks() -> None:
    """Allow forks of this process, which now begins to load the project."""
    global _begun
    _begun = project_digest()


def can_fork() -> bool:
    """Return whether this process may be forked.

    It is allowed, nothing of the project was edited since then, and no other thread runs, also none
    of a library: a fork has this thread alone, and would wait for the others. That is known on
    Linux only.
    """
    if not _begun or sys.platform != "linux":
        return False
    threads = [*Path("/proc/self/task").iterdir()]
    return len(threads) == 1 and project_digest() == _begun


def load_kit() -> None:
    """Load what runs scenes, once for this process and its forks.

    Nothing of it becomes garbage. To look for it meanwhile would take a tenth of the time; to do so
    later would copy this memory to each fork.
    """
    gc.disable()
    try:
        for name in USED:
            import_module(name)
        gc.freeze()
    finally:
        gc.enable()


@contextmanager
def going_on_in_fork() -> Iterator[None]:
    """Go on in a fork of this process, if it may be forked; this one waits until that has ended.

    So a scene that ends the process that runs it, by a call or by a crash, does not end the command
    without a word.

    Raises
    ------
    click.exceptions.Exit
        In this process, with the exit code of the fork.
    RenderError
        The same, if the fork was ended by a scene; it names the beat.
    """
    if not can_fork():
        yield
        return
    shared = mmap(-1, PAGE)  # the beat that plays, on a line, or that the fork has ended
    # A signal waits until both processes know what to do with it.
    signals = {signal.SIGCHLD, signal.SIGINT, *ENDING_SIGNALS}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    fork = os.fork()
    if fork:
        code = _wait_for(fork)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _end_with(code, shared)
    # A terminal sends Ctrl-C to both, and this process hears of it from the other one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def note(line: str) -> None:
        shared[:] = f"{line}\n".encode()[:PAGE].ljust(PAGE)

    atexit.register(note, HAS_ENDED)
    with hearing_of_beats(note):
        yield


def _wait_for(fork: int) -> int:
    """Wait until a fork has ended, and return its exit code.

    The signals that end this process end the fork instead. All of them are blocked: one that came
    to a handler just before this process began to wait would be heard only after that.
    """
    ending = (signal.SIGINT, *ENDING_SIGNALS)
    heard = {number for number in ending if signal.getsignal(number) is not signal.SIG_IGN}
    while not (ended := os.waitpid(fork, os.WNOHANG))[0]:
        if signal.sigwait({signal.SIGCHLD, *heard}) in heard:
            os.kill(fork, signal.SIGTERM)
    return os.waitstatus_to_exitcode(ended[1])


def _end_with(code: int, shared: mmap) -> NoReturn:
    """Raise what says how a fork has ended."""
    from filmkit.render.errors import RenderError, ended_early  # loads NumPy, unlike --help

    line = shared.readline().decode().strip()
    if line == HAS_ENDED:
        raise click.exceptions.Exit(code)
    raise RenderError(f"{line and f'in beat {line}: '}{ended_early(code)}")
