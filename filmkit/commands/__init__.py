"""The command line: one module per command of ``render.py``, and ``show`` for notebooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from extract.support.docstrings import fault_of_python
from extract.support.interrupts import interrupt_on_signals

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED = 130
"""Exit code that shells use for a program stopped by Ctrl-C: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Load and run the command line, and exit; see :func:`filmkit.commands.cli.main`.

    Ctrl-C, SIGTERM and SIGHUP leave no traceback, also while it loads. NumPy uses one thread,
    unless the environment says otherwise: there is a process for each core. They may be forks of
    this one.
    """
    if fault := fault_of_python():
        sys.stderr.write(f"Error: {fault}\n")
        sys.exit(2)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        interrupt_on_signals()
        from filmkit.render.forks import allow_forks

        allow_forks()
        from filmkit.commands.cli import main as run

        run(arguments)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
