"""A talk of stand-in slides, whose films nobody has to render, and its servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from filmkit.core.theme import DARK
from filmkit.core.view import LayerView
from filmkit.decks import DeckOptions
from filmkit.decks.slides import Slide
from filmkit.decks.talk import Talk
from filmkit.decks.web import write_web
from tests.support.deck_scene import CELLS
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from filmkit.decks.remote import TalkServer

__all__ = ["CHOICES", "QUESTION", "TITLES", "served", "talk_of"]

TITLES = ["Queries", "Question: Scores", "Scores", "The end"]
QUESTION = 1  # number of the slide that asks, from 0; the next one answers
CHOICES = ("the first", "the one before", "all alike")
COLOURS = ("#2a4d69", "#4b3869", "#285943", "#693838")
NOTES = "What to say about {title}, with a pause after it.\n\nBeat of the talk; then the next one."


def _slides(film: Path | None) -> list[Slide]:
    names = ("01_queries", "02_ask_scores", "03_scores", "04_the_end")
    frame = (640, 360)
    return [
        Slide(
            entry=CELLS,
            name=name,
            title=title,
            narration="Which token does it look at?" if number == QUESTION else f"{title}.",
            notes=NOTES.format(title=title),
            cues=(),
            seconds=1.0,
            picture=Image.new("RGB", frame, colour),
            picture_map={"frame": list(frame), "panels": []},
            alt=f"A stand-in for {title}.",
            video=film,
            choices=CHOICES if number == QUESTION else (),
            answer=1 if number == QUESTION else None,
        )
        for number, (name, title, colour) in enumerate(zip(names, TITLES, COLOURS, strict=True))
    ]


def talk_of(folder: Path, film: Path | None = None) -> Talk:
    """Write a web deck of stand-in slides to deck.html in a folder; return its talk.

    A film, if there is one, is that of every slide, and lies beside the deck.
    """
    view = LayerView.of_prompt(make_trace(n_tokens=4), None, show_first_token=False)
    options, slides = DeckOptions(minutes=10), _slides(film)
    beside = film is not None
    deck = write_web(
        folder / "deck.html", slides, view, DARK, "A talk", options, films_beside=beside
    )
    return Talk.of(slides, deck, "A talk", options)


@contextmanager
def served(talk: Talk) -> Iterator[TalkServer]:
    """Serve a talk from a thread, to this machine alone, for the duration of a ``with`` block.

    On a busy machine a browser may take long from a connection to what it asks there.
    """
    # Loaded here: they are an extra of the project.
    from filmkit.decks.remote import TalkServer
    from filmkit.serving import limits
    from filmkit.serving.running import listening, server_of
    from tests.support.serving import serving

    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(limits, "REQUEST_SECONDS", 60.0)
        inside, outside = (stack.enter_context(listening()) for _ in range(2))
        server = TalkServer(
            talk, inside=inside.getsockname()[1], outside=outside.getsockname()[1], addresses=()
        )
        stack.enter_context(
            serving(
                server_of(server.inside(), inside),
                server_of(server.outside(), outside, **limits.BOUNDED),
            )
        )
        yield server
