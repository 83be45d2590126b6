"""Start and stop processes, and hear from them. Does not import Manim, so that it loads fast."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from traceback import format_exception
from typing import Any, TypeVar

from extract.interrupts import ENDING_SIGNALS, interrupt_on_signals
from extract.printing import echo
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.render.clean_process import clean_process
from filmkit.render.errors import explain

__all__ = [
    "CLEANUP_SECONDS",
    "DONE",
    "ERROR",
    "children_ignore_ctrl_c",
    "core_count",
    "exit_text",
    "run_apart",
    "stop_with_parent",
    "stopping_with_parent",
    "telling",
]

DONE, ERROR = "done", "error"
"""Kinds of the last messages of processes that have ended by themselves."""

CLEANUP_SECONDS = 10.0
"""How long a terminated process may take to remove unfinished files."""


def core_count() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def exit_text(code: int | None) -> str:
    """Say how a process ended, from its exit code as multiprocessing has it."""
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextmanager
def children_ignore_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C and a closed terminal from processes that start inside the ``with`` block.

    They inherit that these signals are blocked; this process stops them with SIGTERM instead. A
    signal that comes meanwhile reaches this process when the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # which would unblock the signals when it starts
    terminal = {signal.SIGINT, *ENDING_SIGNALS} - {signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, terminal)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def stopping_with_parent() -> Iterator[None]:
    """Call :func:`stop_with_parent`; restore the default SIGTERM at the end of the block.

    After the block there are no unfinished files, so the process may be killed at once.
    """
    try:
        stop_with_parent()
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def stop_with_parent() -> None:
    """Make this process stop on SIGTERM or when its parent ends, and ignore Ctrl-C.

    SIGTERM raises KeyboardInterrupt, so that unfinished files are removed on the way out. Ctrl-C is
    handled by the parent alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt_on_signals()
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    """Wait until the parent process has ended, then send SIGTERM to this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


T = TypeVar("T", bound=Hashable)


def run_apart(
    function: str, calls: Mapping[T, Sequence[object]], at_once: int | None
) -> Iterator[tuple[T, dict[str, Any]]]:
    """Call a function several times, each in a process that loads the project anew.

    Parameters
    ----------
    function
        The function, as "module:name". It also takes a connection, through which it sends messages:
        JSON objects with a ``kind``, the last of them :data:`DONE` or :data:`ERROR`.
    calls
        Its other arguments in each call.
    at_once
        Maximum number of processes at a time; one per core if None.

    Yields
    ------
    key
        Which call it is.
    message
        What its process has sent; an error with a ``text`` if it ended without a last message.
    """
    ahead, running = list(calls), dict[Connection, tuple[T, BaseProcess]]()
    last: dict[T, str] = {}
    try:
        while ahead or running:
            while ahead and len(running) < (at_once or core_count()):
                call = ahead.pop(0)
                ours, theirs = multiprocessing.Pipe(duplex=False)
                # This process stops it, with SIGTERM.
                with children_ignore_ctrl_c():
                    process = clean_process(function, *calls[call], connections=[theirs])
                    process.start()
                # Only the process holds its end now, so that its death ends the connection.
                theirs.close()
                running[ours] = call, process
            for ready in wait_for([*running]):
                assert isinstance(ready, Connection)
                call, process = running[ready]
                try:
                    message = json.loads(ready.recv_bytes())
                except (EOFError, OSError):
                    del running[ready]
                    process.join()
                    if last.get(call) in (DONE, ERROR):
                        continue
                    ended = f"its process ended early ({exit_text(process.exitcode)})"
                    message = {"kind": ERROR, "text": ended}
                last[call] = message["kind"]
                if traceback := message.pop("traceback", ""):
                    echo(traceback, err=True)
                yield call, message
    finally:
        for _, process in running.values():
            process.terminate()
            process.join(CLEANUP_SECONDS)
            process.kill()


@contextmanager
def telling(messages: Connection, *, verbose: bool) -> Iterator[Callable[..., None]]:
    """Send messages to the process that has called :func:`run_apart`, in a ``with`` block.

    An error inside the block is the last message. The block ends when that process does.

    Parameters
    ----------
    messages
        The connection to it.
    verbose
        Whether that prints tracebacks.

    Yields
    ------
    Callable
        Sends a message; it takes the ``kind``, and what else there is by names.
    """

    def tell(kind: str, **content: Any) -> None:
        messages.send_bytes(json.dumps({"kind": kind, **content}).encode())

    try:
        with stopping_with_parent():
            yield tell
    except Exception as error:
        way = "".join(format_exception(error)) if verbose else ""
        unfit = isinstance(error, StageError) and not isinstance(error, SceneCodeError)
        misfit = str(error) if unfit else ""
        tell(ERROR, text=explain(error, verbose=False), misfit=misfit, traceback=way)
