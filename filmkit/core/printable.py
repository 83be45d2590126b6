"""Text of tokens, so that every character of it can be seen."""

from __future__ import annotations

import re
import unicodedata

from extract.fragments import FRAGMENT

__all__ = ["printable"]
JOINERS = {"\u200c", "\u200d"}  # how letters and emoji on their sides join


def printable(token: str, *, spaces: bool = False) -> str:
    """A token's text so that every character of it can be seen.

    Parameters
    ----------
    token
        As the tokenizer gives it, blanks included.
    spaces
        Whether to show the blank that most tokens begin with; blanks that are all of a token
        are always shown.

    Examples
    --------
    >>> printable(" flag"), printable("\\n"), printable("<0xE7><0x8C>")
    ('flag', '↵', '‹E7 8C›')
    """
    visible = {"\n": "↵", "\t": "⇥", "\r": "⏎", "\u00a0": "·"}
    body = token if spaces or not token.strip(" ") else token.strip(" ")
    joins = set(body) - JOINERS
    out = []
    for character in body:
        if character == " ":
            out.append("·" if spaces or not token.strip(" ") else " ")
        elif character in JOINERS and joins:
            out.append(character)
        elif character in visible:
            out.append(visible[character])
        elif unicodedata.category(character) in {"Cc", "Cf", "Cn", "Co", "Cs"}:
            out.append("\N{REPLACEMENT CHARACTER}")
        else:
            out.append(character)
    return FRAGMENT.sub(_byte_digits, "".join(out)) or "∅"


def _byte_digits(fragment: re.Match[str]) -> str:
    return f"‹{' '.join(re.findall('<0x(..)>', fragment[0]))}›"
