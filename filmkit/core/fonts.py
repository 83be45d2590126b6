"""The fonts that come with the project's dependencies."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import font_source_sans_pro
import manimgx_fonts

__all__ = [
    "EAST_ASIAN_FONTS",
    "FONT_RULES",
    "SIMPLIFIED_CHINESE",
    "east_asian_fonts",
    "fallback_files",
    "font_files",
    "is_east_asian",
    "lacks_fonts",
    "theme_files",
    "without_own_font",
]

WEIGHTS = ("Regular", "Semibold")
# Fonts for characters that the theme's font lacks, in this order whatever the machine has.
FALLBACKS = ("Noto Sans", "Noto Emoji", "Noto Sans Symbols", "Noto Sans CJK SC")
FONT_RULES = Path(__file__).with_name("fonts.conf")
"""Configuration of fontconfig for all text: it ignores the machine's colour emoji."""

# First words of the Unicode names of Chinese, Japanese and Korean characters.
EAST_ASIAN = {"CJK", "HANGUL", "HIRAGANA", "KATAKANA"}
LAST_ALPHABETIC = "\u10ff"  # all of those characters come later
EAST_ASIAN_FONTS = "manimgx_fonts_cjk"
"""The package of the fonts for Chinese, Japanese and Korean, which need not be there."""
SIMPLIFIED_CHINESE = 2
"""Number of the face for simplified Chinese in the file of :func:`east_asian_fonts`."""


def theme_files() -> list[Path]:
    """Return the files of the theme's font, one for each weight."""
    folder = Path(font_source_sans_pro.__file__).parent / "files"
    return [folder / f"SourceSansPro-{weight}.otf" for weight in WEIGHTS]


def font_files() -> list[Path]:
    """Return the font files that come with the dependencies that are always there."""
    return theme_files() + sorted(Path(manimgx_fonts.__file__).parent.glob("*.ttf"))


def fallback_files() -> list[tuple[Path, int]]:
    """Return the files for what the theme's font lacks, in the film's order, and their faces."""
    # The last of the preferred families is that of the fonts for East Asia.
    preferred = [f"{family.replace(' ', '')}[wght].ttf" for family in FALLBACKS[:-1]]
    files = {path.name: path for path in font_files() if path not in theme_files()}
    first = [files.pop(name) for name in preferred]
    return [
        *((path, 0) for path in first),
        *((path, SIMPLIFIED_CHINESE) for path in east_asian_fonts()),
        *((path, 0) for path in files.values()),
    ]


def east_asian_fonts() -> list[Path]:
    """Return the file of the fonts for Chinese, Japanese and Korean; none if it is not there."""
    found = find_spec(EAST_ASIAN_FONTS)
    return sorted(Path(found.origin).parent.glob("*.ttc")) if found and found.origin else []


def is_east_asian(text: str) -> bool:
    """Return whether a text has Chinese, Japanese or Korean characters."""
    return any(
        unicodedata.name(letter, "").partition(" ")[0] in EAST_ASIAN
        for letter in text
        if letter > LAST_ALPHABETIC
    )


def lacks_fonts(texts: Iterable[str]) -> bool:
    """Return whether texts have Chinese, Japanese or Korean characters and no font has them."""
    return find_spec(EAST_ASIAN_FONTS) is None and any(map(is_east_asian, texts))


def without_own_font(letters: set[str]) -> set[str]:
    """Return those of some letters that no font of the dependencies has; the machine's may."""
    import uharfbuzz as harfbuzz  # takes long to import, and a request asks once

    for path, face in [(path, 0) for path in theme_files()] + fallback_files():
        if letters:
            font = harfbuzz.Face(harfbuzz.Blob.from_file_path(path), face)
            letters = letters - set(map(chr, font.unicodes))
    return letters
