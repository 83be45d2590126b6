"""The title slide of a deck: a title, who speaks, and the pattern of the head that is shown."""

from __future__ import annotations

from dataclasses import replace

from manim import DOWN, Group, Mobject

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.card import centred
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.language import _
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.core.token_text import printable
from filmkit.decks import DeckOptions
from filmkit.decks.slides import Slide
from filmkit.pictures.head_panel import HeadPanel
from filmkit.render.request import RenderRequest
from filmkit.words.alt import alt_text

__all__ = ["title_slide"]

SECONDS = 6.0  # for which a deck that goes on by itself shows it
TITLE = 0.085  # size of the title's letters, as a fraction of the frame's shorter side
TEXT_SHARE = 0.56  # part of the free width for the text, where the pattern stands beside it
PATTERN_SHARE = 0.62  # height of the pattern there, as a share of the free height
PARTS = (0.5, 0.12, 0.2)  # at most, of the text's height: title, author, and what is shown
GAP = 0.5  # between these, in scene units, at most


class TitleSlide(Stage):
    """A title and an author; beside them, or below, the pattern of the head."""

    heading, author = "", ""

    @beat
    def title_slide(self) -> None:
        text, room = _places(self.frame)
        panel = HeadPanel(self.head, "pattern", height=room.height)
        panel.remove(panel.header)
        panel.scale(min(1.0, room.width / panel.width, room.height / panel.height))
        self.add(panel.move_to(room.center), self._text(text))
        self.hold(SECONDS)

    def _text(self, room: Box) -> Group:
        """Return title, author and source below each other, in the middle of a room."""
        theme, meta = self.theme, self.trace.meta
        what = _(
            "one head of {model}, reading “{prompt}”",
            model=meta.model,
            prompt=printable(meta.prompt),
        )
        size = TITLE * self.frame.shorter_side / FRAME_HEIGHT
        texts = [
            (self.heading, size, theme.ink),
            (self.author, min(size, theme.name_size), theme.accent),
            (what, min(size, theme.note_size), theme.muted),
        ]
        lines = Group(
            *(
                centred(text, Box(0.0, 0.0, room.width, part * room.height), letters).set_color(ink)
                for (text, letters, ink), part in zip(texts, PARTS, strict=True)
                if text
            )
        )
        gap = (1 - sum(PARTS)) / 2 * room.height
        return lines.arrange(DOWN, buff=min(gap, GAP)).move_to(room.center)

    def with_notes(self) -> list[Mobject]:
        # It says itself what is shown.
        return list(self.mobjects)


def _places(frame: Frame) -> tuple[Box, Box]:
    """Return the rooms for the text and for the pattern."""
    free = frame.free
    if frame.upright:
        upper = Box.of(free.left, free.right, free.y, free.top)
        lower = Box.of(free.left, free.right, free.bottom, free.y)
        return upper, lower.inset(0.3)
    edge = free.left + TEXT_SHARE * free.width
    high = PATTERN_SHARE * free.height / 2
    return (
        Box.of(free.left, edge, free.bottom, free.top),
        Box.of(edge + 0.5, free.right, free.y - high, free.y + high),
    )


def title_slide(request: RenderRequest, trace: Trace, options: DeckOptions, title: str) -> Slide:
    """Draw the title slide; Manim must be set to the request's size.

    Parameters
    ----------
    request, trace
        How to draw it, and whose pattern.
    options
        Has the author.
    title
        What it says.
    """
    drawn: list[Slide] = []
    words = [title, options.author]
    entry = SceneEntry("title", title, TitleSlide.__module__, TitleSlide.__name__)

    def take(record: BeatRecord, stage: Stage) -> None:
        drawn.append(Slide.of(entry, "00_title", stage, options.author))

    stage = TitleSlide(trace, request.settings, on_beat_end=take)
    stage.heading, stage.author = words
    stage.render()
    (slide,) = drawn
    alt = alt_text(slide.picture_map, ", ".join(word for word in words if word))
    return replace(slide, title=title, alt=alt, is_title=True)
