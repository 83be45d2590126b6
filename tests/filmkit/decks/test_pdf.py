"""A PDF is made of any words, also of letters that no font has."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import DARK
from filmkit.decks.pdf import write_pdf
from filmkit.decks.slides import Slide

NO_FONT = ["\U00013000", "\U0010fffd", "\x01", "\x00", "\u0378"]


def slide_of(words: str) -> Slide:
    entry, picture = SceneEntry("mine", words, "mine", "Mine"), Image.new("RGB", (16, 9))
    return Slide(entry, "01_one", words, words, words, (), 1.0, picture, {}, words)


@pytest.mark.parametrize("letter", NO_FONT)
def test_a_letter_that_no_font_has_is_a_box_with_its_code(letter: str, tmp_path: Path) -> None:
    words = f"before {letter} and {letter}{letter} behind"
    file = tmp_path / "pages.pdf"
    assert write_pdf(file, [slide_of(words)], DARK, title=words, author=words) == letter
    (page,) = PdfReader(file).pages
    assert page.extract_text().count(f"{ord(letter):04X}") == 9
