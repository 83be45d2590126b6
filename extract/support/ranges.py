"""Ranges of numbers and forms of texts, declared where a field is and checked where it is read.

A field says what may be in it by its type, as ``agreement: Share`` does; what reads records from a
file, `extract.trace.contents.json_records`, refuses all else.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated

__all__ = ["Amount", "Checksum", "Count", "Form", "Perplexity", "Range", "Share", "Size"]


@dataclass(frozen=True)
class Range:
    """The smallest and the largest number that a field may hold."""

    least: float
    most: float = math.inf

    def fault(self, value: float) -> str:
        """Return what a number should be instead; nothing if it is in the range."""
        if self.least <= value <= self.most:
            return ""
        return f"{self.least:g} " + ("or more" if self.most == math.inf else f"to {self.most:g}")


@dataclass(frozen=True)
class Form:
    """What a text in a field should be, and the pattern that all of it matches."""

    name: str
    pattern: str

    def fault(self, value: str) -> str:
        """Return what a text should be instead; nothing if it has the form."""
        return "" if re.fullmatch(self.pattern, value) else self.name


Share = Annotated[float, Range(0, 1)]
"""A part of a whole, or a probability."""

Amount = Annotated[float, Range(0)]
"""An error or a distance: nothing, or as large as it likes."""

Perplexity = Annotated[float, Range(1)]
"""1 for a model that is always sure and right."""

Count = Annotated[int, Range(0, 1e12)]
"""A whole number from 0 on."""

Size = Annotated[int, Range(1, 1e12)]
"""A whole number from 1 on, by which others can be divided."""

Checksum = Annotated[str, Form("a SHA-256 checksum", "[0-9a-f]{64}")]
"""Of a file's content."""
