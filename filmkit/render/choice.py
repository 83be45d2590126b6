"""Check a name from the command line and suggest the nearest known one."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import click

__all__ = ["choose", "choose_beginning"]


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


def choose_beginning(name: str, known: Collection[str], kind: str, option: str) -> str:
    """Return the known name that begins with what was typed; an exact match comes first.

    Parameters
    ----------
    name
        What the user typed: a name, or the beginning of one.
    known, kind, option
        As for :func:`choose`.

    Raises
    ------
    click.BadParameter
        When no name begins so, or several do.
    """
    matches = [full for full in known if full.startswith(name)]
    if name in known or not matches or not name:
        return choose(name, known, kind, option)
    if len(matches) > 1:
        raise click.BadParameter(
            f"'{name}' begins more than one {kind}; choose {' or '.join(matches)}",
            param_hint=option,
        )
    return matches[0]
