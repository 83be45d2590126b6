"""Names that the user gets wrong."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import click

__all__ = ["choose"]


def choose(name: str, known: Collection[str], kind: str, option: str) -> str:
    """Return a known name, or refuse it with the nearest one as a suggestion.

    Parameters
    ----------
    name
        What the user wrote.
    known
        What there is.
    kind
        What the names are, as in "there is no KIND 'x'".
    option
        The option or argument that the name was given for.

    Raises
    ------
    click.BadParameter
        When the name is not known.
    """
    if name in known:
        return name
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise click.BadParameter(f"there is no {kind} '{name}'; {hint}", param_hint=option)
