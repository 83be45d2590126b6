"""A process to which requests are sent, and whose messages are heard."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from filmkit.render.processes import Apart, stop

__all__ = ["AskedProcess"]


class AskedProcess:
    """A process to which requests are sent, and whose messages are heard.

    Parameters
    ----------
    function, arguments, **options
        As for :class:`~filmkit.render.processes.Apart`. The function's last argument brings the
        requests, as JSON; answers may come through it too.
    hear
        Takes this object and each message, in threads of its own.
    """

    def __init__(
        self,
        function: str,
        arguments: Sequence[object],
        hear: Callable[[Any, dict[str, Any]], object],
        **options: Any,
    ) -> None:
        self._requests, theirs = multiprocessing.Pipe()
        self._apart = Apart(function, arguments, further=[theirs], **options)

        def listen(receive: Callable[[], dict[str, Any] | None]) -> None:
            # An event loop that would hear it is closed when the studio ends.
            with suppress(EOFError, OSError, RuntimeError):
                while message := receive():
                    hear(self, message)

        for receive in (self._apart.receive, lambda: json.loads(self._requests.recv_bytes())):
            threading.Thread(target=listen, args=(receive,), daemon=True).start()

    def ask(self, **request: Any) -> None:
        """Send a request."""
        with suppress(OSError):  # it has ended, which is told as a message
            self._requests.send_bytes(json.dumps(request).encode())

    def stop(self) -> threading.Thread:
        """Stop it; return the thread that waits until it has removed unfinished files."""
        thread = threading.Thread(target=stop, args=(self._apart,))
        thread.start()
        return thread
