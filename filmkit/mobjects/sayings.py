"""What a model says after a prompt in several ways, each with a bar of what it caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from manim import Group, Line, Rectangle, VGroup

from extract.trace_meta import TraceMeta
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame, Point
from filmkit.core.printable import printable
from filmkit.core.text import Label, fit_size, fit_word
from filmkit.core.theme import current_theme

__all__ = ["Saying", "Sayings", "SayingsLayout", "as_said", "bar_of", "display_size", "set_colours"]

DISPLAY = 0.07  # height of the figure that matters, as a share of the frame's shorter side
BAR = 0.24  # height of a bar, in scene units


def display_size(frame: Frame) -> float:
    """Return the text size of the figure that matters, as a fraction of `FRAME_HEIGHT`."""
    return DISPLAY * frame.shorter_side / FRAME_HEIGHT


def as_said(text: str) -> str:
    """Return how a model's words are shown: on one line, and with "…", since it would go on."""
    return f"{printable(' '.join(text.split()))} …"


def bar_of(box: Box, unit: float, pieces: Sequence[tuple[str, float]]) -> VGroup:
    """Return a bar in pieces, from the left end of a box.

    Parameters
    ----------
    box
        Where it begins, and its height.
    unit
        Length of one number, in scene units.
    pieces
        Colour and number of numbers of each piece.
    """
    group, x = VGroup(), box.left
    for colour, count in pieces:
        width = count * unit
        piece = Rectangle(
            width=width, height=box.height, stroke_width=0, fill_color=colour, fill_opacity=1
        )
        group.add(piece.move_to([x + width / 2, box.y, 0]))
        x += width
    return group


def set_colours(meta: TraceMeta, sets: int) -> tuple[tuple[str, float], ...]:
    """Return the pieces of a bar of sets of keys and values, in the colours of the sets."""
    theme = current_theme()
    return tuple(
        (theme.group_colour(role, group) if sets > 1 else theme.role(role), width)
        for group in range(sets)
        for role, width in (("key", meta.d_qk), ("value", meta.d_v))
    )


@dataclass(frozen=True)
class Saying:
    """One row: the name of a model, and the words with which it goes on.

    Attributes
    ----------
    name, note
        Who, and what is small beside it, or below its bar if there is no room beside it.
    pieces
        Colours and numbers of its bar.
    text
        What is said.
    colour
        Of what is said.
    short_note
        The note where there is no room for all of it; empty if it is not to be shortened.
    """

    name: str
    note: str
    pieces: tuple[tuple[str, float], ...]
    text: str
    colour: str
    short_note: str = ""

    @property
    def total(self) -> float:
        """Length of the bar, in numbers."""
        return sum(count for _, count in self.pieces)


@dataclass(frozen=True)
class SayingsLayout:
    """Layout of what the model says in several ways, one row for each.

    Attributes
    ----------
    prompt
        Left end of the prompt.
    names
        Left end of the name of each way.
    bars
        Box of the bar below each name; as long as the largest number of numbers.
    sayings
        Left end of what is said, and its room.
    rules
        y of the hairlines between rows.
    """

    prompt: Point
    names: tuple[Point, ...]
    bars: tuple[Box, ...]
    sayings: tuple[Point, ...]
    room: float
    rules: tuple[float, ...]

    @classmethod
    def of(cls, frame: Frame, *, rows: int) -> SayingsLayout:
        """Lay out the rows below the prompt; in a tall frame words stand below names."""
        stage = frame.stage
        head = 0.9
        body = Box.of(stage.left, stage.right, stage.bottom, stage.top - head)
        parts = body.split_rows(rows, 0.1)
        apart = 0.0 if frame.upright else 0.4 * stage.width
        name_width = stage.width if frame.upright else apart - 0.6
        lift = 0.62 if frame.upright else 0.2
        return cls(
            prompt=(stage.left + apart, stage.top - head / 2),
            names=tuple((stage.left, part.y + lift) for part in parts),
            bars=tuple(
                Box.of(
                    stage.left,
                    stage.left + name_width,
                    part.y + lift - 0.52,
                    part.y + lift - 0.52 + BAR,
                )
                for part in parts
            ),
            sayings=tuple(
                (stage.left + apart, part.y - (0.4 if frame.upright else 0.0)) for part in parts
            ),
            room=stage.width - apart,
            rules=tuple(part.top + 0.05 for part in parts),
        )


class Sayings(Group):
    """Words with which models go on after the prompt, a row for each model.

    Parameters
    ----------
    prompt
        The prompt.
    rows
        The rows, from the top.
    frame
        The frame to fill.

    Attributes
    ----------
    prompt
        The prompt.
    names, bars, sayings, rules
        For each row its name with its note, its bar, what is said, and the hairline above it.
    """

    def __init__(self, prompt: str, rows: Sequence[Saying], frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        layout = SayingsLayout.of(frame, rows=len(rows))
        text = f"{printable(prompt)} …"
        self.prompt = fit_word(text, layout.room, size=theme.name_size, colour=theme.muted)
        self.prompt.on_line(layout.prompt[0] + self.prompt.width / 2, layout.prompt[1])
        self.names, self.bars, self.sayings, self.rules = VGroup(), VGroup(), VGroup(), VGroup()
        most = max(row.total for row in rows)
        for index, row in enumerate(rows):
            room, (x, y) = layout.bars[index], layout.names[index]
            name = fit_size(row.name, room.width, size=theme.shape_size)
            name.on_line(x + name.width / 2, y)
            note = Label(row.note, size=theme.note_size, colour=theme.muted)
            if name.width + 0.2 + note.width > room.width:
                short = row.short_note or row.note
                note = Label(short, size=theme.note_size, colour=theme.muted)
            if name.width + 0.2 + note.width <= room.width:
                note.on_line(name.get_right()[0] + 0.2 + note.width / 2, y)
            else:
                note = fit_size(row.note, room.width, size=theme.note_size, colour=theme.muted)
                note.on_line(x + note.width / 2, room.bottom - 0.16)
            self.names.add(VGroup(name, note))
            unit = layout.bars[index].width / most
            self.bars.add(bar_of(layout.bars[index], unit, row.pieces))
            said = fit_word(
                as_said(row.text),
                layout.room,
                size=1.2 * theme.name_size,
                colour=row.colour,
            )
            x, y = layout.sayings[index]
            self.sayings.add(said.on_line(x + said.width / 2, y))
            y = layout.rules[index]
            rule = Line(
                [frame.stage.left, y, 0],
                [frame.stage.right, y, 0],
                stroke_color=theme.faint,
                stroke_width=theme.thin,
            )
            self.rules.add(rule)

    def row(self, index: int) -> Group:
        """Return name and rule of a row."""
        return Group(self.names[index], self.rules[index])
