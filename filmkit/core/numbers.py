"""Text of numbers as films write them: counts, shares, ratios and bytes."""

from __future__ import annotations

import math

import numpy as np

__all__ = [
    "MINUS",
    "format_count",
    "format_gigabytes",
    "format_kilobytes",
    "format_number",
    "format_percent",
    "format_power_of_ten",
    "format_ratio",
    "format_share",
    "format_short",
    "readable_bytes",
    "spoken_bytes",
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
    text = f"{abs(rounded):,.{max(places, 0)}f}"
    return f"{MINUS if rounded < 0 else ''}{text}"


def format_share(share: float) -> str:
    """Return a share in [0, 1] as a percentage, with one decimal below 10 %.

    >>> format_share(0.0424), format_share(0.6)
    ('4.2 %', '60 %')
    """
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %"


def format_count(count: float) -> str:
    """Return a count with all its digits.

    >>> format_count(70272)
    '70,272'
    """
    return f"{count:,.0f}"


def format_short(value: float) -> str:
    """Return a number with three significant digits, or with all of them if it is whole.

    >>> format_short(56.889), format_short(8.0)
    ('56.9', '8')
    """
    return format_count(value) if value == round(value) else format_number(value)


def format_ratio(ratio: float) -> str:
    """Return a ratio with a multiplication sign.

    >>> format_ratio(56.889)
    '56.9 ×'
    """
    return f"{format_short(ratio)} ×"


def format_kilobytes(count: float) -> str:
    """Return bytes as kilobytes of 1000."""
    return f"{format_short(count / 1e3)} kB"


def format_gigabytes(count: float) -> str:
    """Return bytes as gigabytes of 10^9."""
    return f"{format_short(count / 1e9)} GB"


def format_percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage, always with one decimal."""
    return f"{100 * share:.1f} %"


UNITS = ((1e9, "GB", "gigabytes"), (1e6, "MB", "megabytes"), (1e3, "kB", "kilobytes"))


def _scaled(count: float) -> tuple[str, str, str]:
    """Return bytes as a number of two or three digits, its abbreviated unit and its full unit."""
    for size, unit, full_unit in UNITS:
        if count >= size:
            return format_number(count / size, 3 if count >= 100 * size else 2), unit, full_unit
    return format_count(count), "bytes", "bytes"


def readable_bytes(count: float) -> str:
    """Return bytes in the largest unit that fits, abbreviated.

    >>> readable_bytes(23040), readable_bytes(3997696)
    ('23 kB', '4.0 MB')
    """
    number, unit, _ = _scaled(count)
    return f"{number} {unit}"


def spoken_bytes(count: float) -> str:
    """Return bytes in the largest unit that fits, in full, for narration.

    >>> spoken_bytes(3997696)
    '4.0 megabytes'
    """
    number, _, unit = _scaled(count)
    return f"{number} {unit}"


def format_counted(number: int, name: str) -> str:
    """Return a number with what it counts: "1 head", "30 layers"."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def format_large_share(share: float) -> str:
    """Return a share as a percentage; one below 1 is not rounded up to 100 %.

    >>> format_large_share(0.72), format_large_share(0.9998)
    ('72 %', 'over 99.9 %')
    """
    if round(100 * share) < 100:
        return format_share(share)
    return f"over {math.floor(1000 * share) / 10:.1f} %" if share < 1 else "100 %"


def format_power_of_ten(value: float) -> str:
    """Return a small number as a digit times a power of ten, in Typst mathematics.

    >>> format_power_of_ten(0.00032)
    '3 times 10^(-4)'
    """
    if value == 0:
        return "0"
    exponent = int(np.floor(np.log10(value)))
    digit = round(value / 10.0**exponent)
    if digit == 10:
        digit, exponent = 1, exponent + 1
    return f"{digit} times 10^({exponent})"
