"""The spelling of tokens that are only a part of a character.

Tokenizers split rare characters, such as emoji and most letters of other scripts, into bytes.  A
trace spells bytes that are not a whole character as SentencePiece's byte fallback does, for
instance ``<0xE7><0x8C>``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = [
    "BYTE_TOKENS",
    "bytes_of",
    "letters",
    "spell_out_bytes",
    "whole_text",
    "without_byte_tokens",
]

BYTE_TOKENS = re.compile(r"(?:<0x[0-9A-F]{2}>)+")
"""Matches a run of byte tokens: bytes that are not a whole character."""


def spell_out_bytes(data: bytes) -> str:
    """Decode UTF-8, spelling out bytes that are not a whole character.

    >>> spell_out_bytes(b" caf\\xc3\\xa9"), spell_out_bytes(b"\\xe7\\x8c")
    (' café', '<0xE7><0x8C>')
    """
    # "surrogateescape" decodes an invalid byte to a surrogate character whose low 8 bits are the
    # byte.
    text = data.decode("utf-8", errors="surrogateescape")
    return "".join(
        f"<0x{ord(character) & 0xFF:02X}>" if 0xDC80 <= ord(character) <= 0xDCFF else character
        for character in text
    )


def without_byte_tokens(token: str) -> str:
    """Return a token without its byte tokens, so that only whole characters remain."""
    return BYTE_TOKENS.sub("", token)


def bytes_of(token: str) -> bytes:
    """Return the bytes that a token stands for, also those of incomplete characters."""
    return b"".join(
        bytes.fromhex(re.sub("<0x|>", "", part)) if BYTE_TOKENS.fullmatch(part) else part.encode()
        for part in re.split(f"({BYTE_TOKENS.pattern})", token)
    )


def whole_text(tokens: Iterable[str]) -> str:
    """Return the text that tokens spell, without incomplete characters.

    >>> whole_text([" a", "<0xC3>", "<0xA9>", "<0xE7>"])
    ' aé'
    """
    return b"".join(map(bytes_of, tokens)).decode("utf-8", "ignore")


def letters(text: str) -> str:
    """Return the letters and digits of a text, without what tokenizers change of them.

    That is case, accents and forms of letters, besides blanks and punctuation.

    >>> letters("Caf\u00e9 No. \uff11")
    'cafeno1'
    """
    plain = unicodedata.normalize("NFKD", text.casefold()).casefold()
    return "".join(filter(str.isalnum, plain))
