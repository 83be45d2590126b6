"""How a token that is a part of a character is written.

Tokenizers cut what is rare to them, most letters of other scripts and emoji, into bytes. Bytes that
are no whole character stand in a trace as SentencePiece writes them, such as ``<0xE7><0x8C>``.
"""

from __future__ import annotations

import re

__all__ = ["FRAGMENT", "spelled_bytes", "without_fragments"]

FRAGMENT = re.compile(r"(?:<0x[0-9A-F]{2}>)+")
"""Bytes of a character that is not there as a whole."""


def spelled_bytes(data: bytes) -> str:
    """UTF-8 text, in which bytes that are no whole character are spelled out.

    >>> spelled_bytes(b" caf\\xc3\\xa9"), spelled_bytes(b"\\xe7\\x8c")
    (' café', '<0xE7><0x8C>')
    """
    # A byte that cannot be decoded becomes a surrogate, whose low half it is.
    text = data.decode("utf-8", errors="surrogateescape")
    return "".join(
        f"<0x{ord(letter) & 0xFF:02X}>" if 0xDC80 <= ord(letter) <= 0xDCFF else letter
        for letter in text
    )


def without_fragments(token: str) -> str:
    """What of a token is whole characters."""
    return FRAGMENT.sub("", token)
