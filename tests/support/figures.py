"""Accounting for every number that a scene shows or says.

A test lists what may be said, computed from the trace or from ``extract.architectures`` and
written as the scene writes it, and asks which digits are left unexplained::

    allowed = spelled(kv_cache_bytes(r1), "{:,.0f}") | spelled(ratio, "{:.1f}")
    assert unexplained(said(picture), allowed, names={"DeepSeek-V2", "table 9"}) == []
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.support.staging import BeatPicture

__all__ = ["said", "spelled", "unexplained"]

# Thousands may be set off by commas; a full stop or comma that ends a sentence is no part of it.
FIGURE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def said(picture: BeatPicture) -> list[str]:
    """All texts on screen at the end of a beat, however faint, and its narration."""
    return [*(item.text for item in picture.texts), picture.record.narration]


def spelled(value: float, *formats: str) -> set[str]:
    """A number in the ways it may be written: digits alone, without units."""
    return {written.format(value) for written in formats}


def unexplained(
    texts: Iterable[str], allowed: Iterable[str], names: Iterable[str] = ()
) -> list[str]:
    """Numbers that are not allowed, each with the text it stands in.

    Parameters
    ----------
    texts
        What is said; see :func:`said`.
    allowed
        Numbers as they are written, such as "70,272".
    names
        Phrases whose digits are no quantity: names of models, tables and pages of a paper.
    """
    known = set(allowed)
    # Longest first, so that "DeepSeek-V2" does not leave a part of "DeepSeek-V2-Lite" behind.
    phrases = sorted(names, key=len, reverse=True)
    name = re.compile("|".join(rf"(?<!\w){re.escape(phrase)}(?!\w)" for phrase in phrases) or r"$^")
    return [
        f"{figure} in {text!r}"
        for text in texts
        for figure in FIGURE.findall(name.sub(" ", text))
        if figure not in known
    ]
