"""Run a function of the project in a new process, with the code as it is on disk now.

On Linux a server process loads the libraries once, which takes longest, and forks for every call.
Each fork forgets what has been imported of the project by then, and imports the current code: Manim
imports its plugins, of which the project is one, from where it is installed. From then on it notes
which files scenes read (:mod:`filmkit.render.reads`). This module imports nothing of the project
but what its packages need, so that an error elsewhere in it can be reported as one line without a
traceback.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import click

__all__ = ["clean_process", "end_silent", "forked_process", "start_server", "write_stacks_to"]

PROJECT = Path(__file__).resolve().parents[2]
STACK_SECONDS = 10.0  # how long a process may take to write where it is

LONGEST_FOLDER = 75  # bytes: in a temporary folder of a longer name a socket's name is too long

# Forking a process with loaded libraries is safe on Linux only; elsewhere each process loads them.
HAS_SERVER = sys.platform == "linux" and len(os.fsencode(gettempdir())) <= LONGEST_FOLDER
CONTEXT: Any = multiprocessing.get_context("forkserver" if HAS_SERVER else "spawn")
START = """
import gc, os, sys
gc.freeze()  # the libraries stay: looking for garbage in them would copy the server's memory
os.environ.clear()
os.environ.update(environment)
for name in [*sys.modules]:
    if name.partition(".")[0] in ("extract", "filmkit", "scenes", "tests"):
        del sys.modules[name]
from filmkit.render.clean_process import _run
_run(function, arguments, connections, stacks)
"""
LIBRARIES = [
    "av",
    "cloup",
    "cmap",
    "cv2",
    "font_source_sans_pro",
    "manim",
    "manim.mobject.text.typst_mobject",
    "manimgx_fonts",
    "manimpango",
    "PIL.ImageDraw",
    "PIL.ImageFont",
    "PIL.PngImagePlugin",
    "platformdirs",
    "rich.progress",
    "safetensors.numpy",
    "scipy.optimize",
    "typst",
    "uniseg.linebreak",
]


def clean_process(
    function: str,
    *arguments: object,
    connections: Sequence[Connection] = (),
    stacks: Path | None = None,
) -> BaseProcess:
    """Return a process, not yet started, that imports the project anew and calls a function of it.

    Parameters
    ----------
    function
        The function, as "module:name".
    arguments
        Its arguments; they must be picklable.
    connections
        Ends of pipes, which are further arguments. If there are some, an error is not printed but
        sent through the first of them, as JSON: {"kind": "error", "text": one line}.
    stacks
        As for :func:`write_stacks_to`.
    """
    start_server()
    # Unpickling imports the classes of the arguments from the project, so it must happen inside the
    # process, where errors are caught: here the arguments are pickled by hand.
    names = {
        "function": function,
        "arguments": pickle.dumps(arguments),
        "connections": tuple(connections),
        "stacks": stacks and str(stacks),
        # A server that forks processes has that of its own start.
        "environment": dict(os.environ),
    }
    process: BaseProcess = CONTEXT.Process(target=exec, args=(START, names))
    return process


def forked_process(
    function: str,
    *arguments: object,
    connections: Sequence[Connection] = (),
    stacks: Path | None = None,
) -> BaseProcess:
    """Return a process, not yet started, that is a fork of this one; on Linux only, else a new one.

    It starts at once, with all that this process has loaded. That is safe only where a single
    thread is active. Parameters are as for :func:`clean_process`.
    """
    if sys.platform != "linux":
        return clean_process(function, *arguments, connections=connections, stacks=stacks)
    return multiprocessing.get_context("fork").Process(
        target=_call_noting, args=(function, arguments, connections, stacks), daemon=True
    )


def start_server() -> None:
    """Let the server process load the libraries, unless it does already; if there is one."""
    if HAS_SERVER:
        CONTEXT.set_forkserver_preload(LIBRARIES)
        # The server would take libraries, and Manim its settings, from the current folder. Manim
        # imports this project as a plugin: it has to be the one that runs, not one that is
        # installed elsewhere.
        with chdir(sys.prefix), _first_on_path(PROJECT):
            forkserver.ensure_running()


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Let Python programs that are started in the ``with`` block import from a folder first."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def write_stacks_to(file: Path | str) -> None:
    """Let this process write into a file where it is, when a fault or :func:`end_silent` ends it.

    Each thread's stack is written as :mod:`faulthandler` does it, also where no Python code runs.
    """
    stream = Path(file).open("w")  # noqa: SIM115
    faulthandler.enable(stream)
    if hasattr(faulthandler, "register"):  # not on Windows
        # Once it has written, the signal ends it, as is the default: who waits need wait no longer.
        faulthandler.register(signal.SIGUSR1, stream, chain=True)


def end_silent(process: BaseProcess) -> None:
    """Kill a process, after it has written where it is; see :func:`write_stacks_to`."""
    if hasattr(faulthandler, "register") and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGUSR1)
        process.join(STACK_SECONDS)
    process.kill()


def _call_noting(function: str, *arguments: Any) -> None:
    """Call the function, and note which files scenes read meanwhile."""
    from filmkit.render.reads import note_reads

    note_reads()
    _call(function, *arguments)


def _call(
    function: str,
    arguments: Sequence[object],
    connections: Sequence[Connection],
    stacks: Path | str | None,
) -> None:
    """Call the function, until it ends or this process is stopped."""
    if stacks:
        write_stacks_to(stacks)
    module, _, name = function.partition(":")
    with suppress(KeyboardInterrupt):
        getattr(import_module(module), name)(*arguments, *connections)


def _run(
    function: str,
    arguments: bytes,
    connections: Sequence[Connection],
    stacks: str | None,
) -> None:
    """Call the function; report an exception as one line and exit with code 1."""
    try:
        with suppress(KeyboardInterrupt):
            # With the project, so that an error in it is reported, too.
            from filmkit.render.reads import note_reads

            note_reads()
            _call(function, pickle.loads(arguments), connections, stacks)
    except Exception as error:
        lines = [
            f"{Path(frame.filename).relative_to(PROJECT)} line {frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).is_relative_to(PROJECT)
        ]
        text = " ".join(str(error).split())
        # Without control characters, which a terminal obeys.
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
        line = f"{type(error).__name__}: {text} ({lines[-1]})"
        if connections:
            with suppress(BrokenPipeError):  # who asked is gone
                connections[0].send_bytes(json.dumps({"kind": "error", "text": line}).encode())
        else:
            click.echo(f"Error: {line}", err=True)
        sys.exit(1)
