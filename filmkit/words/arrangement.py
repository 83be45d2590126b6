"""Describe the picture of a mosaic: which parts stand where, what is framed, lit or still empty.

A mosaic is read as people read it, line by line. A part in a line of its own above another one,
such as K^T above the scores, is said beside that one: "queries Q, then scores with keys above".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from filmkit.core.language import _
from filmkit.core.numbers import format_count, listed
from filmkit.core.token_text import printable

__all__ = ["FAINT", "arrangement", "own_texts", "semicolons"]

FAINT = 0.5
"""What has a lower presence or opacity counts as background."""

MAX_LIT = 4  # rows, columns or cells at full strength that are named one by one
MAX_QUOTE = 90  # letters that are quoted of a part's own texts

Document = Mapping[str, Any]


def arrangement(document: Document, names: Mapping[str, str]) -> list[str]:
    """Return sentences about the mosaic of a picture map; none if it has no mosaic.

    Parameters
    ----------
    document
        The picture map.
    names
        What each part is called, by its name in the mosaic.
    """
    if document["mosaic"] is None:
        return []
    parts = document["mosaic"]["parts"]
    framed = [_place(parts, names, **mark) for mark in document["mosaic"]["marks"]]
    lit, uneven = _lit(document, names)
    empty = [names[name] for name in _empty(document)]
    # Where there is one part alone with cells, the sentence about these says all.
    alone = len(parts) == 1 and bool(document["panels"])
    return [
        *([] if alone else [_lines(parts, names)]),
        *(
            [_("Framed, and alone at full strength: {places}.", places=listed(framed))]
            if framed and sorted(framed) == sorted(lit)
            else [
                *([_("Framed: {places}.", places=listed(framed))] if framed else []),
                *([_("Alone at full strength: {places}.", places=listed(lit))] if lit else []),
            ]
        ),
        *([_("Of varying strength: {parts}.", parts=listed(uneven))] if uneven else []),
        *([_("Still empty: {parts}.", parts=listed(empty))] if empty else []),
    ]


def own_texts(document: Document) -> dict[str, str]:
    """Return the texts of each part of a mosaic that has no cells of its own, cut if long."""
    found: dict[str, list[str]] = {}
    named = {part["name"] for part in document["mosaic"]["parts"] if part["words"]}
    named |= {panel["part"] for panel in document["panels"]}
    for text in document["texts"]:
        if text["part"] and text["part"] not in named:
            found.setdefault(text["part"], []).append(text["text"])
    return {name: _cut(" ".join(texts)) for name, texts in found.items()}


def _cut(text: str) -> str:
    """Return a text, or as many of its words as may be quoted."""
    if len(text) <= MAX_QUOTE:
        return text
    return text[:MAX_QUOTE].rpartition(" ")[0] + "…"


# What stands where


def _lines(parts: Sequence[Document], names: Mapping[str, str]) -> str:
    """Return a sentence about where the parts stand."""
    rows: dict[int, list[Document]] = {}
    for part in sorted(parts, key=lambda part: part["field"][1]):
        # What is as high as several rows stands in the last of them.
        rows.setdefault(part["field"][0][1], []).append(part)
    lines = dict(sorted(rows.items()))
    hung: dict[str, list[str]] = {}
    for row, line in list(lines.items()):
        others = [part for other, each in lines.items() if other != row for part in each]
        bases = {part["name"]: base for part in line if (base := _below(part, others))}
        if line[0]["field"][1][0] > 0 and len(bases) == len(line):
            for name, base in bases.items():
                hung.setdefault(base, []).append(name)
            del lines[row]

    def said(part: Document) -> str:
        above = [names[name] for name in hung.get(part["name"], [])]
        if not above:
            return names[part["name"]]
        return _("{part} with {others} above", part=names[part["name"]], others=listed(above))

    texts = [_then(map(said, line)) for line in lines.values()]
    if len(lines) == 1:
        alone = len(*lines.values()) == 1
        return (
            _("{parts}.", parts=texts[0]) if alone else _("Left to right: {parts}.", parts=texts[0])
        )
    if all(len(line) == 1 for line in lines.values()):
        return _("Top to bottom: {parts}.", parts=_then(texts))
    if len(lines) == 2:
        return _("Above: {above}. Below: {below}.", above=texts[0], below=texts[1])
    numbered = [_("row {number}: {parts}", number=i, parts=text) for i, text in enumerate(texts, 1)]
    return _("From above, {rows}.", rows=semicolons(numbered))


def _below(part: Document, others: Iterable[Document]) -> str | None:
    """Return the name of the part that stands right below another one, None if there is none."""
    (_first, end), (left, right) = part["field"]
    for other in others:
        (top, _end), (start, stop) = other["field"]
        if top == end and start < right and left < stop:
            return str(other["name"])
    return None


def _then(parts: Iterable[str]) -> str:
    return reduce(lambda some, more: _("{some}, then {more}", some=some, more=more), parts)


def semicolons(parts: Iterable[str]) -> str:
    """Return parts of a sentence, separated by semicolons."""
    return reduce(lambda some, more: _("{some}; {more}", some=some, more=more), parts)


# What is framed, lit or empty


def _place(
    parts: Sequence[Document], names: Mapping[str, str], part: str, row: Any, column: Any
) -> str:
    """Return a row, a column or a cell of a part in words; all of it if neither is given."""
    (of,) = (each for each in parts if each["name"] == part)
    across, down = _label(of["sides"][1], column), _label(of["sides"][0], row)
    if row is None and column is None:
        return names[part]
    if column is None:
        return _("row {row} of {part}", row=down, part=names[part])
    if row is None:
        return _("column {column} of {part}", column=across, part=names[part])
    return _("cell {row}, {column} of {part}", row=down, column=across, part=names[part])


def _label(side: Document | None, index: int | None) -> str:
    """Return the word of a row or column, or its number: as numbers there count, or from 1."""
    if index is None:
        return ""
    words = side["words"] if side else []
    if words:
        return _("“{text}”", text=printable(words[index]))
    if side is None:
        return format_count(index + 1)
    first = 1 if side["first"] is None else side["first"]
    return format_count(first + index % side["count"])


def _lit(document: Document, names: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the only rows, columns and cells at full strength, and parts of none or many such."""
    parts, lit, uneven = document["mosaic"]["parts"], [], []
    panels: dict[str, list[Document]] = {}
    for panel in document["panels"]:
        if panel["part"]:
            panels.setdefault(panel["part"], []).append(panel)
    for name, its in panels.items():
        if len(its) > 1 or not its[0]["hidden"]:
            continue
        strong = np.ones(its[0]["shape"], dtype=bool)
        strong[tuple(zip(*its[0]["hidden"], strict=True))] = False
        rows, columns = np.flatnonzero(strong.all(axis=1)), np.flatnonzero(strong.all(axis=0))
        places: list[tuple[int | None, int | None]]
        if strong.sum() == strong[rows].sum():
            places = [(int(row), None) for row in rows]
        elif strong.sum() == strong[:, columns].sum():
            places = [(None, int(column)) for column in columns]
        else:
            places = [(int(row), int(column)) for row, column in np.argwhere(strong)]
        if 0 < len(places) <= MAX_LIT:
            lit += [_place(parts, names, name, *place) for place in places]
        else:
            uneven.append(names[name])
    return lit, uneven


def _empty(document: Document) -> Iterator[str]:
    """Yield the names of parts with cells, none of which is drawn."""
    drawn = {panel["part"] for panel in document["panels"]}
    for part in document["mosaic"]["parts"]:
        if part["words"] and part["name"] not in drawn:
            yield part["name"]
