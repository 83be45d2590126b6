"""Start and stop processes, and hear from them. Does not import Manim, so that it loads fast."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from traceback import format_exception
from typing import Any

from extract.support.files import OutputError
from extract.support.interrupts import ENDING_SIGNALS, interrupt_on_signals
from extract.support.printing import echo
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.core.playing import hearing_of_beats
from filmkit.render.clean_process import clean_process, end_silent, forked_process
from filmkit.render.errors import ended_early, explain, scene_place

__all__ = [
    "BEAT",
    "CLEANUP_SECONDS",
    "DONE",
    "ERROR",
    "POLL_SECONDS",
    "SILENT_SECONDS",
    "Apart",
    "children_ignore_ctrl_c",
    "core_count",
    "say_why_threads_end",
    "stop",
    "stopping_with_parent",
    "telling",
]

BEAT, DONE, ERROR = "beat", "done", "error"
"""Kinds of messages: that a beat begins, by its ``name``, and the last ones of processes that have
ended by themselves."""

SILENT_SECONDS = 300.0
"""After this time a process from which nothing comes is stopped."""

POLL_SECONDS = 0.5
"""How often to look whether processes still work."""

CLEANUP_SECONDS = 10.0
"""How long a terminated process may take to remove unfinished files."""

LEAST_MEMORY = "; if it ran out of memory, --jobs 1 needs the least"


def core_count() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def children_ignore_ctrl_c(*, forks: bool = False) -> Iterator[None]:
    """Keep Ctrl-C and a closed terminal from processes that start inside the ``with`` block.

    They inherit that these signals are blocked; this process stops them with SIGTERM instead. A
    signal that comes meanwhile, and SIGTERM too, reaches this process when the block ends: what the
    block starts has started then, and can be stopped.

    Parameters
    ----------
    forks
        Whether they are forks of this process, which inherit how it handles SIGTERM: for them it is
        blocked too until they can handle it (:func:`stopping_with_parent`).
    """
    blocked = {signal.SIGINT, signal.SIGTERM, *ENDING_SIGNALS}
    came, handlers = list[int](), dict[int, Any]()
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        resource_tracker.ensure_running()  # which would unblock the signals when it starts
        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, blocked if forks else blocked - {signal.SIGTERM}
        )
    # Only this thread has them blocked: if there are others, the process gets a signal through one.
    if threading.current_thread() is threading.main_thread():
        for number in blocked:
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def stopping_with_parent() -> Iterator[None]:
    """Stop this process on SIGTERM or when its parent ends, and ignore Ctrl-C.

    SIGTERM raises KeyboardInterrupt, so that unfinished files are removed on the way out. Ctrl-C is
    handled by the parent alone. After the block there are no unfinished files, so SIGTERM is as it
    is by default: the process may be killed at once.
    """
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupt_on_signals()
        if hasattr(signal, "pthread_sigmask"):  # not on Windows
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        threading.Thread(target=_wait_for_parent, daemon=True).start()
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _wait_for_parent() -> None:
    """Wait until the parent process has ended, then send SIGTERM to this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class Apart:
    """A process that calls a function with the code of the project as it is now.

    Parameters
    ----------
    function
        The function, as "module:name". It also takes a connection, through which it sends messages:
        JSON objects with a ``kind``, the last of them :data:`DONE` or :data:`ERROR`.
    arguments
        Its other arguments.
    stacks
        A file for :func:`write_stacks_to`, if it shall be said where the process has ended.
    further
        Ends of other pipes, which are the function's last arguments. They are closed here.
    fork
        Whether it is a fork of this process, with the code that this has loaded.
    memory_hint
        What is said of a process that the system has killed.

    Attributes
    ----------
    connection
        Where messages arrive.
    """

    def __init__(
        self,
        function: str,
        arguments: Sequence[object],
        stacks: Path | None = None,
        *,
        further: Sequence[Connection] = (),
        fork: bool = False,
        memory_hint: str = LEAST_MEMORY,
    ) -> None:
        self._memory_hint = memory_hint
        self.connection, theirs = multiprocessing.Pipe(duplex=False)
        self._stacks = stacks
        self._beat, self._is_over = "", False
        self._silent, self._listened = 0.0, time.monotonic()
        start, ends = forked_process if fork else clean_process, [theirs, *further]
        try:
            # This process stops it, with SIGTERM. If that starts the server that forks processes,
            # it inherits this and outlives Ctrl-C too.
            with children_ignore_ctrl_c(forks=fork):
                self.process = start(function, *arguments, connections=ends, stacks=stacks)
                self.process.start()
        except KeyboardInterrupt:
            stop(self)
            raise
        finally:
            # Only the process holds its ends now, so that its death ends the connections.
            for end in ends:
                end.close()

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next message, and return it; None if the process has ended.

        If it ends without a last message, this is an error, with a ``text`` that says where and
        how, and ``early``, which is true.
        """
        try:
            message: dict[str, Any] = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            hint = self._memory_hint if code == -9 else ""  # so systems end what takes too much
            return None if self._is_over else self._error(ended_early(code) + hint)
        self._silent, self._listened = 0.0, time.monotonic()
        self._is_over = message["kind"] in (DONE, ERROR)
        if message["kind"] == BEAT:
            self._beat = message["name"]
        if traceback := message.pop("traceback", ""):
            echo(traceback, err=True)
        return message

    def _error(self, what: str) -> dict[str, Any]:
        self._is_over = True
        stacks = self._stacks
        found = stacks.read_text(errors="replace") if stacks and stacks.exists() else ""
        place = ", ".join(
            filter(None, [scene_place(found), self._beat and f"in beat {self._beat}"])
        )
        return {"kind": ERROR, "text": f"{place}: {what}" if place else what, "early": True}

    def ended_silent(self) -> dict[str, Any] | None:
        """Kill the process if nothing has come from it for long; return the error then.

        Only the time counts in which this is called every :data:`POLL_SECONDS`: Ctrl-Z stops this
        process too. After its last message it has little time to end, and that it does not is no
        error: a scene may have left a thread behind.
        """
        now = time.monotonic()
        self._silent += min(now - self._listened, 2 * POLL_SECONDS)
        self._listened = now
        if self._is_over and self._silent > CLEANUP_SECONDS:
            self.process.kill()
        elif not self._is_over and self._silent > SILENT_SECONDS:
            end_silent(self.process)
            return self._error(f"there was no progress for {SILENT_SECONDS:.0f} seconds")
        return None


def stop(*processes: Apart) -> None:
    """Stop processes, if they have started and not ended."""
    started = [each for each in processes if hasattr(each, "process") and each.process.pid]
    for each in started:
        each.process.terminate()
    for each in started:
        each.process.join(CLEANUP_SECONDS)
        each.process.kill()


def say_why_threads_end(*, verbose: bool | None) -> None:
    """Let an error that ends a thread, such as one of a scene, be printed in one line.

    Parameters
    ----------
    verbose
        As for :func:`filmkit.render.errors.explain`.
    """

    def say_why(ended: threading.ExceptHookArgs) -> None:
        if not isinstance(ended.exc_value, Exception):
            return
        try:
            raise ended.exc_value  # from here, as the program has let the scene start the thread
        except Exception as error:
            echo(f"A thread ended: {explain(error, verbose=verbose)}", err=True)

    threading.excepthook = say_why


@contextmanager
def telling(messages: Connection, *, verbose: bool | None) -> Iterator[Callable[..., None]]:
    """Send messages to the process that has started this :class:`Apart`, in a ``with`` block.

    An error inside the block is the last message; one that ends a thread is printed in one line.
    The block ends when that process does.

    Parameters
    ----------
    messages
        The connection to it.
    verbose
        Whether that prints tracebacks; None where there is no way to ask for them.

    Yields
    ------
    Callable
        Sends a message; it takes the ``kind``, and what else there is by names.
    """

    here = os.getpid()

    def tell(kind: str, **content: Any) -> None:
        # Those that this process forks, to draw for it, have connections of their own.
        if os.getpid() == here:
            messages.send_bytes(json.dumps({"kind": kind, **content}, default=str).encode())

    say_why_threads_end(verbose=verbose)
    try:
        with stopping_with_parent(), hearing_of_beats(lambda beat: tell(BEAT, name=beat)):
            yield tell
    except Exception as error:
        way = "".join(format_exception(error)) if verbose else ""
        unfit = isinstance(error, StageError) and not isinstance(error, SceneCodeError)
        tell(
            ERROR,
            text=explain(error, verbose=None if verbose is None else False),
            misfit=str(error) if unfit else "",
            unwritable=isinstance(error, OutputError),
            traceback=way,
        )
