"""Write the exact versions of everything that takes part in a picture.

``make constraints`` writes a constraints file for pip:
the versions, installed here, of what the project needs to render and of all that these need. An
installation that uses it draws the same pictures; ``pyproject.toml`` holds the ranges that work.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from extract.support.files import write_text
from extract.support.printing import echo
from filmkit.core.project import NAME, PROJECT

__all__ = ["constraints"]

FILE = PROJECT / "filmkit" / "constraints.txt"

HEAD = """\
# The versions with which the project's control pictures were drawn. For the same pictures:
# pip install -c filmkit/constraints.txt .     (written by `make constraints`)
"""


def constraints(project: str = NAME) -> dict[str, str]:
    """Find the installed version of everything that a distribution needs, itself left out.

    Parameters
    ----------
    project
        Name of the distribution; its extras are left out.
    """
    found: dict[str, str] = {}
    ahead = list(_needed(project, ()))
    seen: set[tuple[str, frozenset[str]]] = set()
    while ahead:
        requirement = ahead.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # asked for by an extra of a library that is not installed here
        ahead += _needed(name, extras)
    return dict(sorted(found.items()))


def _needed(name: str, extras: Iterable[str]) -> list[Requirement]:
    needed = [Requirement(text) for text in requires(name) or ()]
    return [
        requirement
        for requirement in needed
        if not requirement.marker
        or any(requirement.marker.evaluate({"extra": extra}) for extra in (*extras, ""))
    ]


if __name__ == "__main__":
    lines = [f"{name}=={number}\n" for name, number in constraints().items()]
    write_text(FILE, HEAD + "".join(lines))
    echo(FILE)
