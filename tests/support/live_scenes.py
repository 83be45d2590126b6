"""Scenes of one beat that name a live picture, and a page of them that needs no film."""

from __future__ import annotations

from pathlib import Path

from manim import DOWN, RIGHT, Group

from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.core.theme import use_theme
from filmkit.core.view import LayerView
from filmkit.decks import DeckOptions
from filmkit.decks.slides import slides_of
from filmkit.decks.web import write_web
from filmkit.pictures.head_panel import HeadPanel
from filmkit.render.runner import manim_config, rehearse
from tests.support.filming import render_request

__all__ = ["LIVE", "live_page"]


class _Panels(Stage):
    """Queries, keys as columns, and their pattern."""

    @beat
    def panels(self) -> None:
        """Queries, keys and their pattern."""
        parts = [HeadPanel(self.head, name, height=2.0) for name in ("q", "k_t", "pattern")]
        group = Group(Group(*parts[:2]).arrange(DOWN), parts[2]).arrange(RIGHT, buff=1)
        self.add(group.scale_to_fit_width(min(group.width, self.frame.free.width)))
        self.hold(1)


class Rank(_Panels):
    title, live = "Rank", "rank"


class Patterns(_Panels):
    title, live = "Patterns", "patterns"


class Rows(_Panels):
    title, live = "Rows", "rows"


class Unknown(_Panels):
    title, live = "Unknown", "dial"


LIVE = {
    cls.__name__: SceneEntry(f"scene_{cls.__name__.lower()}", cls.title, __name__, cls.__name__)
    for cls in (Rank, Patterns, Rows, Unknown)
}
"""The scenes, by the names of their classes."""


def live_page(trace: Trace, folder: Path, names: tuple[str, ...], theme: str = "dark") -> Path:
    """Write a web deck of these scenes without films, and return its path."""
    file = folder / "trace.safetensors"
    trace.save(file)
    request = render_request((), file, folder, theme=theme)
    target = folder / "deck.html"
    view = LayerView.of_prompt(trace, None, show_first_token=False)
    with use_theme(theme) as colours, manim_config(request.quality):
        slides = []
        for name in names:
            rehearsal = rehearse(LIVE[name], trace, request)
            slides += slides_of(LIVE[name], rehearsal, trace=trace, request=request)
        write_web(target, slides, view, colours, "Live", DeckOptions(), films_beside=False)
    return target
