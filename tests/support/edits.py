"""Save edits, and wait for what other threads and processes make of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["TIMEOUT", "by_renaming", "wait_until"]

TIMEOUT = 180.0  # seconds; far more than anything that is waited for takes on a busy machine


def wait_until(reached: Callable[[], bool], describe: Callable[[], object] = lambda: None) -> None:
    """Wait until a condition holds; fail with a description after TIMEOUT."""
    deadline = time.monotonic() + TIMEOUT
    while not reached():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.05)


def by_renaming(path: Path, data: bytes) -> None:
    """Save a file as many editors do: write another one, and rename it."""
    new = path.with_name(path.name + "~")
    new.write_bytes(data)
    new.replace(path)
