"""The project's name, and where it is. Needs nothing, so that it loads at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

__all__ = [
    "IS_CHECKOUT",
    "NAME",
    "PROJECT",
    "TITLE",
    "code_address",
    "page_of_docs",
    "published_code",
]

TITLE = "The attention film"
"""What documents and pages call the project."""

NAME = "attention-film"
"""Name of the project, of its command, and of its folders on the user's machine."""

PROJECT = Path(__file__).resolve().parents[2]
"""Folder that holds the packages."""

IS_CHECKOUT = (PROJECT / "pyproject.toml").is_file()
"""Whether that is a checkout of the repository; otherwise the project is installed."""

SOURCE_LABELS = {"source", "repository", "sourcecode", "github"}
"""Labels of a project's address of its code, as packaging tools know them: without blanks."""

FILES_AT = {"github.com": "/blob/HEAD", "gitlab.com": "/-/blob/HEAD"}
"""What stands between the address of a repository and the path of a file in it."""


def page_of_docs(name: str) -> str:
    """Return where a page of the documentation is: in a checkout such as "docs/voice.md".

    An installed project has its pages inside the package.
    """
    return f"docs/{name}" if IS_CHECKOUT else str(PROJECT / "filmkit" / "docs" / name)


def published_code() -> str | None:
    """Return the address below which the project's files are published; None if it names none.

    It is read from the project's metadata: the table ``[project.urls]`` of a checkout, or that of
    the installed package.
    """
    # Few commands need them.
    import tomllib
    from importlib.metadata import PackageNotFoundError, metadata

    if IS_CHECKOUT:
        with (PROJECT / "pyproject.toml").open("rb") as file:
            return code_address(tomllib.load(file)["project"].get("urls", {}).items())
    try:
        entries = metadata(NAME).get_all("Project-URL") or ()
    except PackageNotFoundError:
        return None
    pairs = (entry.partition(",") for entry in entries)
    return code_address((label, address.strip()) for label, _, address in pairs)


def code_address(addresses: Iterable[tuple[str, str]]) -> str | None:
    """Return the address of the files of a project, from its addresses by their labels.

    Examples
    --------
    >>> code_address([("Homepage", "https://a.example"), ("Repository", "https://github.com/a/b")])
    'https://github.com/a/b/blob/HEAD'
    """
    for label, address in addresses:
        if re.sub(r"[\W_]", "", label).lower() in SOURCE_LABELS:
            address = address.rstrip("/").removesuffix(".git")
            parts = urlsplit(address)
            is_repository = parts.path.count("/") == 2
            return address + (FILES_AT.get(parts.netloc, "") if is_repository else "")
    return None
