"""Write the tables of ``docs/conversion.md`` again: ``python -m docs.conversion_tables``.

All of their numbers come from the report in the trace of the project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from extract.support.files import write_text
from extract.trace import Trace
from extract.trace.contents.conversion_report import ConversionReport, Row, conversion_report
from filmkit.core.project import PROJECT
from filmkit.render.traces import SHIPPED

__all__ = ["with_tables"]

PAGE = PROJECT / "docs" / "conversion.md"
TABLE = re.compile(r"^(?:\|.*\n)+", re.MULTILINE)

WAYS = {
    "model": "the model itself",
    "mqa": "mean of the sets",
    "mqa_fitted": "best shared set",
    "latent_then_rotate": "latent, keys rotated after",
    "mla": "MLA",
}


def with_tables(page: str, trace: Trace) -> str:
    """Return a page with its three tables made from a trace."""
    report = conversion_report(trace)
    made = iter([_ladder(report), _setting(report), _windows(report)])
    return TABLE.sub(lambda found: next(made), page)


def _ladder(report: ConversionReport) -> str:
    """Return all ways by how many numbers they keep: nothing is trained."""
    model, *rows = report.ladder
    order = list(WAYS)
    rows.sort(key=lambda row: (row.numbers, order.index(row.way)))
    return _table((_name(row), row) for row in (model, *rows))


def _setting(report: ConversionReport) -> str:
    """Return what is fitted to long windows and then trained for as long, beside what is not."""
    assert report.shared_set is not None
    lines = [
        (_name(report.ladder[0]), report.ladder[0]),
        (_name(report.ladder[1]), report.ladder[1]),
    ]
    for one in (report.shared_set, report):
        lines.append((f"{_name(one.stored)}, untrained", one.stored))
        if one.healed is not None:
            trained = f"{_name(one.healed)}, trained {report.heal_minutes:g} minutes"
            lines.append((trained, one.healed))
    return _table(lines)


def _windows(report: ConversionReport) -> str:
    """Return the perplexities of long windows."""
    lines = ["| way | perplexity |", "|---|---:|"]
    for row in report.windows:
        trained = f", trained {report.heal_minutes:g} minutes" if row.healed else ""
        lines.append(f"| {WAYS[row.way]}{trained} | {row.result.perplexity:,.1f} |")
    return "\n".join(lines) + "\n"


def _name(row: Row) -> str:
    """Return what a row is about; of MLA its latent and the rotated key beside it."""
    parts = f" ({row.rank} + {row.rotated})" if row.way == "mla" else ""
    return WAYS[row.way] + parts


def _table(rows: Iterable[tuple[str, Row]]) -> str:
    lines = [
        "| numbers kept | way | attention moved, all layers | perplexity | says next |",
        "|---:|---|---:|---:|---|",
    ]
    for name, row in rows:
        # On one line, as it goes on: with its line breaks written out.
        says = json.dumps(row.continuation, ensure_ascii=False).replace("|", r"\|")
        cells = row.numbers, name, f"{100 * row.moved:.1f} %", f"{row.perplexity:,.1f}", f"`{says}`"
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def main(page: Path = PAGE) -> None:
    """Write the tables of a page again."""
    write_text(page, with_tables(page.read_text(encoding="utf-8"), Trace.load(SHIPPED)))


if __name__ == "__main__":
    main()
