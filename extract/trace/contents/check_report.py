"""What a comparison with published figures found, as a trace's metadata hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from extract.support.ranges import Amount, Count, Size
from extract.trace.contents.json_records import from_json

__all__ = ["CheckReport", "FigureComparison"]


@dataclass(frozen=True)
class FigureComparison:
    """Comparison of a trace with one set of figures.

    Parameters
    ----------
    what : str
        Description of what is compared.
    difference : float
        The largest absolute difference, or the number of words that differ.
    limit : float
        The largest difference that the figures' precision allows.
    compared : int
        Number of figures compared.
    parts_agreeing, parts : int
        How many of the parts that were compared one by one agree, such as heads; 0 without parts.
    """

    what: str
    difference: Amount
    limit: Amount
    compared: Size
    parts_agreeing: Count = 0
    parts: Count = 0

    @property
    def agrees(self) -> bool:
        """Whether the difference, and with it each part's, is within the limit."""
        return self.difference <= self.limit


@dataclass(frozen=True)
class CheckReport:
    """Result of all comparisons.

    Attributes
    ----------
    figures : str
        Description of the figures and their origin.
    comparisons : tuple of FigureComparison
    """

    figures: str
    comparisons: tuple[FigureComparison, ...]

    @property
    def agrees(self) -> bool:
        """Whether all comparisons agree."""
        return all(comparison.agrees for comparison in self.comparisons)

    def as_json(self) -> dict[str, Any]:
        """Return the result as stored in a trace's metadata."""
        comparisons = [
            asdict(comparison) | {"agrees": comparison.agrees} for comparison in self.comparisons
        ]
        return {"figures": self.figures, "agrees": self.agrees, "comparisons": comparisons}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CheckReport:
        """Read the result from a trace's metadata.

        Raises
        ------
        TypeError
            If it is damaged, or says that something agrees that does not; see `json_records`.
        """
        comparisons = document.get("comparisons")
        figures = [
            {name: value for name, value in entry.items() if name != "agrees"}
            for entry in (comparisons if isinstance(comparisons, list) else ())
            if isinstance(entry, dict)
        ]
        known = {"figures": document.get("figures"), "comparisons": figures}
        report: CheckReport = from_json(cls, known, "the check")
        if report.as_json() != document:
            raise TypeError("its 'check' contradicts itself")
        return report
