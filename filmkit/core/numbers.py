"""Text of numbers as films write them, in the language in use: counts, shares, ratios and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import reduce

import numpy as np

from filmkit.core.language import N_, _, current_language, ngettext

__all__ = [
    "MINUS",
    "counted_heads",
    "counted_layers",
    "counted_minutes",
    "counted_patterns",
    "counted_sets",
    "counted_words",
    "format_count",
    "format_decimal",
    "format_exact",
    "format_gigabytes",
    "format_number",
    "format_percent",
    "format_rough",
    "format_share",
    "format_short",
    "listed",
    "readable_bytes",
    "separated",
    "spoken_bytes",
    "spoken_share",
    "whole_percent",
]

MINUS = "\N{MINUS SIGN}"


def format_number(value: float, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits and a true minus sign.

    >>> format_number(-0.123456)
    '−0.123'
    """
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else str(value)
    places = digits - 1 - int(np.floor(np.log10(abs(value))))
    rounded = round(value, places)
    return format_decimal(rounded, max(places, 0))


def format_decimal(value: float, digits: int = 0) -> str:
    """Return a number with ``digits`` digits after its point and a true minus sign.

    >>> format_decimal(-1234.5, 2)
    '−1,234.50'
    """
    text = current_language().decimal(value, digits)
    return MINUS + text if value < 0 and float(f"{value:.{digits}f}") else text


def format_exact(value: float) -> str:
    """Return a number with as many digits as it is written with.

    >>> format_exact(0.0005), format_exact(3.0)
    ('0.0005', '3')
    """
    exponent = Decimal(f"{value:g}").as_tuple().exponent
    assert isinstance(exponent, int), value
    return format_decimal(value, max(0, -exponent))


def format_share(share: float) -> str:
    """Return a share in [0, 1] as a percentage, with one decimal below 10 %.

    >>> format_share(0.0424), format_share(0.6)
    ('4.2%', '60%')
    """
    return format_percent(share, 0 if 100 * share >= 9.95 else 1)


def spoken_share(share: float, digits: int = 0) -> str:
    """Return a share in [0, 1] for narration, such as "33 percent"."""
    return _("{number} percent", number=format_decimal(100 * share, digits))


def format_count(count: float) -> str:
    """Return a count with all its digits.

    >>> format_count(70272)
    '70,272'
    """
    return format_decimal(count)


def format_short(value: float) -> str:
    """Return a number with three significant digits, or with all of them if it is whole.

    >>> format_short(56.889), format_short(8.0)
    ('56.9', '8')
    """
    return format_count(value) if value == round(value) else format_number(value)


def format_rough(value: float) -> str:
    """Return a number with one significant digit, as a guess is written.

    >>> format_rough(29.5), format_rough(0.33)
    ('30', '0.3')
    """
    return format_number(value, 1)


def format_gigabytes(count: float) -> str:
    """Return bytes as gigabytes of 10^9."""
    return _("{number} GB", number=format_short(count / 1e9))


def format_percent(share: float, digits: int = 1) -> str:
    """Return a share in [0, 1] as a percentage, with ``digits`` digits after its point.

    >>> format_percent(0.0424)
    '4.2%'
    """
    return current_language().percent(format_decimal(100 * share, digits))


def whole_percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage without digits after its point, such as "33%"."""
    return format_percent(share, 0)


UNITS = (
    (1e9, N_("{number} GB"), N_("{number} gigabytes")),
    (1e6, N_("{number} MB"), N_("{number} megabytes")),
    (1e3, N_("{number} kB"), N_("{number} kilobytes")),
)


def _scaled(count: float) -> tuple[str, str, str]:
    """Return bytes as a number of two or three digits, its abbreviated unit and its full unit."""
    for size, unit, full_unit in UNITS:
        if count >= size:
            return format_number(count / size, 3 if count >= 100 * size else 2), unit, full_unit
    return format_count(count), N_("{number} bytes"), N_("{number} bytes")


def readable_bytes(count: float) -> str:
    """Return bytes in the largest unit that fits, abbreviated.

    >>> readable_bytes(23040), readable_bytes(3997696)
    ('23 kB', '4.0 MB')
    """
    number, unit, _full = _scaled(count)
    return _(unit, number=number)


def spoken_bytes(count: float) -> str:
    """Return bytes in the largest unit that fits, in full, for narration.

    >>> spoken_bytes(3997696)
    '4.0 megabytes'
    """
    number, _unit, full_unit = _scaled(count)
    return _(full_unit, number=number)


def counted_heads(number: int) -> str:
    """Return a number of heads: "1 head", "9 heads"."""
    return ngettext("{number} head", "{number} heads", number)


def counted_layers(number: int) -> str:
    """Return a number of layers: "1 layer", "30 layers"."""
    return ngettext("{number} layer", "{number} layers", number)


def counted_minutes(number: float) -> str:
    """Return a number of minutes: "3 minutes"."""
    return ngettext("{number} minute", "{number} minutes", round(number))


def counted_patterns(number: int) -> str:
    """Return a number of patterns: "1 pattern", "270 patterns"."""
    return ngettext("{number} pattern", "{number} patterns", number)


def counted_sets(number: int) -> str:
    """Return a number of sets of keys and values: "1 set", "3 sets"."""
    return ngettext("{number} set", "{number} sets", number)


def counted_words(number: int) -> str:
    """Return a number of words: "1 word", "9 words"."""
    return ngettext("{number} word", "{number} words", number)


def listed(parts: Sequence[str]) -> str:
    """Return the parts as a list in words.

    >>> listed(["3"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('3', 'a and b', 'a, b and c')
    """
    *others, last = parts
    return _("{some} and {last}", some=separated(others), last=last) if others else last


def separated(parts: Sequence[str]) -> str:
    """Return the parts one after another, with what separates the parts of a list.

    >>> separated(["0", "2", "5"])
    '0, 2, 5'
    """
    return reduce(lambda some, more: _("{some}, {more}", some=some, more=more), parts)
