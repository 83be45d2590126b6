"""Runs the project's code as it is now, however often it was edited since the program began.

The libraries, which take longest to load, are loaded once by a process that starts the others:
it has seen nothing of the project itself. This module imports nothing of it either, so that a
mistake anywhere in it is one line and no traceback.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import traceback
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import click

__all__ = ["clean_process"]

PROJECT = Path(__file__).resolve().parents[2]

# Copies of a loaded process are safe on Linux alone; elsewhere each one loads the libraries.
CONTEXT: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
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
    "rich.progress",
    "safetensors.numpy",
    "typst",
]


def clean_process(function: str, *arguments: object) -> BaseProcess:
    """A process, not started yet, that loads the project anew and calls one of its functions.

    Parameters
    ----------
    function
        Where it is, as "module:name".
    arguments
        What it takes.
    """
    if hasattr(CONTEXT, "set_forkserver_preload"):
        CONTEXT.set_forkserver_preload(LIBRARIES)
    # What the arguments are is read from the project too, so that comes later.
    process: BaseProcess = CONTEXT.Process(target=_run, args=(function, pickle.dumps(arguments)))
    return process


def _run(function: str, arguments: bytes) -> None:
    try:
        module, _, name = function.partition(":")
        getattr(import_module(module), name)(*pickle.loads(arguments))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        places = [
            f"{Path(frame.filename).relative_to(PROJECT)} line {frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).is_relative_to(PROJECT)
        ]
        text = " ".join(str(error).split())
        click.echo(f"Error: {type(error).__name__}: {text} ({places[-1]})", err=True)
        sys.exit(1)
