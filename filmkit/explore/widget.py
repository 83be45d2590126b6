"""A picture of the page to explore in a notebook: what is chosen in it comes back to Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import anywidget
import traitlets
from markupsafe import Markup

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
"""What the value of each picture tells beside what is chosen; ``templates/widget.js`` has it."""

POSITIONS = ("query", "key", "off")
"""Choices of words."""

TEMPERATURES = (1 / 16, 16.0)  # the ends of the dial

HEIGHT = "40rem"  # of a picture that a saved notebook shows, whose height nobody tells


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
    """

    picture: str
    values: Mapping[str, Sequence[float]]
    words: Mapping[int, str]

    def check(self, value: object) -> dict[str, Any]:
        """Return a value of the picture, or a part of one, in plain numbers.

        Raises
        ------
        TraitError
            If it is no dict.
        ValueError
            If there is no such choice.
        """
        if not isinstance(value, Mapping):
            example = {name: known[-1] for name, known in [*self.values.items()][-1:]}
            raise traitlets.TraitError(
                f"value is {value!r}; expected a dict of what to choose, such as {example}"
            )
        checked = {name: self._checked(name, chosen) for name, chosen in value.items()}
        query, key = checked.get("query"), checked.get("key")
        if query is not None and key is not None and key > query:
            words = f"“{self.words[key]}” after “{self.words[query]}”"
            raise ValueError(
                f"key {key} comes after query {query}, {words}, and no word looks ahead"
            )
        return checked

    def _checked(self, name: str, chosen: Any) -> Any:
        if name in TOLD[self.picture]:
            return chosen  # it follows from the others: the picture computes it again
        if name not in self.values:
            raise ValueError(
                f"there is no '{name}' to choose in this picture; there are "
                f"{', '.join(self.values)}"
            )
        if name != "off":
            return self._one(name, chosen)
        several = isinstance(chosen, Iterable) and not isinstance(chosen, str)
        return [self._one(name, each) for each in (chosen if several else [chosen])]

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
                raise ValueError(f"{name} is {chosen!r}, which stands at {places}: choose one")
            among += f", or one of the words {', '.join(dict.fromkeys(self.words.values()))}"
        else:
            found = [one for one in known if one == chosen]
        if not found:
            raise ValueError(f"{name} is {chosen!r}; it may be {among}")
        return found[0]


class LiveWidget(anywidget.AnyWidget):
    """A picture to try by hand, which a notebook shows; :func:`filmkit.widget` makes one."""

    _esm = (files("filmkit.explore") / "templates" / "notebook.js").read_text(encoding="utf-8")
    _page = traitlets.Unicode().tag(sync=True)
    _title = traitlets.Unicode().tag(sync=True)

    value = traitlets.Dict(help="What is chosen, and what it gives; empty until it is drawn.").tag(
        sync=True
    )

    def __init__(self, choices: Choices, page: str, title: str) -> None:
        self._choices = choices
        super().__init__(_page=page, _title=title)

    def __setattr__(self, name: str, value: Any) -> None:
        # Checked before traitlets has it, whose calls would stand between a mistake and its line.
        super().__setattr__(name, self._choices.check(value) if name == "value" else value)

    @traitlets.validate("value")
    def _check(self, proposal: Any) -> dict[str, Any]:
        return self._choices.check(proposal["value"])

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
    if picture == "rank":
        sizes = numbers["rank"]["numbers"][DARK.name]["sizes"]
        choices = {"layer": (featured.layer,), "head": (featured.head,), "numbers": sizes}
    else:
        words = range(view.first, view.stop)
        choices = {"layer": (view.layer,), "head": range(meta.n_heads), "query": words}
        if picture == "rows":
            choices |= {"temperature": TEMPERATURES, "off": words}
        else:
            choices |= {"key": words}
        if any(part.name == "sets" for part in parts):
            choices |= {"sets": sets_of(trace)}
    drawn = {position: document["tokens"][position] for position in range(view.first, view.stop)}
    return LiveWidget(Choices(picture, choices, drawn), page, title)
