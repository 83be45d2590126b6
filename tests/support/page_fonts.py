"""The fonts in web pages, read back."""

from __future__ import annotations

import re
import struct
import zlib
from base64 import b64decode
from dataclasses import dataclass

import uharfbuzz as harfbuzz

__all__ = ["PageFont", "fonts_of", "letters_of"]

RULE = re.compile(
    r'@font-face \{ font-family: "(?P<family>[^"]+)"; font-weight: (?P<weight>[^;]+);.*?'
    r'base64,(?P<data>[^"]+)'
)


@dataclass(frozen=True)
class PageFont:
    """A font of a page.

    Attributes
    ----------
    family, weight
        What the style sheet calls it.
    data
        Its file.
    """

    family: str
    weight: str
    data: bytes

    @property
    def face(self) -> harfbuzz.Face:
        """The font, uncompressed."""
        tables = {}
        for number in range(struct.unpack_from(">H", self.data, 12)[0]):
            tag, offset, stored, length = struct.unpack_from(">4s3I", self.data, 44 + 20 * number)
            table = self.data[offset : offset + stored]
            tables[tag.decode()] = zlib.decompress(table) if stored < length else table
            assert len(tables[tag.decode()]) == length
        return harfbuzz.Face.create_for_tables(lambda face, tag, data: tables.get(tag), None)

    @property
    def letters(self) -> set[str]:
        """The characters that it has."""
        return set(map(chr, self.face.unicodes))


def fonts_of(page: str) -> list[PageFont]:
    """Return the fonts of a page or a style sheet."""
    rules = RULE.finditer(page)
    return [PageFont(rule["family"], rule["weight"], b64decode(rule["data"])) for rule in rules]


def letters_of(page: str) -> set[str]:
    """Return the characters that the fonts of a page have together."""
    return set().union(*(font.letters for font in fonts_of(page)))
