"""Turn SIGTERM into KeyboardInterrupt, without a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

__all__ = ["interrupt_on_sigterm"]

RETRY_SECONDS = 0.01  # delay before a lost signal is sent again


def interrupt_on_sigterm() -> None:
    """Make SIGTERM raise KeyboardInterrupt, so that unfinished files are removed as on Ctrl-C.

    Python cannot raise an exception while it runs a finaliser, such as ``__del__``: it prints
    "Exception ignored" and goes on, and the interrupt is lost. In that case nothing is printed, and
    the process sends SIGTERM to itself again.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    before = sys.unraisablehook

    def send_again(ignored: Any) -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            # Raised right here, the interrupt would be lost as well: wait until the finaliser ends.
            timer = threading.Timer(RETRY_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
            timer.daemon = True
            timer.start()
        else:
            before(ignored)

    sys.unraisablehook = send_again
