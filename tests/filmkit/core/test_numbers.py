"""Numbers as films write them, in English and as CLDR has them in other languages."""

from __future__ import annotations

import numpy as np
import pytest

from filmkit.core.language import Language, ngettext, use_language
from filmkit.core.numbers import (
    counted_heads,
    format_count,
    format_decimal,
    format_exact,
    format_gigabytes,
    format_number,
    format_percent,
    format_share,
    format_short,
    listed,
    readable_bytes,
    separated,
    spoken_bytes,
    spoken_share,
    whole_percent,
)
from filmkit.core.text import Number

LANGUAGES = ("en", "fr", "zh", "es", "de")

# CLDR 48, as ICU 78 writes them, but with a true minus sign.
DECIMALS = {
    (0.5, 1): ("0.5", "0,5", "0.5", "0,5", "0,5"),
    (999.0, 0): ("999", "999", "999", "999", "999"),
    (1234.5, 1): ("1,234.5", "1\u202f234,5", "1,234.5", "1234,5", "1.234,5"),
    (-12345.678, 2): (
        "−12,345.68",
        "−12\u202f345,68",
        "−12,345.68",
        "−12.345,68",
        "−12.345,68",
    ),
    (9999.9, 0): ("10,000", "10\u202f000", "10,000", "10.000", "10.000"),
    (1234567.0, 0): ("1,234,567", "1\u202f234\u202f567", "1,234,567", "1.234.567", "1.234.567"),
    (-0.04, 1): ("0.0", "0,0", "0.0", "0,0", "0,0"),
}
PERCENT = {
    (0.042, 1): ("4.2%", "4,2\u00a0%", "4.2%", "4,2\u00a0%", "4,2\u00a0%"),
    (-0.5, 0): ("−50%", "−50\u00a0%", "−50%", "−50\u00a0%", "−50\u00a0%"),
    (12.5, 0): ("1,250%", "1\u202f250\u00a0%", "1,250%", "1250\u00a0%", "1.250\u00a0%"),
}


@pytest.mark.parametrize("number", DECIMALS)
def test_decimals_are_those_of_the_language(number: tuple[float, int]) -> None:
    for code, text in zip(LANGUAGES, DECIMALS[number], strict=True):
        with use_language(code):
            assert format_decimal(*number) == text, code


@pytest.mark.parametrize("share", PERCENT)
def test_percentages_are_those_of_the_language(share: tuple[float, int]) -> None:
    for code, text in zip(LANGUAGES, PERCENT[share], strict=True):
        with use_language(code):
            assert format_percent(*share) == text, code


@pytest.mark.parametrize("code", ["fr", "zh", "es", "de", "pl", "pt_BR", "pt_PT", "it", "ja"])
def test_grouping_is_that_of_babel_but_for_four_digits(code: str) -> None:
    from babel.numbers import format_decimal as babels

    language = Language(code)
    for number in (0, 7, 999, 12_345, 70_272, 1_000_000, 123_456_789):
        assert language.decimal(number) == babels(number, locale=language.locale)
    four_digits = {
        "fr": "1\u202f024",
        "zh": "1,024",
        "de": "1.024",
        "pt_BR": "1.024",
        "ja": "1,024",
    }
    assert language.decimal(1024) == four_digits.get(code, "1024")


@pytest.mark.parametrize(
    ("write", "english", "french", "chinese"),
    [
        (lambda: format_number(-0.123456), "−0.123", "−0,123", "−0.123"),
        (lambda: format_number(0.0), "0", "0", "0"),
        (lambda: format_exact(0.0005), "0.0005", "0,0005", "0.0005"),
        (lambda: format_count(70272), "70,272", "70\u202f272", "70,272"),
        (lambda: format_short(56.889), "56.9", "56,9", "56.9"),
        (lambda: format_short(4096.0), "4,096", "4\u202f096", "4,096"),
        (lambda: format_share(0.0424), "4.2%", "4,2\u00a0%", "4.2%"),
        (lambda: format_share(0.6), "60%", "60\u00a0%", "60%"),
        (lambda: spoken_share(0.333), "33 percent", "33\u00a0pour cent", "33%"),
        (lambda: readable_bytes(23040), "23 kB", "23\u00a0ko", "23\u00a0kB"),
        (lambda: readable_bytes(3997696), "4.0 MB", "4,0\u00a0Mo", "4.0\u00a0MB"),
        (lambda: readable_bytes(12), "12 bytes", "12\u00a0octets", "12 字节"),
        (lambda: format_gigabytes(80e9), "80 GB", "80\u00a0Go", "80\u00a0GB"),
        (lambda: spoken_bytes(1.5e9), "1.5 gigabytes", "1,5\u00a0gigaoctets", "1.5\u00a0GB"),
        (lambda: counted_heads(1), "1 head", "1\u00a0tête", "1 个头"),
        (lambda: counted_heads(9), "9 heads", "9\u00a0têtes", "9 个头"),
        (lambda: listed(["1", "4", "5"]), "1, 4 and 5", "1, 4 et 5", "1、4、5"),
        (lambda: separated(["0", "2"]), "0, 2", "0, 2", "0、2"),
    ],
)
def test_what_is_written_in_one_language_after_another(
    write: object, english: str, french: str, chinese: str
) -> None:
    assert callable(write)
    for code, text in zip(
        ("en", "fr", "zh", "en"), (english, french, chinese, english), strict=True
    ):
        with use_language(code):
            assert write() == text, code


def test_plural_forms_are_those_of_the_language() -> None:
    words = "{number} key/value head", "{number} key/value heads"
    with use_language("fr"):
        # In French, none is singular.
        assert [ngettext(*words, number) for number in (0, 1, 2)] == [
            "0 tête clé/valeur",
            "1 tête clé/valeur",
            "2 têtes clé/valeur",
        ]


def test_numbers_on_screen_have_digits_of_one_width_in_every_language() -> None:
    widths = {}
    for code in ("en", "fr", "zh", "en"):
        with use_language(code):
            number = Number(11111.5)
            width, right = number.width, number.get_right()[0]
            number.set_value(88888.8)
            assert number.width == pytest.approx(width)
            assert number.get_right()[0] == pytest.approx(right, abs=1e-6)
            assert number.text == format_decimal(88888.8, 1)
            assert widths.setdefault(code, width) == pytest.approx(width)
    assert np.ptp(list(widths.values())) < 0.25 * widths["en"]


def test_whole_percents_have_no_digits_after_their_point() -> None:
    assert [whole_percent(share) for share in (0.334, 0.996, 0.0)] == ["33%", "100%", "0%"]
