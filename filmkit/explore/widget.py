"""A picture of the page to explore in a notebook: what is chosen in it comes back to Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any, NoReturn

import anywidget
import numpy as np
import traitlets
from markupsafe import Markup

from extract.attention.arithmetic import softmax
from extract.recompute.sharing import share_heads
from filmkit.core.errors import StageError
from filmkit.core.language import _
from filmkit.core.theme import DARK
from filmkit.core.view import LayerView
from filmkit.decks.live import LATENTS
from filmkit.decks.web import source_hash
from filmkit.explore.page import (
    LIBRARY,
    SCRIPTS,
    STYLES,
    document_of,
    numbers_of,
    page_of,
    vendored,
)
from filmkit.explore.parts import PARTS, Part, sets_of

__all__ = ["PICTURES", "LiveWidget", "make_widget"]

PICTURES = {
    "pattern": (Part("pattern", needs=("layer",)),),
    **{
        name: tuple(part for part in PARTS if part.name in parts)
        for name, parts in {
            "rank": ("rank",),
            "rows": ("softmax", "mix"),
            "heads": ("heads", "sets"),
        }.items()
    },
}
"""The parts of the page that each picture has."""

MISSING = {
    "rank": "no conversion is in this trace: python -m extract convert adds one",
    "heads": "this model has one head in each layer, and no others to turn to",
}
"""Why a picture cannot be made of a trace that lacks what its first part shows."""

TOLD = {
    "pattern": ("query_word", "key_word", "score", "weight"),
    "rank": tuple(LATENTS),
    "rows": ("query_word", "scores", "weights"),
    "heads": ("query_word", "key_word", "weight", "moved"),
}
"""What the value of each picture tells beside what is chosen; see :class:`Results`."""

POSITIONS = ("query", "key", "off")
"""Choices of words."""

TEMPERATURES = (1 / 16, 16.0)  # the ends of the dial

HEIGHT = "40rem"  # of a picture that a saved notebook shows, whose height nobody tells


class ChoiceError(traitlets.TraitError, ValueError):
    """What cannot be chosen, in a line, which is all that a notebook shows of it."""

    def _render_traceback_(self) -> list[str]:
        return [f"ValueError: {self}"]


class Value(dict[str, Any]):
    """The value of a picture, which is assigned anew: no part of it can be changed.

    Parameters
    ----------
    value
        Names, and plain numbers, words, lists and dicts of such.
    """

    def __init__(self, value: Mapping[str, Any]) -> None:
        super().__init__({name: _kept(each) for name, each in value.items()})

    def __reduce__(self) -> Any:
        return dict, (dict(self),)  # a copy may be changed

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ChoiceError(
            "a picture's value is not changed in place: assign what to choose, w.value = {...}"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def _kept(each: Any) -> Any:
    if isinstance(each, Mapping):
        return Value(each)
    return tuple(each) if isinstance(each, list) else each


@dataclass(frozen=True)
class Results:
    """What each picture of a layer tells of what is chosen in it, as ``templates/widget.js`` does.

    Attributes
    ----------
    view
        The layer.
    words
        The word at each position that may be chosen.
    ranks
        What :meth:`filmkit.decks.live.LivePictures.rank` returns, for a picture of it.
    """

    view: LayerView
    words: Mapping[int, str]
    ranks: Mapping[str, Any]

    def pattern(self, head: int, query: int, key: int | None, **also: Any) -> dict[str, Any]:
        """Return the score and the weight of a key; None stands for the strongest one."""
        scores, weights = self._row(head, query)
        about = self._cell(head, query, key, weights, **also)
        return about | {"score": scores[about["key"]], "weight": weights[about["key"]]}

    def rows(self, head: int, query: int, temperature: float, off: Any, **also: Any) -> Any:
        """Return the scores and weights of a row, at the nearest temperature of the dial."""
        temperature = 2 ** (math.floor(5 * math.log2(temperature) + 0.5) / 5)
        scores, weights = self._row(head, query, temperature)
        given = {"temperature": temperature, "scores": scores, "weights": weights, "off": off}
        return self._about(head, query, **also) | given

    def heads(
        self, head: int, query: int, key: int | None, sets: int | None = None, **also: Any
    ) -> dict[str, Any]:
        """Return the weight of a key where heads share sets, and how much attention moved."""
        own = self.view.trace.meta.n_kv_heads
        shared = share_heads(self.view.trace, self.view.layer, min(own, sets or own))
        weights = shared.pattern[head, query].tolist()
        about = self._cell(head, query, key, weights, **also)
        about["weight"] = weights[about["key"]]
        if sets is None:
            return about
        moved = float(shared.row_distances.mean()) if shared.pooled else 0.0
        return about | {"sets": sets, "moved": moved}

    def rank(self, numbers: int, **also: Any) -> dict[str, Any]:
        """Return what was measured of each way at a size."""
        rung = self.ranks["sizes"].index(numbers)
        measured = {each["way"]: each["rungs"][rung]["measured"] for each in self.ranks["latents"]}
        return {**also, "numbers": numbers, **measured}

    def _row(
        self, head: int, query: int, temperature: float = 1.0
    ) -> tuple[list[float | None], list[float]]:
        """Return scores and weights of the keys up to a query; no score where it does not look."""
        trace, layer = self.view.trace, self.view.layer
        scores = trace.scores(layer, head, masked=True)[query, : query + 1]
        row = np.ma.filled(scores, -np.inf)
        if trace.meta.sinks:  # a key without a word, which takes its share
            row = np.append(row, trace.get("sinks", layer)[head])
        weights = softmax(row / temperature)
        return scores.tolist(), weights[: query + 1].tolist()

    def _about(self, head: int, query: int, **also: Any) -> dict[str, Any]:
        return {**also, "head": head, "query": query, "query_word": self.words[query]}

    def _cell(
        self, head: int, query: int, key: int | None, weights: list[float], **also: Any
    ) -> dict[str, Any]:
        if key is None or key > query:
            key = max(range(self.view.first, query + 1), key=weights.__getitem__)
        return self._about(head, query, **also) | {"key": key, "key_word": self.words[key]}


@dataclass(frozen=True)
class Choices:
    """What may be chosen in a picture.

    Attributes
    ----------
    picture
        Its name.
    values
        What each choice may be, by its name in the value of the picture; of a temperature, the
        least and the greatest.
    words
        The word at each position that may be chosen.
    at_first
        What is chosen at first; None is left to the picture.
    results
        Returns the value of the picture for what is chosen, as a method of :class:`Results` does.
    """

    picture: str
    values: Mapping[str, Sequence[float]]
    words: Mapping[int, str]
    at_first: Mapping[str, Any]
    results: Callable[..., Mapping[str, Any]]

    def check(self, value: object) -> dict[str, Any]:
        """Return a value of the picture, or a part of one, in plain numbers.

        Raises
        ------
        ChoiceError
            If it is no dict, or there is no such choice.
        """
        if not isinstance(value, Mapping):
            example = {name: known[-1] for name, known in [*self.values.items()][-1:]}
            raise ChoiceError(
                f"value is {value!r}; expected a dict of what to choose, such as {example}"
            )
        return {name: self._checked(name, chosen) for name, chosen in value.items()}

    def whole(self, value: object, before: Mapping[str, Any]) -> Value:
        """Return the value of the picture after a choice; what is not named stays as it was.

        Raises
        ------
        ChoiceError
            If that cannot be chosen.
        """
        named = self.check(value)
        chosen = {name: ({**self.at_first, **before} | named)[name] for name in self.values}
        query, key = chosen.get("query"), named.get("key")
        if query is not None and key is not None and key > query:
            words = f"“{self.words[key]}” after “{self.words[query]}”"
            raise ChoiceError(
                f"key {key} comes after query {query}, {words}, and no word looks ahead"
            )
        return Value(self.results(**chosen))

    def _checked(self, name: str, chosen: Any) -> Any:
        if name in TOLD[self.picture]:
            return chosen  # it follows from the others: the picture computes it again
        if name not in self.values:
            raise ChoiceError(
                f"there is no '{name}' to choose in this picture; there are "
                f"{', '.join(self.values)}"
            )
        if name != "off":
            return self._one(name, chosen)
        several = isinstance(chosen, Iterable) and not isinstance(chosen, str)
        return sorted({self._one(name, each) for each in (chosen if several else [chosen])})

    def _one(self, name: str, chosen: Any) -> float:
        """Return what is chosen as it is known: a notebook takes none of NumPy's numbers.

        The position of a word may be given as the word.
        """
        known, is_dial = self.values[name], name == "temperature"
        found: list[float]
        is_span = is_dial or isinstance(known, range)
        among = f"{known[0]} to {known[-1]}" if is_span else ", ".join(map(str, known))
        if is_dial and isinstance(chosen, float | int) and known[0] <= chosen <= known[1]:
            return float(chosen)
        if isinstance(chosen, str) and name in POSITIONS:
            found = [place for place, word in self.words.items() if word == chosen.strip()]
            if len(found) > 1:
                places = ", ".join(map(str, found))
                raise ChoiceError(f"{name} is {chosen!r}, which stands at {places}: choose one")
            among += f", or one of the words {', '.join(dict.fromkeys(self.words.values()))}"
        else:
            found = [one for one in known if one == chosen]
        if not found:
            raise ChoiceError(f"{name} is {chosen!r}; it may be {among}")
        return found[0]


class LiveWidget(anywidget.AnyWidget):
    """A picture to try by hand, which a notebook shows; :func:`filmkit.widget` makes one."""

    _esm = (files("filmkit.explore") / "templates" / "notebook.js").read_text(encoding="utf-8")
    _page = traitlets.Unicode().tag(sync=True)
    _title = traitlets.Unicode().tag(sync=True)

    value = traitlets.Dict(help="What is chosen, and what it gives.").tag(sync=True)

    def __init__(self, choices: Choices, page: str, title: str) -> None:
        self._choices = choices
        super().__init__(_page=page, _title=title, value={})

    def __setattr__(self, name: str, value: Any) -> None:
        # What Python chooses is completed here. Messages of a notebook do not pass here: they are
        # complete, and Python's own numbers in their place would be sent back as a change.
        if name == "value":
            try:
                value = self._choices.whole(value, self.value)
            except ChoiceError as error:
                raise error.with_traceback(None) from None
        super().__setattr__(name, value)

    @traitlets.validate("value")
    def _check(self, proposal: Any) -> Value:
        return Value(self._choices.check(proposal["value"]))

    def __repr__(self) -> str:
        return f"<{self._choices.picture} of {self._title}: a live picture>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return what notebooks show: the widget, and a page where there is no Python for it."""
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        page = (
            f'<iframe sandbox="allow-scripts" title="{escape(self._title)}" '
            f'style="width: 100%; height: {HEIGHT}; border: 0" '
            f'srcdoc="{escape(self._page)}"></iframe>'
        )
        return {**data, "text/html": page}, metadata


def make_widget(
    picture: str, view: LayerView, head: int | None, *, palette: str, theme: str
) -> LiveWidget:
    """Return a picture of a layer, in the language in use.

    Parameters
    ----------
    picture
        One of :data:`PICTURES`.
    view
        The layer.
    head
        The head that is chosen at first; None for the featured one.
    palette, theme
        Names for :func:`filmkit.core.theme.use_theme`; the theme "print" is shown as "light".

    Raises
    ------
    StageError
        If the trace lacks what the picture shows, or has it of another layer or head.
    """
    parts = [part for part in PICTURES[picture] if part.fits(view)]
    if PICTURES[picture][0] not in parts:
        raise StageError(f"there is no picture '{picture}': {MISSING[picture]}")
    trace, meta = view.trace, view.trace.meta
    featured = meta.featured
    if picture == "rank" and (view.layer, view.head(head).head) != (featured.layer, featured.head):
        raise StageError(
            f"the conversion was measured in layer {featured.layer}, head {featured.head}: "
            "leave out layer and head"
        )
    title = _("{model}, layer {layer}", model=meta.model, layer=view.layer)
    numbers = numbers_of(view, parts, palette)
    document = document_of(view, view.head(head).head, parts, palette) | {
        "library": "",
        "light": theme != DARK.name,
        "files": numbers,
        "layer": view.layer,
        "chooses_head": picture in {"pattern", "rows"} and meta.n_heads > 1,
    }
    page = page_of(
        view,
        parts,
        document,
        said={},
        template="widget.html",
        styles=(*STYLES, "widget.css"),
        scripts=(*SCRIPTS, "widget.js"),
        library=Markup(vendored(LIBRARY) if picture == "heads" else ""),
        hash_of=source_hash,
        title=title,
    )
    words = range(view.first, view.stop)
    choices: dict[str, Sequence[float]] = {"layer": (view.layer,), "head": range(meta.n_heads)}
    at_first = {"layer": view.layer, "head": document["head"], "query": document["query"]}
    at_first |= {"key": None, "temperature": 1.0, "off": (), "sets": meta.n_kv_heads}
    ranks: Mapping[str, Any] = {}
    if picture == "rank":
        ranks = numbers["rank"]["numbers"][DARK.name]
        choices |= {"head": (featured.head,), "numbers": ranks["sizes"]}
        at_first["numbers"] = ranks["sizes"][ranks["start"]]
    elif picture == "rows":
        choices |= {"query": words, "temperature": TEMPERATURES, "off": words}
    else:
        choices |= {"query": words, "key": words}
    if any(part.name == "sets" for part in parts):
        choices |= {"sets": sets_of(trace)}
    drawn = {position: document["tokens"][position] for position in words}
    results = getattr(Results(view, drawn, ranks), picture)
    return LiveWidget(Choices(picture, choices, drawn, at_first, results), page, title)
