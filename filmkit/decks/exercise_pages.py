"""What a worksheet says in its exercises and in their solutions, beside their numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np

from extract.trace import TraceMeta
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
from filmkit.core.view import HeadView
from filmkit.decks.exercises import Exercises, power, written

__all__ = ["exercises_on_paper"]

POWER_ROWS = 6  # of the table of powers of e: beyond them all are 0.00
MOST_NAMED = 6  # words that have no row of their own, by their names


def exercises_on_paper(view: HeadView) -> dict[str, Any]:
    """Return exercises with the numbers of a head, as the template of a worksheet reads them."""
    tasks, meta = Exercises(view), view.layer.trace.meta
    place = _("layer {layer}, head {head}", layer=view.layer.layer, head=view.head)
    return {
        "source": "  ·  ".join([*origin_notes(meta), meta.model, place]),
        "word": tasks.word,
        "match": _match(tasks, meta),
        "softmax": _softmax(tasks, meta),
        "mix": _mix(tasks, meta),
    }


def _joined(*sentences: str) -> str:
    return current_language().space.join(sentences)


# --- A dot product --------------------------------------------------------------------------------


def _match(tasks: Exercises, meta: TraceMeta) -> dict[str, Any]:
    query, keys = tasks.word.text, [pair.word.text for pair in tasks.pairs]
    scores = [pair.score for pair in tasks.pairs]
    number, width = format_exact(float(tasks.divisor)), format_count(meta.d_qk)
    equals = "=" if tasks.divisor**2 == meta.d_qk else "≈"
    cap = format_exact(meta.score_cap)
    facts = {
        "query": query,
        "key": keys[0],
        "other": keys[-1],
        "width": width,
        "count": format_count(len(tasks.channels)),
        "number": number,
        "root": f"√{width} {equals} {number}",
        "low": MINUS + cap,
        "high": cap,
    }
    sentences = [
        _(
            "A model reads this. To find out which words matter for “{query}”, it compares the "
            "query of “{query}” with the key of each word. Each is a list of {width} numbers: the "
            "better two match, the larger is their dot product.",
            **facts,
        )
    ]
    if len(tasks.channels) == meta.d_qk:
        sentences.append(_("The tables have all of them, rounded."))
        sentences.append(_("The rest is what was lost by rounding."))
    else:
        two = _(
            "The tables have {count} of these {width} channels, rounded: those whose products "
            "favour “{key}” over “{other}” most.",
            **facts,
        )
        one = _(
            "The tables have {count} of these {width} channels, rounded: those with the "
            "largest products.",
            **facts,
        )
        rest = _(
            "The rest is added up for you: the products of all other channels, and what was "
            "lost by rounding."
        )
        sentences += [two if len(keys) > 1 else one, rest]
    divide = [_("Divide the sum by {number}: that is the score.", **facts)]
    if np.isclose(meta.score_scale**2 * meta.d_qk, 1):  # a root
        divide.append(_("{root} keeps sums of {width} products moderate.", **facts))
    steps = [
        _("Multiply the two numbers of each channel."),
        _("Add up all products: that is the sum."),
        _("The sum is the score.") if tasks.divisor == 1 else _joined(*divide),
        _("Round the score to one decimal."),
    ]
    if tasks.pairs[0].bias is not None:
        steps.insert(-1, _("Add the number for the distance of the two words."))
    squeezed = _(
        "This model then squeezes all scores between {low} and {high}; those of exercise 2 are "
        "squeezed already.",
        **facts,
    )
    return {
        "text": _joined(*sentences),
        "steps": steps,
        "channels": [*map(format_count, tasks.channels)],
        "query": tasks.query,
        "pairs": tasks.pairs,
        "width": width,
        "answer": _("“{key}” matches better.", key=keys[scores.index(max(scores))])
        if len(set(scores)) > 1
        else _("Rounded, both match equally well."),
        "cap": squeezed if meta.score_cap else None,
    }


# --- A softmax ------------------------------------------------------------------------------------


def _softmax(tasks: Exercises, meta: TraceMeta) -> dict[str, Any]:
    query, others = tasks.word.text, tasks.left_out
    sentences = [_("These are the model’s own scores of “{query}”, rounded.", query=query)]
    if others:
        count = format_count(len(tasks.rows))
        sentences += [
            _("The {count} words with the largest shares have rows of their own.", count=count),
            _("The powers of all others are found in the same way, and added up for you."),
        ]
    if 0 < len(others) <= MOST_NAMED:
        # The beginning token is no word.
        names = [_("“{word}”", word=word.text) if word.number else word.text for word in others]
        sentences.append(_("All others: {words}.", words=separated(names)))
    if tasks.before:
        window = ngettext(
            "This layer reads {number} word at most: “{word}” is masked.",
            "This layer reads {number} words at most: “{word}” is masked.",
            tasks.window,
            word=tasks.before.text,
        )
        sentences.append(window)
    if tasks.after:
        masked = _(
            "“{word}” comes after “{query}”: it is masked, so its share is 0.",
            word=tasks.after.text,
            query=query,
        )
        sentences.append(masked)
    if meta.sinks:
        sentences.append(_("The sink takes a share too, but is no word and has no value."))
    least = min(row.difference for row in tasks.rows if row.difference is not None)
    look_up = [
        _("Look up e to the power of the difference; e is about {e}.", e=format_decimal(math.e, 3))
    ]
    if least <= -POWER_ROWS:
        look_up.append(_("Beyond the table it is {zero}.", zero=written(Decimal("0.00"))))
    steps = [
        _("Subtract the largest score from each score: no share changes, and numbers stay small."),
        _joined(*look_up),
        _("Add up these powers: that is the sum."),
        _("Divide each power by the sum, and round to two decimals: that is the share."),
    ]
    wholes = [Decimal(-number) for number in range(min(POWER_ROWS, int(-least) + 1))]
    tenths = [Decimal(number).scaleb(-1) for number in range(10)]
    total = sum((row.share for row in (*tasks.rows, *tasks.more)), start=Decimal(0))
    added = _("The shares add up to {sum}, not to 1, because each is rounded.", sum=written(total))
    return {
        "text": _joined(*sentences),
        "steps": steps,
        "difference": _("score − {largest}", largest=written(tasks.largest))
        if tasks.largest >= 0
        else _("score + {largest}", largest=written(-tasks.largest)),
        "rows": tasks.rows,
        "more": tasks.more,
        "before": [tasks.before.name] if tasks.before else [],
        "after": [tasks.after.name] if tasks.after else [],
        "zero": format_count(0),
        "zero_share": format_decimal(0, 3),
        "total": tasks.total,
        "powers": [[whole, *(power(whole - tenth) for tenth in tenths)] for whole in wholes],
        "tenths": tenths,
        "least": wholes[-1] - tenths[-1],
        "added": _("The shares add up to 1.") if total == 1 else added,
    }


# --- A weighted mix -------------------------------------------------------------------------------


def _mix(tasks: Exercises, meta: TraceMeta) -> dict[str, Any]:
    facts = {"query": tasks.word.text, "width": format_count(meta.d_v)}
    takes = _(
        "Each word has values, too: {width} numbers. “{query}” takes from the values of each "
        "word the word’s share. Here are the channels in which the result is largest, rounded.",
        **facts,
    )
    mean = _("Of all others there is the mean, weighted by their shares.")
    return {
        "text": _joined(takes, mean) if tasks.left_out else takes,
        "steps": [
            _("Copy the shares. Multiply each value by the share of its word; do not round."),
            _(
                "Add up the products of each channel: that is what the head gives “{query}”.",
                **facts,
            ),
        ],
        "channels": [*map(format_count, tasks.value_channels)],
        "output": tasks.output,
        "own": [*map(format_number, tasks.model_output)],
    }
