"""The fonts of web pages: the film's own, with just the letters that a page shows."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from base64 import b64encode
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import uharfbuzz as harfbuzz
from markupsafe import Markup

from filmkit.core.fonts import fallback_files, theme_files

__all__ = ["font_faces"]

FAMILY, OTHERS = "Film", "Film others"
"""What style sheets call the theme's font, and those that have what it lacks."""

WEIGHTS = {"Regular": 400, "Semibold": 600}

# What scripts make though it stands nowhere in a page: ASCII, and the blanks and the minus sign of
# numbers in other languages.
MADE = frozenset(map(chr, range(0x20, 0x7F))) | set("\u00a0\u202f\u2212")
ASCII = bytes(range(0x80))

# Copyright, trademark and licence go with the letters. The font's name does not: its licence keeps
# "Source" for fonts that nobody changed.
NAMES = {0, 7, 13, 14}
# Combine with the letter before, so that each font needs those that it has.
MARKS = ("Mn", "Mc", "Me", "Cf")
FIGURES = int.from_bytes(b"tnum", "big")  # which tables ask for, and a subset leaves out otherwise


def font_faces(text: str) -> Markup:
    """Return the style sheet with the fonts of a page: letters of a text, digits and ASCII signs.

    The same letters give the same style sheet. What no font of the film has is left to the fonts of
    the reader's computer.

    Parameters
    ----------
    text
        Whatever holds all letters that the page shows; its code too.
    """
    # A page is long and almost all of it ASCII, as its films are.
    return _faces(MADE | set(text.encode().translate(None, ASCII).decode()))


@lru_cache(maxsize=4)
def _faces(letters: frozenset[str]) -> Markup:
    faces, left = [], letters
    for path in theme_files():
        weight = WEIGHTS[path.stem.partition("-")[2]]
        face = _open(path, 0)
        faces.append(_rule(FAMILY, weight, _subset(face, letters)))
        left = left - _letters(face)
    marks = frozenset(each for each in letters if unicodedata.category(each) in MARKS)
    left -= marks
    for path, index in fallback_files():
        if not left:
            break
        face = _open(path, index)
        known = _letters(face)
        if found := left & known:
            left -= found
            found |= marks & known
            # Of several fonts in a family, browsers load the one that says it has the letter.
            ranges = f" unicode-range: {_ranges(found)};"
            faces.append(_rule(OTHERS, "400 600", _subset(face, found), ranges))
    return Markup("\n".join(faces))


def _open(path: Path, index: int) -> harfbuzz.Face:
    return harfbuzz.Face(harfbuzz.Blob.from_file_path(path), index)


def _letters(face: harfbuzz.Face) -> frozenset[str]:
    """Return the characters that a font has."""
    return frozenset(map(chr, face.unicodes))


def _rule(family: str, weight: int | str, font: bytes, more: str = "") -> str:
    source = f'url("data:font/woff;base64,{b64encode(font).decode()}") format("woff")'
    return f'@font-face {{ font-family: "{family}"; font-weight: {weight};{more} src: {source}; }}'


def _ranges(letters: frozenset[str]) -> str:
    """Return characters as style sheets list them, such as "U+4E00-4E02, U+4E86"."""
    codes = sorted(map(ord, letters))
    runs = groupby(enumerate(codes), lambda place: place[1] - place[0])
    ends = [[code for _, code in run] for _, run in runs]
    return ", ".join(f"U+{run[0]:X}" + (f"-{run[-1]:X}" if len(run) > 1 else "") for run in ends)


def _subset(face: harfbuzz.Face, letters: frozenset[str]) -> bytes:
    """Return a font with some of the letters of another, as WOFF."""
    wanted = harfbuzz.SubsetInput()
    wanted.unicode_set.update(set(map(ord, letters)))
    wanted.layout_feature_tag_set.add(FIGURES)
    wanted.name_id_set.clear()
    wanted.name_id_set.update(NAMES)
    # Its programs of letters do without calls, which compress worse than what is written out.
    wanted.flags |= harfbuzz.SubsetFlags.DESUBROUTINIZE
    return _woff(harfbuzz.subset(face, wanted).blob.data)


def _woff(font: bytes) -> bytes:
    """Compress a font: WOFF 1.0 of the W3C, whose compression Python has.

    WOFF 2 would make pages 20 kB smaller at most, and needs a library of its own.
    """
    flavour, count = struct.unpack_from(">4sH", font)
    entries, tables = [], []
    size, place = 12 + 16 * count, 44 + 20 * count  # of the font, and of the next table here
    for number in range(count):
        tag, checksum, offset, length = struct.unpack_from(">4sIII", font, 12 + 16 * number)
        table = font[offset : offset + length]
        # A table as long as it was counts as not compressed: of two alike, `min` takes the first.
        table = min(table, zlib.compress(table, 9), key=len)
        entries.append(struct.pack(">4s4I", tag, place, len(table), length, checksum))
        tables.append(table + bytes(-len(table) % 4))
        size += length + -length % 4
        place += len(tables[-1])
    head = struct.pack(">4s4sIHHIHH5I", b"wOFF", flavour, place, count, 0, size, *(0,) * 7)
    return head + b"".join((*entries, *tables))
