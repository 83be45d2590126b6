"""The project's name, and where it is. Needs nothing, so that it loads at once."""

from __future__ import annotations

from pathlib import Path

__all__ = ["IS_CHECKOUT", "NAME", "PROJECT", "TITLE", "page_of_docs"]

TITLE = "The attention film"
"""What documents and pages call the project."""

NAME = "attention-film"
"""Name of the project, of its command, and of its folders on the user's machine."""

PROJECT = Path(__file__).resolve().parents[2]
"""Folder that holds the packages."""

IS_CHECKOUT = (PROJECT / "pyproject.toml").is_file()
"""Whether that is a checkout of the repository; otherwise the project is installed."""


def page_of_docs(name: str) -> str:
    """Return where a page of the documentation is: in a checkout such as "docs/voice.md".

    An installed project has its pages inside the package.
    """
    return f"docs/{name}" if IS_CHECKOUT else str(PROJECT / "filmkit" / "docs" / name)
