"""Programs that draw what the website shows."""

from __future__ import annotations

import re
import subprocess

from filmkit.core.project import PROJECT

__all__ = ["repository"]

REMOTE = re.compile(r"(?:https://|git@|ssh://git@)([\w.-]+)[:/](.+?)(?:\.git)?/?")


def repository() -> str:
    """Return the address at which the project's code can be seen; "" where it has none."""
    command = ["git", "-C", str(PROJECT), "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = REMOTE.fullmatch(done.stdout.strip())
    return f"https://{match[1]}/{match[2]}" if match else ""
