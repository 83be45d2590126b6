"""Call a function of the project in several processes, and go on when one dies or hangs."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from extract.support.printing import prints_as_messages
from extract.support.temporary import temporary_folder
from filmkit.render.forks import can_fork, load_kit
from filmkit.render.processes import (
    BEAT,
    DONE,
    ERROR,
    POLL_SECONDS,
    Apart,
    stop,
    telling,
)

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["RETURNED", "Pool", "serve"]

RETURNED = "returned"
"""Kind of the message after a call that raised no error."""

SERVE = "filmkit.render.pool:serve"

T = TypeVar("T", bound=Hashable)


@dataclass
class _Worker(Generic[T]):
    """A process of a pool, the end of the pipe that brings it calls, and the call it works on."""

    apart: Apart
    calls: Connection
    call: T | None = None


class Pool(Generic[T]):
    """Processes that make calls, each one after another; a context manager.

    They load the project anew, unless this process may be forked for them
    (:mod:`filmkit.render.forks`), and are stopped at the end of the ``with`` block. One that dies,
    in which a call raises an error, or from which nothing comes for
    :data:`~filmkit.render.processes.SILENT_SECONDS`, is replaced as long as calls wait.

    Parameters
    ----------
    function
        A function of the project, as "module:name". In each process it is called once, with
        ``shared``, and returns what is called for each call, with its arguments and a function
        that sends messages.
    shared
        Its arguments; they must be picklable.
    calls
        The arguments of each call.
    request
        For which quality calls work, how many processes there are at most, and how much they print.
    fork
        Whether they are forks in any case, as for :class:`Apart`. Processes that are started later
        are none.
    """

    def __init__(
        self,
        function: str,
        shared: Sequence[object],
        calls: Mapping[T, Sequence[object]],
        request: RenderRequest,
        *,
        fork: bool = False,
    ) -> None:
        self._arguments = function, shared, request
        self._waiting = dict(calls)
        self._size = request.processes
        self._fork = fork
        self._workers: list[_Worker[T]] = []
        self._started = 0
        self._temporary = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._folder = self._temporary.enter_context(temporary_folder())
            if not self._fork and self._waiting and can_fork():
                load_kit()
                # What it has imported may have started threads.
                self._fork = can_fork()
            self._start_workers(fork=self._fork)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        stop(*(worker.apart for worker in self._workers))
        self._temporary.close()

    def call(self, name: T, *arguments: object) -> None:
        """Add a call, and put it first in the queue."""
        self._waiting = {name: arguments, **self._waiting}

    def forget(self, name: T) -> None:
        """Do not make a call, if it waits."""
        self._waiting.pop(name, None)

    def results(self) -> Iterator[tuple[T, dict[str, Any]]]:
        """Yield the messages of all calls, as :meth:`messages` does, until all have ended."""
        while self._workers or self._waiting:
            yield from self.messages()

    def messages(self) -> Iterator[tuple[T, dict[str, Any]]]:
        """Wait a while for messages.

        Yields
        ------
        name
            Which call it is.
        message
            What was sent by it. The last one of a call is of the kind :data:`RETURNED`, or ERROR,
            as :meth:`Apart.receive` returns it.
        """
        self._start_workers()
        ready = wait_for([worker.apart.connection for worker in self._workers], POLL_SECONDS)
        for worker in [*self._workers]:
            has_come = worker.apart.connection in ready
            message = worker.apart.receive() if has_come else worker.apart.ended_silent()
            call, kind = worker.call, message and message["kind"]
            if kind == RETURNED:
                self._give_call(worker)
            elif kind == ERROR:
                worker.call = None
            elif has_come and message is None:
                self._workers.remove(worker)
            if message and call is not None and kind != BEAT:
                yield call, message

    def _start_workers(self, *, fork: bool = False) -> None:
        """Start processes for calls that wait, as many as there may be."""
        while self._waiting and len(self._workers) < self._size:
            theirs, ours = multiprocessing.Pipe(duplex=False)
            stacks = self._folder / str(self._started)
            self._started += 1
            apart = Apart(SERVE, self._arguments, stacks, further=[theirs], fork=fork)
            worker = _Worker[T](apart, ours)
            self._workers.append(worker)
            self._give_call(worker)

    def _give_call(self, worker: _Worker[T]) -> None:
        """Send a process the next call; if none waits, it ends."""
        worker.call = next(iter(self._waiting), None)
        arguments = None if worker.call is None else self._waiting.pop(worker.call)
        with suppress(OSError):  # it is dead already, of which a message tells
            worker.calls.send_bytes(pickle.dumps(arguments))


def serve(
    function: str,
    shared: Sequence[Any],
    request: RenderRequest,
    messages: Connection,
    calls: Connection,
) -> None:
    """Make calls in this process, until there are no more.

    Parameters
    ----------
    function, shared, request
        As for :class:`Pool`.
    messages, calls
        Takes the messages, and brings the pickled arguments of calls; None is the end.
    """
    from filmkit.render.manim_config import manim_config

    with (
        telling(messages, verbose=request.verbose) as tell,
        manim_config(request.quality, verbosity=request.verbosity),
        prints_as_messages(),
    ):
        module, _, name = function.partition(":")
        call: Callable[..., None] = getattr(import_module(module), name)(*shared)
        while (arguments := pickle.loads(calls.recv_bytes())) is not None:
            call(*arguments, tell)
            tell(RETURNED)
        tell(DONE)
