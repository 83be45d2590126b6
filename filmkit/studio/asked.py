"""A process that works for a page of the studio; the page's side of it."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from filmkit.render.processes import Apart, stop

__all__ = ["AskedProcess"]


class AskedProcess:
    """A process to which requests are sent, and whose messages are heard in this event loop.

    Parameters
    ----------
    function, arguments, **options
        As for :class:`~filmkit.render.processes.Apart`. The function's last argument brings the
        requests, as JSON; answers may come through it too.
    hear
        Takes this object and each message.
    """

    def __init__(
        self,
        function: str,
        arguments: Sequence[object],
        hear: Callable[[Any, dict[str, Any]], None],
        **options: Any,
    ) -> None:
        self._requests, theirs = multiprocessing.Pipe()
        self._apart = Apart(function, arguments, further=[theirs], **options)
        loop = asyncio.get_running_loop()

        def listen(receive: Callable[[], dict[str, Any] | None]) -> None:
            # The loop is closed when the studio ends.
            with suppress(EOFError, OSError, RuntimeError):
                while message := receive():
                    loop.call_soon_threadsafe(hear, self, message)

        for receive in (self._apart.receive, lambda: json.loads(self._requests.recv_bytes())):
            threading.Thread(target=listen, args=(receive,), daemon=True).start()

    def ask(self, **request: Any) -> None:
        """Send a request."""
        with suppress(OSError):  # it has ended, which is told as a message
            self._requests.send_bytes(json.dumps(request).encode())

    def stop(self) -> None:
        """Stop it; unfinished files are removed by another thread."""
        threading.Thread(target=stop, args=(self._apart,)).start()
