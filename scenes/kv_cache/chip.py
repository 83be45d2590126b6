"""A chip that waits for its memory: what it computes while one number of the cache arrives."""

from __future__ import annotations

import numpy as np
from manim import Animation, Rectangle, VGroup, VMobject

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.camera import pin_to_frame
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.numbers import format_count
from filmkit.core.text import Label, fit_size, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.flow import Wire
from scenes.kv_cache.layout import DISPLAY, SLOT_GAP, ChipLayout

__all__ = ["WaitingChip", "slot_boxes"]


class WaitingChip(VGroup):
    """A chip with a slot for each multiply-add that it could make while one number is read.

    It stays in the frame.

    Parameters
    ----------
    slots
        How many multiply-adds it could make.
    used
        How many it makes.
    chip, cache
        Names of the chip and of the cache.
    remark
        What is left out.
    layout
        Where everything stands.
    room
        Largest width of the remark.

    Attributes
    ----------
    slots
        All slots, empty.
    lit
        The slots that are used.
    number
        The number that travels from the cache to the chip.
    wire, names, figure, caption
        The way to the chip, the names, and what is counted.
    """

    def __init__(
        self,
        slots: int,
        used: int,
        *,
        chip: str,
        cache: str,
        remark: str,
        layout: ChipLayout,
        room: float,
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.layout = layout
        self.places = slot_boxes(layout.chip, slots)
        self.slots = VMobject(stroke_color=theme.flow, stroke_width=theme.thin, fill_opacity=0.0)
        for box in self.places:
            self.slots.start_new_path(np.array([box.left, box.top, 0.0]))
            for x, y in (
                (box.right, box.top),
                (box.right, box.bottom),
                (box.left, box.bottom),
                (box.left, box.top),
            ):
                self.slots.add_line_to(np.array([x, y, 0.0]))
        self.lit = VGroup(*(_filled(box, theme.highlight) for box in self.places[:used]))
        side = self.places[0].width
        self.number = _filled(Box(*layout.wire[0], side, side), theme.key)
        self.wire = Wire(list(layout.wire), colour=theme.flow)
        names = (
            (chip, layout.chip_name, theme.ink),
            (cache, layout.cache_name, theme.ink),
        )
        self.names = VGroup(
            *(
                Label(text, size=theme.name_size, colour=colour).on_line(*point)
                for text, point, colour in names
            )
        )
        self.figure = fit_size(
            _("{used} of {slots} used", used=format_count(used), slots=format_count(slots)),
            layout.width,
            size=DISPLAY,
        )
        self.figure.on_line(*layout.figure)
        self.caption = VGroup(
            *stacked_lines(
                _("multiply-adds in the time that one number is read"),
                layout.caption,
                layout.width,
                size=theme.shape_size,
            )
        )
        for line in self.caption:
            line.on_line(layout.figure[0], line.get_y())
        self.remark = fit_size(remark, room, size=theme.shape_size, colour=theme.muted).on_line(
            *layout.remark
        )
        self.add(self.slots, self.wire, self.names, self.lit, self.number)
        self.add(self.figure, self.caption, self.remark)
        set_presence(self.lit, 0.0)
        pin_to_frame(self)

    def read(self, count: int, colours: tuple[str, str], **kwargs: float) -> Animation:
        """Return an animation in which numbers arrive one after another, each with its work.

        Parameters
        ----------
        count
            How many numbers.
        colours
            Colours of keys and of values, which come in turn.
        """
        start, end = (np.array([*point, 0.0]) for point in self.layout.wire)

        def step(alpha: float) -> None:
            turn = min(count - 1, int(alpha * count))
            share = alpha * count - turn
            travelled = min(1.0, share / 0.7)
            self.number.move_to(start + (end - start) * travelled)
            self.number.set_fill(colours[turn % 2])
            set_presence(self.number, 1.0 if travelled < 1 else 0.0)
            # The work of the number before is long done when the next one comes.
            working = 1.0 if share >= 0.7 else (max(0.0, 1 - 4 * share) if turn else 0.0)
            set_presence(self.lit, 1.0 if alpha >= 1 else working)

        return AnimateWith(VGroup(self.number, self.lit), step, **kwargs)


def slot_boxes(box: Box, count: int) -> tuple[Box, ...]:
    """Return equal squares in rows that fill a box, the last row perhaps in part."""
    columns = max(1, round((count * box.width / box.height) ** 0.5))
    rows = -(-count // columns)
    pitch = min(box.width / columns, box.height / rows)
    side = pitch * (1 - SLOT_GAP)
    left = box.x - pitch * (columns - 1) / 2
    top = box.y + pitch * (rows - 1) / 2
    return tuple(
        Box(left + pitch * (index % columns), top - pitch * (index // columns), side, side)
        for index in range(count)
    )


def _filled(box: Box, colour: str) -> Rectangle:
    return Rectangle(
        width=box.width, height=box.height, stroke_width=0.0, fill_color=colour, fill_opacity=1.0
    ).move_to(box.center)
