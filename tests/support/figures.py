"""Check every number in the text and the narration of a scene.

A test lists the numbers that may occur, computed from the trace or from ``extract.architectures``
and formatted as the scene does it, and asserts that there are no others::

    allowed = spelled(kv_cache_bytes(r1), "{:,.0f}") | spelled(ratio, "{:.1f}")
    assert unexplained(all_texts(picture), allowed, names={"DeepSeek-V2", "table 9"}) == []
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.support.staging import BeatPicture

__all__ = ["all_texts", "spelled", "unexplained"]

# Thousands may be separated by commas; a full stop or comma after a number is not part of it.
FIGURE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def all_texts(picture: BeatPicture) -> list[str]:
    """Return all texts on screen at the end of a beat, also faint ones, and its narration."""
    return [*(item.text for item in picture.texts), picture.record.narration]


def spelled(value: float, *formats: str) -> set[str]:
    """Return a number in several formats, without units, such as "{:,.0f}"."""
    return {template.format(value) for template in formats}


def unexplained(
    texts: Iterable[str], allowed: Iterable[str], names: Iterable[str] = ()
) -> list[str]:
    """Return the numbers that are not allowed, each with the text in which it occurs.

    Parameters
    ----------
    texts
        What to check; see :func:`all_texts`.
    allowed
        Allowed numbers as they are written, such as "70,272".
    names
        Phrases whose digits are not checked: names of models, tables and pages of a paper.
    """
    known = set(allowed)
    # Longest first, so that "DeepSeek-V2" does not match a part of "DeepSeek-V2-Lite".
    phrases = sorted(names, key=len, reverse=True)
    name = re.compile("|".join(rf"(?<!\w){re.escape(phrase)}(?!\w)" for phrase in phrases) or r"$^")
    return [
        f"{figure} in {text!r}"
        for text in texts
        for figure in FIGURE.findall(name.sub(" ", text))
        if figure not in known
    ]
