"""The page about conversions shows the numbers of the trace."""

from __future__ import annotations

from docs.conversion_tables import PAGE, with_tables
from extract.trace import Trace
from extract.trace.contents.conversion_report import ConversionReport


def test_its_tables_are_those_of_the_trace(shipped: Trace) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page, shipped) == page, "python -m docs.conversion_tables"


def test_every_way_and_size_has_a_line_with_its_own_numbers(report: ConversionReport) -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert report.shared_set is not None
    shared = report.shared_set
    rows = [*report.ladder, report.stored, report.healed, shared.stored, shared.healed]
    for row in filter(None, rows):
        start = f"| {row.numbers} |"
        numbers = f"| {row.moved:.1%} |".replace("%", " %"), f"| {row.perplexity:,.1f} |"
        assert [n for n in lines if n.startswith(start) and all(part in n for part in numbers)]


def test_what_the_page_says_of_the_setting_is_so(report: ConversionReport) -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"keeps {report.cached} numbers" in page
    assert f"fitted to passages of {report.ladder[0].fitted_window} tokens" in page
    assert f"windows of {report.window:,} tokens" in page
    assert f"from the {report.window_first + 1}th on" in page
