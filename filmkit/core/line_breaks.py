"""Where a line of text can be broken."""

from __future__ import annotations

import re
from itertools import chain

from uniseg.linebreak import line_break_units

from filmkit.core.fonts import is_east_asian

__all__ = ["break_units"]


def break_units(text: str) -> list[str]:
    """Return the parts of a text between which a line can be broken, with the blanks behind them.

    A text is broken at blanks, but not at a no-break space, and never between a number and the
    sign of percent or of multiplication behind it. Chinese and Japanese, which have no blanks, are
    broken between characters as Unicode's rules say (UAX 14): no line begins with a full stop.
    """
    words = re.findall(r"[^ ]+(?: [%×][^ ]*)* ?", text)
    return list(
        chain.from_iterable(
            line_break_units(word) if is_east_asian(word) else [word] for word in words
        )
    )
