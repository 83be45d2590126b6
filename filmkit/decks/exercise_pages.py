"""The pages of exercises to do by hand, and their solutions, as a worksheet shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from filmkit.core.language import _, current_language, ngettext
from filmkit.core.model_places import origin_notes
from filmkit.core.numbers import (
    MINUS,
    format_count,
    format_decimal,
    format_exact,
    format_number,
    separated,
)
from filmkit.core.token_text import printable
from filmkit.core.view import HeadView, LayerView
from filmkit.decks.exercises import Exercises, Pair, Word, digits, exercises_of, power

__all__ = ["Block", "Page", "exercise_pages", "sentence"]

Block = dict[str, Any]
"""A part of a page, as the template reads it: its "kind" and what it shows."""

POWER_ROWS = 6  # of the table of powers of e: beyond them all are 0.00
MOST_NAMED = 6  # words that have no row of their own, by their names


@dataclass(frozen=True)
class Page:
    """A page of a worksheet; one that is long goes on on the next.

    Attributes
    ----------
    title
        Its title.
    blocks
        What is below.
    source
        Where its numbers come from; "" if that stands elsewhere.
    solved
        Whether it shows solutions; else pupils write on it, and first of all their names.
    """

    title: str
    blocks: list[Block]
    source: str = ""
    solved: bool = False


def exercise_pages(view: HeadView) -> list[Page]:
    """Return two pages of exercises with the numbers of a head, and one of their solutions."""
    layer, meta = view.layer, view.layer.trace.meta
    tasks = exercises_of(view)
    place = _("layer {layer}, head {head}", layer=layer.layer, head=view.head)
    source = "  ·  ".join([*origin_notes(meta), meta.model, place])
    return [
        Page(
            _("How well do two words match?"),
            [
                sentence(layer, _roles(tasks)),
                _heading(1, _("A dot product")),
                *_match_text(tasks),
                *(_match_table(tasks, pair) for pair in tasks.pairs),
                *_match_end(tasks),
                {"kind": "squares"},
            ],
            source,
        ),
        Page(
            _("From scores to shares, from shares to a mix"),
            [
                _heading(2, _("Softmax")),
                *_softmax_text(tasks),
                _softmax_table(tasks),
                _power_table(tasks),
                _heading(3, _("A weighted mix")),
                *_mix_text(tasks),
                _mix_table(tasks),
                {"kind": "squares"},
            ],
            source,
        ),
        Page(
            _("Solutions"),
            [
                _heading(1, _("A dot product")),
                *_match_solutions(tasks),
                _heading(2, _("Softmax")),
                _softmax_table(tasks, solved=True),
                _text(_sum_of_shares(tasks)),
                _heading(3, _("A weighted mix")),
                _mix_table(tasks, solved=True),
                _text(_("What differs from the model’s own numbers was lost by rounding.")),
            ],
            source,
            solved=True,
        ),
    ]


# --- A dot product --------------------------------------------------------------------------------


def _roles(tasks: Exercises) -> dict[int, str]:
    """Return the roles of the words that meet, by their numbers."""
    return {pair.word.number: "key" for pair in tasks.pairs} | {tasks.word.number: "query"}


def sentence(layer: LayerView, roles: Mapping[int, str]) -> Block:
    """Return the words that are drawn, with their numbers, and the colours of their roles."""
    first = layer.first + 1 - layer.trace.meta.has_bos
    words = [
        {"number": format_count(number), "text": printable(text), "role": roles.get(number, "")}
        for number, text in enumerate(layer.words, first)
    ]
    cut = layer.first > layer.trace.meta.has_bos
    return {"kind": "sentence", "words": words, "begins": "…" if cut else ""}


def _match_text(tasks: Exercises) -> list[Block]:
    query, keys = tasks.word.text, [pair.word.text for pair in tasks.pairs]
    width = format_count(tasks.width)
    sentences = [
        _(
            "A model reads this. To find out which words matter for “{query}”, it compares the "
            "query of “{query}” with the key of each word. Each is a list of {width} numbers: the "
            "better two match, the larger is their dot product.",
            query=query,
            width=width,
        )
    ]
    count = format_count(len(tasks.channels))
    if len(tasks.channels) == tasks.width:
        sentences += [
            _("The tables have all of them, rounded."),
            _("The rest is what was lost by rounding."),
        ]
    else:
        sentences += [
            _(
                "The tables have {count} of these {width} channels, rounded: those whose products "
                "favour “{key}” over “{other}” most.",
                count=count,
                width=width,
                key=keys[0],
                other=keys[1],
            )
            if len(keys) > 1
            else _(
                "The tables have {count} of these {width} channels, rounded: those with the "
                "largest products.",
                count=count,
                width=width,
            ),
            _(
                "The rest is added up for you: the products of all other channels, and what was "
                "lost by rounding."
            ),
        ]
    steps = [
        _("Multiply the two numbers of each channel."),
        _("Add up all products: that is the sum."),
        _step_to_score(tasks),
        _("Round the score to one decimal."),
    ]
    if tasks.pairs[0].bias is not None:
        steps.insert(-1, _("Add the number for the distance of the two words."))
    return [_text(*sentences), {"kind": "steps", "items": steps}]


def _step_to_score(tasks: Exercises) -> str:
    if tasks.divisor == 1:
        return _("The sum is the score.")
    number, width = format_exact(float(tasks.divisor)), format_count(tasks.width)
    step = _("Divide the sum by {number}: that is the score.", number=number)
    if not tasks.is_root:
        return step
    equals = "=" if tasks.divisor**2 == tasks.width else "≈"
    return (
        step
        + current_language().space
        + _(
            "{root} keeps sums of {width} products moderate.",
            root=f"√{width} {equals} {number}",
            width=width,
        )
    )


def _match_table(tasks: Exercises, pair: Pair, *, solved: bool = False) -> Block:
    query, key = tasks.word.text, pair.word.text
    top = [_("channel"), *map(format_count, tasks.channels), _("the rest"), _("sum")]
    results = [*map(_task, pair.products), _given(pair.rest), _task(pair.total)]
    if pair.bias is not None:
        top.append(_("distance"))
        results.append(_given(pair.bias))
    top.append(_("score"))
    results.append(_task(pair.score))
    lines = [
        _line(_("query of “{word}”", word=query), map(_given, tasks.query), "query"),
        _line(_("key of “{word}”", word=key), map(_given, pair.key), "key"),
        _line(_("products"), results, "scores"),
    ]
    caption = _("“{query}” asks, “{key}” answers", query=query, key=key)
    return _table(top, lines, caption=caption, solved=solved)


def _match_end(tasks: Exercises) -> list[Block]:
    blocks: list[Block] = []
    if len(tasks.pairs) > 1:
        question = _("Which of the two matches “{query}” better?", query=tasks.word.text)
        blocks.append({"kind": "blank", "text": question})
    if tasks.cap:
        cap = format_exact(tasks.cap)
        squeezed = _(
            "This model then squeezes all scores between {low} and {high}; those of exercise 2 are "
            "squeezed already.",
            low=MINUS + cap,
            high=cap,
        )
        blocks.append(_text(squeezed))
    return blocks


def _match_solutions(tasks: Exercises) -> list[Block]:
    blocks: list[Block] = []
    for pair in tasks.pairs:
        own = _(
            "The model’s own, with all {width} channels and not rounded: sum {sum}, score {score}.",
            width=format_count(tasks.width),
            sum=format_decimal(pair.model_total, 2),
            score=format_decimal(pair.model_score, 2),
        )
        blocks += [_match_table(tasks, pair, solved=True), _text(own)]
    if len(tasks.pairs) > 1:
        scores = [pair.score for pair in tasks.pairs]
        better = tasks.pairs[scores.index(max(scores))].word.text
        blocks.append(
            _text(
                _("“{key}” matches better.", key=better)
                if len(set(scores)) > 1
                else _("Rounded, both match equally well.")
            )
        )
    return blocks


# --- A softmax ------------------------------------------------------------------------------------


def _softmax_text(tasks: Exercises) -> list[Block]:
    query = tasks.word.text
    sentences = [_("These are the model’s own scores of “{query}”, rounded.", query=query)]
    if tasks.left_out:
        count = format_count(len(tasks.rows))
        sentences.append(
            _("The {count} words with the largest shares have rows of their own.", count=count)
        )
        sentences.append(
            _("The powers of all others are found in the same way, and added up for you.")
        )
    if 0 < len(tasks.left_out) <= MOST_NAMED:
        # The beginning token is no word.
        names = separated(
            [_("“{word}”", word=word.text) if word.number else word.text for word in tasks.left_out]
        )
        sentences.append(_("All others: {words}.", words=names))
    for word in tasks.hidden:
        if word.number > tasks.word.number:
            masked = _(
                "“{word}” comes after “{query}”: it is masked, so its share is 0.",
                word=word.text,
                query=query,
            )
        else:
            masked = ngettext(
                "This layer reads {number} word at most: “{word}” is masked.",
                "This layer reads {number} words at most: “{word}” is masked.",
                tasks.window,
                word=word.text,
            )
        sentences.append(masked)
    if tasks.sink is not None:
        sentences.append(_("The sink takes a share too, but is no word and has no value."))
    steps = [
        _("Subtract the largest score from each score: no share changes, and numbers stay small."),
        _("Look up e to the power of the difference; e is about {e}.", e=format_decimal(math.e, 3)),
        _("Add up these powers: that is the sum."),
        _("Divide each power by the sum, and round to two decimals: that is the share."),
    ]
    if min(each.difference for each in tasks.rows) <= -POWER_ROWS:
        steps[1] += current_language().space + _(
            "Beyond the table it is {zero}.", zero=_written(Decimal("0.00"))
        )
    return [_text(*sentences), {"kind": "steps", "items": steps}]


def _softmax_table(tasks: Exercises, *, solved: bool = False) -> Block:
    def own(share: float) -> list[Block]:
        return [_note(format_decimal(share, 3))] if solved else []

    lines = {
        each.word.number: _line(
            _numbered(each.word),
            [
                _given(each.score),
                *map(_task, (each.difference, each.power, each.share)),
                *own(each.model_share),
            ],
            "scores",
        )
        for each in tasks.rows
    }
    for word in tasks.hidden:
        cells = [_note(_("masked")), FREE, FREE, _note(format_count(0)), *own(0.0)]
        lines[word.number] = _line(_numbered(word), cells)
    last = [
        _line(name, [FREE, FREE, _given(each.power), _task(each.share), *own(each.model_share)])
        for each, name in (
            (tasks.others, _others(tasks)),
            (tasks.sink, _("the sink")),
        )
        if each is not None
    ]
    last.append(_line(_("sum"), [FREE, FREE, _task(tasks.total)], "scores"))
    largest = max(each.score for each in tasks.rows)
    top = [
        _("word"),
        _("score"),
        _("score − {largest}", largest=_written(largest))
        if largest >= 0
        else _("score + {largest}", largest=_written(-largest)),
        _("e to that power"),
        _("share"),
    ]
    if solved:
        top.append(_("the model’s own"))
    return _table(top, [lines[number] for number in sorted(lines)] + last, solved=solved)


def _power_table(tasks: Exercises) -> Block:
    """Return the table in which the powers of e are looked up, as far as the exercise needs it."""
    least = min(each.difference for each in tasks.rows)
    wholes = [Decimal(-number) for number in range(min(POWER_ROWS, int(-least) + 1))]
    tenths = [Decimal(number).scaleb(-1) for number in range(10)]
    lines = [
        _line(_written(whole), [_note(_written(power(whole - tenth))) for tenth in tenths])
        for whole in wholes
    ]
    caption = _(
        "e to the power of {number} stands in the row of {whole}, below {tenth}",
        number=_written(wholes[-1] - tenths[-1]),
        whole=_written(wholes[-1]),
        tenth=_written(tenths[-1]),
    )
    return _table(["", *map(_written, tenths)], lines, caption=caption, solved=True)


def _sum_of_shares(tasks: Exercises) -> str:
    total = sum((each.share for each in tasks.summands), start=Decimal(0))
    if total == 1:
        return _("The shares add up to 1.")
    return _("The shares add up to {sum}, not to 1, because each is rounded.", sum=_written(total))


# --- A weighted mix -------------------------------------------------------------------------------


def _mix_text(tasks: Exercises) -> list[Block]:
    query = tasks.word.text
    sentences = [
        _(
            "Each word has values, too: {width} numbers. “{query}” takes from the values of each "
            "word the word’s share. Here are the channels in which the result is largest, rounded.",
            width=format_count(tasks.value_width),
            query=query,
        )
    ]
    if tasks.left_out:
        sentences.append(_("Of all others there is the mean, weighted by their shares."))
    steps = [
        _("Copy the shares. Multiply each value by the share of its word; do not round."),
        _(
            "Add up the products of each channel: that is what the head gives “{query}”.",
            query=query,
        ),
    ]
    return [_text(*sentences), {"kind": "steps", "items": steps}]


def _mix_table(tasks: Exercises, *, solved: bool = False) -> Block:
    def line(name: str, share: Block, pairs: Iterable[tuple[Block, Block]], role: str) -> Block:
        return _line(name, [share, *(cell for pair in pairs for cell in pair)], role)

    lines = [
        line(
            _numbered(each.word) if each.word else _others(tasks),
            _task(each.share),
            zip(map(_given, each.values), map(_task, each.products), strict=True),
            "value",
        )
        for each in tasks.mixed
    ]
    lines.append(line(_("sum"), FREE, ((FREE, _task(number)) for number in tasks.output), "value"))
    if solved:
        own = ((FREE, _note(format_number(number))) for number in tasks.model_output)
        lines.append(line(_("the model’s own"), FREE, own, ""))
    top = [_("word"), _("share")]
    for channel in tasks.value_channels:
        top += [_("channel {number}", number=format_count(channel)), _("product")]
    return _table(top, lines, solved=solved)


# --- Blocks ---------------------------------------------------------------------------------------


FREE: Block = {"kind": "note", "text": ""}
"""A cell in which nothing stands."""


def _heading(number: int, text: str) -> Block:
    return {"kind": "heading", "number": format_count(number), "text": text}


def _text(*sentences: str) -> Block:
    return {"kind": "text", "text": current_language().space.join(sentences)}


def _table(
    top: Sequence[str], lines: list[Block], *, caption: str = "", solved: bool = False
) -> Block:
    """Return a table: the names of its columns, its lines, and what stands above it."""
    return {"kind": "table", "top": top, "lines": lines, "caption": caption, "solved": solved}


def _line(name: str, cells: Iterable[Block], role: str = "") -> Block:
    """Return a line of a table, in the colour of a role; what it lacks at its end stays free."""
    return {"name": name, "role": role, "cells": list(cells)}


def _given(number: Decimal) -> Block:
    return {"kind": "given", "text": _written(number)}


def _task(number: Decimal) -> Block:
    """Return a cell that pupils fill in; solutions show its number."""
    return {"kind": "task", "text": _written(number)}


def _note(text: str) -> Block:
    return {"kind": "note", "text": text}


def _written(number: Decimal) -> str:
    return format_decimal(float(number), digits(number))


def _numbered(word: Word) -> str:
    return f"{format_count(word.number)}  {word.text}" if word.number else word.text


def _others(tasks: Exercises) -> str:
    return _("all others ({number})", number=format_count(len(tasks.left_out)))
