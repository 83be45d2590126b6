"""The spelling of tokens that are only a part of a character.

Tokenizers split rare characters, such as emoji and most letters of other scripts, into bytes.  A
trace spells bytes that are not a whole character as SentencePiece's byte fallback does, for
instance ``<0xE7><0x8C>``.
"""

from __future__ import annotations

import re

__all__ = ["BYTE_TOKENS", "spell_out_bytes", "without_byte_tokens"]

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
