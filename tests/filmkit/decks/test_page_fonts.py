"""The fonts of web pages: all letters that a page shows, few others, and their licences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uharfbuzz as harfbuzz

from filmkit.core.fonts import east_asian_fonts, fallback_files, font_files
from filmkit.core.theme import DARK
from filmkit.decks import DeckOptions
from filmkit.decks.page_fonts import FAMILY, MADE, OTHERS, _faces, font_faces
from filmkit.decks.talk import Talk
from filmkit.decks.web import WebDeck, render_page
from tests.support.browsing import browser, opened
from tests.support.page_fonts import fonts_of, letters_of
from tests.support.talks import QUESTION, _slides

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

LATIN = "Größe, ¿cuánto? – « élève » × ½ →"
SCRIPTS = "Привет שלום नमस्ते مرحبا 👩‍👧 ❤️"
CHINESE = "记得更少。"
NO_SHAPE = {"\u202f", "\u200d"}  # a blank and a joiner
MOST_BYTES = 45_000  # of the fonts for a language with an alphabet

# What a browser draws for each letter.
DRAW = """(([font, letters]) => letters.map((letter) => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  pen.font = font;
  pen.fillText(letter, 8, 96);
  return canvas.toDataURL();
}))"""


@pytest.fixture(autouse=True)
def east_asian() -> None:
    if not east_asian_fonts():
        pytest.skip("there are no fonts for Chinese")


@pytest.mark.parametrize("text", ["", LATIN, SCRIPTS, CHINESE, LATIN + SCRIPTS + CHINESE])
def test_a_page_has_the_letters_that_it_shows_and_no_others(text: str) -> None:
    sheet = font_faces(text)
    wanted = MADE | set(text)
    assert wanted - letters_of(sheet) <= NO_SHAPE
    for font in fonts_of(sheet):
        assert font.letters <= wanted
    theme = [font for font in fonts_of(sheet) if font.family == FAMILY]
    assert [font.weight for font in theme] == ["400", "600"]
    for font in theme:
        assert wanted & set(LATIN) <= font.letters


@pytest.mark.parametrize(
    ("text", "most"), [(LATIN, MOST_BYTES), (LATIN + CHINESE, MOST_BYTES + 1000 * len(CHINESE))]
)
def test_the_fonts_of_a_page_are_small(text: str, most: int) -> None:
    assert len(font_faces(text)) < most


def test_the_same_letters_give_the_same_bytes() -> None:
    first = font_faces(SCRIPTS + CHINESE)
    _faces.cache_clear()
    assert font_faces(CHINESE[::-1] + "more" + SCRIPTS) == first
    assert font_faces(CHINESE) != first


def test_what_no_font_has_is_left_out() -> None:
    assert font_faces("\ue000\U0010fffd") == font_faces("")


def test_without_the_fonts_for_chinese_a_page_has_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("filmkit.core.fonts.find_spec", lambda name: None)
    _faces.cache_clear()
    letters = letters_of(font_faces(CHINESE + "שלום"))
    _faces.cache_clear()
    assert set("שלום") <= letters
    assert not set(CHINESE) & letters


def test_letters_keep_their_licence_and_lose_the_reserved_name() -> None:
    for font in fonts_of(font_faces(LATIN + SCRIPTS + CHINESE)):
        copyright_, licence, address = (font.face.get_name(name) for name in (0, 13, 14))
        assert "Adobe" in copyright_ or "Noto" in copyright_ or "Google" in copyright_
        assert "SIL Open Font License, Version 1.1" in licence
        assert "OFL" in address or "openfontlicense.org" in address
        assert not any(font.face.get_name(name) for name in (1, 3, 4, 6, 16))


def test_all_fonts_of_the_film_may_stand_in_a_page() -> None:
    files = [*((path, 0) for path in font_files()), *fallback_files()]
    assert {path for path, _ in files} == {*font_files(), *east_asian_fonts()}
    for path, index in files:
        face = harfbuzz.Face(harfbuzz.Blob.from_file_path(path), index)
        assert "SIL Open Font License" in face.get_name(13), path.name
        assert face.reference_table("OS/2").data[8:10] == b"\0\0", "it may be embedded"


@pytest.mark.parametrize("template", ["telephone.html", "vote.html"])
def test_a_page_has_the_letters_that_it_is_told_too(template: str) -> None:
    values = {"title": "甲", "document": '{"text": "丙"}', "scripts": ("page.js",)}
    page = render_page(template, DARK, told="乙", **values)
    assert "font-src data:" in page
    assert set("甲乙丙") <= letters_of(page)


def test_telephones_have_the_letters_of_the_questions() -> None:
    slides = _slides(None)
    slides[QUESTION] = replace(slides[QUESTION], narration="甲", choices=("乙", "丙"))
    talk = Talk.of(slides, WebDeck([], {}, lambda: ""), "A talk", DeckOptions())
    for page in (talk.telephone, talk.voting):
        assert set("甲乙丙") <= letters_of(page)


def test_a_browser_draws_chinese_with_the_fonts_of_the_page(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    text = render_page(
        "gallery.html", DARK, told="家", scenes=[], model="", prompt=CHINESE, ratio="16 / 9"
    )
    file.write_text(text, encoding="utf-8")
    letters = [*CHINESE, "家", "\U0010fffd"]
    with opened(browser, file) as open_page:
        page = open_page()
        for weight in (400, 600):
            font = f'{weight} 96px "{FAMILY}", "{OTHERS}"'
            page.evaluate("(font) => document.fonts.load(font, '记A')", font)
            drawn = page.evaluate(DRAW, [font, letters])
            assert len(set(drawn)) == len(letters), "none is the box of a missing letter"
        states = page.evaluate("[...document.fonts].map(({ status }) => status)")
        assert states == ["loaded"] * 3
