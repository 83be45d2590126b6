"""What the tables of ``python -m extract`` share: their look, and what they leave out for room."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


def numbers_table(title: str, *columns: str, texts: Sequence[str] = ("model",)) -> Table:
    """Return an empty table of numbers.

    Parameters
    ----------
    title : str
    *columns : str
        Their headers.
    texts : sequence of str
        Headers of the columns that hold text, which begin on the left.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for column in columns:
        table.add_column(column, justify="left" if column in texts else "right", no_wrap=True)
    return table


class FittingTable:
    """A table that leaves out columns where they do not fit, instead of cutting off numbers.

    Parameters
    ----------
    table : Table
    spare : sequence of int
        Columns that may be left out, the first of them first.
    """

    def __init__(self, table: Table, spare: Sequence[int]) -> None:
        self._table, self._spare = table, spare

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, and a note if columns are left out."""
        table, dropped = copy(self._table), 0
        wide = options.update(max_width=1000)
        while dropped < len(self._spare) and (
            Measurement.get(console, wide, table).maximum > options.max_width
        ):
            dropped += 1
            left_out = self._spare[:dropped]
            table.columns = [c for n, c in enumerate(self._table.columns) if n not in left_out]
        yield table
        if dropped:
            names = (str(self._table.columns[n].header) for n in self._spare[:dropped])
            yield Text(f"Left out for want of room: {', '.join(names)}.".replace("\n", " "))
