"""Being told to stop: never lost, and without a word."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

__all__ = ["be_stoppable"]

SOON = 0.01  # seconds


def be_stoppable() -> None:
    """Make being told to stop like Ctrl-C, for which the way out removes what is unfinished.

    Python cannot raise the interrupt where it happens to clear something away, at whatever moment
    it likes: it prints a complaint there and goes on as if nothing had been said. Then the
    process is told again.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    before = sys.unraisablehook

    def notice(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            # Here the interrupt would be lost as well.
            again = threading.Timer(SOON, os.kill, (os.getpid(), signal.SIGTERM))
            again.daemon = True
            again.start()
        else:
            before(lost)

    sys.unraisablehook = notice
