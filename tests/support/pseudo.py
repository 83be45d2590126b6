"""A language that nobody speaks, to see what becomes of the pictures when words get longer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import NullTranslations
from pathlib import Path

import pytest

from filmkit.core import language

__all__ = ["CODE", "LONGER", "lengthened", "longer_words"]

CODE = "de"  # numbers are written as in German
LONGER = 0.4  # by which share of its letters every text gets longer

HELD = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|<\w+>.*?</\w+>")
PIECES = re.compile(r"<\w+>.*?</\w+>[^ ]*|[^ ]+| ")  # words and what is between tags; spaces


def lengthened(text: str) -> str:
    """Return a text with its longest words made longer, by :data:`LONGER` in all.

    Facts in braces, marks in brackets and words between tags stay as they are, and so do formulas
    and single letters.
    """
    words = PIECES.findall(text)
    letters = len(re.sub(r"\W", "", HELD.sub("", text)))
    held = [bool(HELD.search(word)) or not re.search(r"[a-z]{2}", word) for word in words]
    stretched = [index for index, kept in enumerate(held) if not kept]
    for number in range(round(LONGER * letters) if stretched else 0):
        index = stretched[number % len(stretched)]
        # At the last letter, in front of what stands behind the word.
        words[index] = re.sub(r"([^\W\d_])(\W*)$", r"\1\1\2", words[index])
    return "".join(words)


class LongerWords(NullTranslations):
    """Translates every text into a longer one."""

    def gettext(self, message: str) -> str:
        return lengthened(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return lengthened(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return lengthened(message)


@contextmanager
def longer_words() -> Iterator[str]:
    """Let every text that is translated be longer in the ``with`` block; yield the language."""

    def catalogue(folder: Path, code: str) -> NullTranslations | None:
        return LongerWords() if code == CODE else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "catalogue", catalogue)
        yield CODE
