"""Numbers in words: counts, shares, ratios, bytes and lists of heads, as they are written."""

from __future__ import annotations

import numpy as np

__all__ = [
    "MINUS",
    "format_number",
    "format_share",
    "gigabytes",
    "kilobytes",
    "percent",
    "readable_bytes",
    "short",
    "spoken_bytes",
    "times",
    "whole",
]

MINUS = "\N{MINUS SIGN}"


def format_number(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits and a true minus sign.

    >>> format_number(-0.123456)
    '−0.123'
    """
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else str(value)
    places = digits - 1 - int(np.floor(np.log10(abs(value))))
    rounded = round(value, places)
    text = f"{abs(rounded):,.{max(places, 0)}f}"
    return f"{MINUS if rounded < 0 else ''}{text}"


def format_share(share: float) -> str:
    """A number in [0, 1] as a percentage, with one decimal below 10 %.

    >>> format_share(0.0424), format_share(0.6)
    ('4.2 %', '60 %')
    """
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %"


def whole(count: float) -> str:
    """A count in full.

    >>> whole(70272)
    '70,272'
    """
    return f"{count:,.0f}"


def short(value: float) -> str:
    """A number with three digits, or in full if it is whole.

    >>> short(56.889), short(8.0)
    ('56.9', '8')
    """
    return whole(value) if value == round(value) else format_number(value)


def times(ratio: float) -> str:
    """A ratio."""
    return f"{short(ratio)} ×"


def kilobytes(count: float) -> str:
    """Bytes in thousands."""
    return f"{short(count / 1e3)} kB"


def gigabytes(count: float) -> str:
    """Bytes in thousands of millions."""
    return f"{short(count / 1e9)} GB"


def percent(share: float) -> str:
    """A share with one decimal."""
    return f"{100 * share:.1f} %"


UNITS = ((1e9, "GB", "gigabytes"), (1e6, "MB", "megabytes"), (1e3, "kB", "kilobytes"))


def _scaled(count: float) -> tuple[str, str, str]:
    """Bytes as a number of two or three digits, and its unit short and in full."""
    for size, unit, spoken in UNITS:
        if count >= size:
            return format_number(count / size, 3 if count >= 100 * size else 2), unit, spoken
    return whole(count), "bytes", "bytes"


def readable_bytes(count: float) -> str:
    """Bytes in the unit that suits them.

    >>> readable_bytes(23040), readable_bytes(3997696)
    ('23 kB', '4.0 MB')
    """
    number, unit, _ = _scaled(count)
    return f"{number} {unit}"


def spoken_bytes(count: float) -> str:
    """The same for the ear.

    >>> spoken_bytes(3997696)
    '4.0 megabytes'
    """
    number, _, unit = _scaled(count)
    return f"{number} {unit}"
