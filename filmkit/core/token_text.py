"""Text of tokens with every character visible."""

from __future__ import annotations

import re
import unicodedata

from extract.trace.contents.byte_tokens import BYTE_TOKENS

__all__ = ["printable"]
JOINERS = {"\u200c", "\u200d"}  # invisible; they change how their neighbours join


def printable(token: str, *, spaces: bool = False) -> str:
    """Return a token's text with a visible sign for every invisible character.

    Parameters
    ----------
    token
        As the tokenizer gives it, blanks included.
    spaces
        Whether to show blanks, such as the one that most tokens begin with; a token of blanks
        alone always shows them.

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
    return BYTE_TOKENS.sub(_byte_digits, "".join(out)) or "∅"


def _byte_digits(fragment: re.Match[str]) -> str:
    """Return the hexadecimal digits of the bytes of an incomplete character."""
    return f"‹{' '.join(re.findall('<0x(..)>', fragment[0]))}›"
