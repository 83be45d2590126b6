"""Print tables and bars for people; no complaint when nobody reads."""

from __future__ import annotations

import sys

import rich.console

from extract.support.printing import echo, send_nowhere, tolerating_closed_output

__all__ = ["Console", "echo", "tolerating_closed_output"]


class Console(rich.console.Console):
    """Console whose output is lost where nobody reads it; the program goes on."""

    def on_broken_pipe(self) -> None:
        """Send what follows nowhere, instead of ending the program."""
        send_nowhere(sys.stderr if self.stderr else sys.stdout)
