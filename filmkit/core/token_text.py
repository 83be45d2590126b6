"""Text of tokens with every character visible."""

from __future__ import annotations

import re
import unicodedata

from extract.trace.contents.byte_tokens import BYTE_TOKENS

__all__ = ["printable"]
JOINERS = {"\u200c", "\u200d"}  # invisible; they change how their neighbours join
SIGNS = {"\n": "↵", "\t": "⇥", "\r": "⏎", "\u00a0": "·"}
HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs"}  # categories of characters that are not seen


def printable(token: str) -> str:
    """Return a token's text with a visible sign for every invisible character.

    Parameters
    ----------
    token
        As the tokenizer gives it, blanks included: those at its ends are left out, but a token of
        blanks alone shows them.

    Examples
    --------
    >>> printable(" flag"), printable("\\n"), printable("<0xE7><0x8C>")
    ('flag', '↵', '‹E7 8C›')
    """
    blanks = not token.strip(" ")
    body = token if blanks else token.strip(" ")
    signs = SIGNS | ({" ": "·"} if blanks else {})
    kept = JOINERS if set(body) - JOINERS else set()

    def sign(letter: str) -> str:
        hidden = unicodedata.category(letter) in HIDDEN and letter not in kept
        return signs.get(letter, "\N{REPLACEMENT CHARACTER}" if hidden else letter)

    return BYTE_TOKENS.sub(_byte_digits, "".join(map(sign, body))) or "∅"


def _byte_digits(fragment: re.Match[str]) -> str:
    """Return the hexadecimal digits of the bytes of an incomplete character."""
    return f"‹{' '.join(re.findall('<0x(..)>', fragment[0]))}›"
