"""Check a name from the command line and suggest the nearest known one."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import click

__all__ = ["choose"]


def choose(name: str, known: Collection[str], kind: str, option: str) -> str:
    """Return a name if it is known, else raise an error that suggests the nearest known name.

    Parameters
    ----------
    name
        The name that the user typed.
    known
        All valid names.
    kind
        What the names stand for, as in "there is no KIND 'x'".
    option
        The command line option or argument that the name was given for.

    Raises
    ------
    click.BadParameter
        When the name is not among the known ones.
    """
    if name in known:
        return name
    nearest = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    raise click.BadParameter(f"there is no {kind} '{name}'; {hint}", param_hint=option)
