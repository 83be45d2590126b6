"""The title slide of a deck: a title, who speaks, and the pattern of the head that is shown."""

from __future__ import annotations

from manim import Group
from PIL import Image

from extract.trace import Trace
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.language import _
from filmkit.core.picture_map import picture_map
from filmkit.core.printable import printable
from filmkit.core.records import BeatRecord
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, beat
from filmkit.core.text import stacked_lines
from filmkit.decks import DeckOptions
from filmkit.decks.slides import Slide
from filmkit.mobjects.head_tensors import HeadPanel
from filmkit.render.request import RenderRequest
from filmkit.words.alt import alt_text

__all__ = ["title_slide"]

SECONDS = 6.0  # for which a deck that goes on by itself shows it
TITLE = 0.085  # text size of the title, as a fraction of the frame's shorter side
SMALLER = 0.92  # by which it shrinks until it fits
TEXT_SHARE = 0.56  # part of the stage for the text, where the pattern stands beside it
PATTERN_SHARE = 0.62  # height of the pattern there, as a share of the stage's


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
        """Return the lines of text in the middle of the room's height; a long title is smaller."""
        size = TITLE * self.frame.shorter_side / FRAME_HEIGHT
        column = self._column(room, size)
        while column.width > room.width or column.height > room.height:
            size *= SMALLER
            column = self._column(room, size)
        return column.shift([0.0, room.y - float(column.get_center()[1]), 0.0])

    def _column(self, room: Box, size: float) -> Group:
        """Return title, author and source below each other, none larger than a text size."""
        theme, meta = self.theme, self.trace.meta
        what = _(
            "one head of {model}, reading “{prompt}”",
            model=meta.model,
            prompt=printable(meta.prompt),
        )
        texts = [
            (self.heading, size, theme.ink),
            (self.author, min(size, theme.name_size), theme.accent),
            (what, min(size, theme.note_size), theme.muted),
        ]
        column = Group()
        for string, height, colour in texts:
            if string:
                lines = stacked_lines(
                    string, (room.left, 0.0), room.width, size=height, colour=colour
                )
                column.add(Group(*lines))
        top = 0.0
        for part in column:
            part.shift([0.0, top - part.get_top()[1], 0.0])
            top = float(part.get_bottom()[1]) - 0.5
        return column


def _places(frame: Frame) -> tuple[Box, Box]:
    """Return the rooms for the text and for the pattern."""
    stage = frame.stage
    if frame.upright:
        upper = Box.of(stage.left, stage.right, stage.y, stage.top)
        lower = Box.of(stage.left, stage.right, stage.bottom, stage.y)
        return upper, lower.inset(0.3)
    edge = stage.left + TEXT_SHARE * stage.width
    high = PATTERN_SHARE * stage.height / 2
    return (
        Box.of(stage.left, edge, stage.bottom, stage.top),
        Box.of(edge + 0.5, stage.right, stage.y - high, stage.y + high),
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

    def take(record: BeatRecord, stage: Stage) -> None:
        document = picture_map(stage.mobjects, stage.camera, values=True)
        drawn.append(
            Slide(
                entry=SceneEntry("title", title, TitleSlide.__module__, TitleSlide.__name__),
                name="00_title",
                title=title,
                narration="",
                notes=options.author,
                cues=(),
                seconds=record.end - record.start,
                picture=Image.fromarray(stage.snapshot()[..., :3]),
                picture_map=document,
                alt=alt_text(document, ", ".join(word for word in words if word)),
                is_title=True,
            )
        )

    stage = TitleSlide(trace, request.settings, on_beat_end=take)
    stage.heading, stage.author = words
    stage.render()
    return drawn[-1]
