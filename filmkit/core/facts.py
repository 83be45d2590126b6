"""Facts and claims: words that keep the numbers or the condition they were made from.

A fact is a string that is written where its number is known, and can be used like any other::

    Label(fact("relative error", error, format_share, of="keys", beside="keys, rebuilt"))

    self.facts |= named_facts(layers=meta.n_layers, lost=(error, spoken_share))

Words that are true of some models only are a claim, which is said where it is true::

    made = claim(biased, _("plus a bias: output of this layer"), _("output of this layer"))

So is each variant of a beat's narration; a stage notes those by itself.

A stage keeps all facts and claims that are made while it plays (:attr:`Stage.ledger`). The film's
tests compute each of them again, by its name and in a way of their own, and find no other number on
screen or in the narration; so a number beside the wrong name, or in the wrong sentence, is found.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from filmkit.core.holding import holding
from filmkit.core.numbers import format_count

__all__ = ["Fact", "claim", "fact", "keep_facts", "named_facts"]

Value = float | str | tuple[str, ...]

_ledger: ContextVar[list[Fact] | None] = ContextVar("ledger", default=None)


class Fact(str):
    """A figure or a word as it is said or shown; see :func:`fact` for what it is made of.

    Attributes
    ----------
    name
        What it is; of a claim its words.
    value
        The number, or the word, or several words; of a claim whether it is true.
    given
        What it was computed from, beside the scene's own layer and head.
    beside
        The words on screen that it belongs to, or the role of a body there; "" if there are none.
    """

    __slots__ = ("beside", "given", "name", "value")

    name: str
    value: Value
    given: dict[str, Any]
    beside: str


def fact(
    name: str,
    value: Value,
    write: Callable[[Any], str] = format_count,
    *,
    beside: str = "",
    **given: Any,
) -> Fact:
    """Return a figure as text, and note it in the ledger of the stage that plays.

    Parameters
    ----------
    name
        What it is, such as "relative error".
    value
        The number; or a word, which is written as it is; or several words.
    write
        How the number becomes text, such as :func:`filmkit.core.numbers.format_share`.
    beside
        The words on screen that it belongs to, whole and as they are shown, or the role of a body
        such as "latent": of all such words and bodies these are the nearest to it. A figure that
        stands alone, without words of its own, has them.
    **given
        What it was computed from, beside the scene's own layer and head.
    """
    return _noted(value if isinstance(value, str) else write(value), name, value, beside, given)


def claim(truth: bool, words: str, otherwise: str = "", **given: Any) -> str:
    """Return words that are said only where they are true, and note them in the ledger.

    Parameters
    ----------
    truth
        Whether they are true.
    words
        The words, as they are said or shown.
    otherwise
        What is said where they are not true: the opposite, which is noted too. Nothing by default.
    **given
        What this depends on, beside the scene's own layer and head.
    """
    _noted(words, words, truth, "", given)
    if otherwise:
        _noted(otherwise, otherwise, not truth, "", given)
    return words if truth else otherwise


def _noted(text: str, name: str, value: Value, beside: str, given: dict[str, Any]) -> Fact:
    """Return a fact, which is noted in the ledger of the stage that plays, if one does."""
    noted = Fact(text)
    noted.name, noted.value, noted.given, noted.beside = name, value, given, beside
    ledger = _ledger.get()
    if ledger is not None:
        ledger.append(noted)
    return noted


def named_facts(**facts: Value | tuple[Value, Callable[[Any], str]]) -> dict[str, str]:
    """Return facts by their names in the narration.

    Each is given as a number or a word, or as a number, or several words, and a function that
    writes it.
    """
    return {
        name: fact(name, *(what if isinstance(what, tuple) else (what,)))
        for name, what in facts.items()
    }


def keep_facts(ledger: list[Fact]) -> AbstractContextManager[object]:
    """Let facts that are made in the ``with`` block be noted in a list."""
    return holding(_ledger, ledger)
