"""Turn the signals that ask a process to end into KeyboardInterrupt, without a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

__all__ = ["ENDING_SIGNALS", "interrupt_on_signals"]

ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""From a program that ends this one, and from a terminal that is closed; Windows has no SIGHUP."""

RETRY_SECONDS = 0.01  # delay before a lost signal is sent again


def interrupt_on_signals() -> None:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, so that unfinished files are removed.

    A signal that is ignored stays ignored: ``nohup`` starts programs that outlive their terminal.

    Python cannot raise an exception while it runs a finaliser, such as ``__del__``: it prints
    "Exception ignored" and goes on, and the interrupt is lost.  In that case nothing is printed,
    and the process sends the signal to itself again.
    """
    received = [signal.SIGTERM]

    def interrupt(number: int, frame: FrameType | None) -> None:
        received[0] = signal.Signals(number)
        raise KeyboardInterrupt

    for ending in ENDING_SIGNALS:
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, interrupt)
    before = sys.unraisablehook

    def send_again(ignored: Any) -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            # Raised right here, the interrupt would be lost as well: wait until the finaliser ends.
            timer = threading.Timer(RETRY_SECONDS, os.kill, (os.getpid(), received[0]))
            timer.daemon = True
            timer.start()
        else:
            before(ignored)

    sys.unraisablehook = send_again
