"""The dial that sets how many sets of keys and values the heads of a layer have."""

from __future__ import annotations

from collections.abc import Sequence

from manim import Circle, Dot, Line, VGroup

from filmkit.core.animations import Glide
from filmkit.core.geometry import Box
from filmkit.core.text import Label, stacked_lines
from filmkit.core.theme import current_theme
from scenes.sharing.layout import DIAL_NAME, LINE, stops

__all__ = ["SetsDial"]

KNOB, STOP = 0.17, 0.07  # radius of the knob and of a stop, in scene units
NAME_GAP = 0.9  # between the title and the first stop


class SetsDial(VGroup):
    """A track with a stop for each number of sets, and a knob that stands at one of them.

    Parameters
    ----------
    counts
        What stands above each stop.
    names
        What stands below it.
    box
        Its sides are the first and the last stop; the track is in the middle of its height.
    title
        Words at the left of the track, broken into lines.

    Attributes
    ----------
    track, counts, names, knob, title
        Its parts.
    """

    def __init__(
        self, counts: Sequence[str], names: Sequence[str], box: Box, *, title: str = ""
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.places = [(x, box.y, 0.0) for x in stops(box, len(names))]
        line = Line(self.places[0], self.places[-1], color=theme.flow, stroke_width=theme.line)
        marks = (Dot(place, radius=STOP, color=theme.flow) for place in self.places)
        self.track = VGroup(line, *marks)
        self.counts, self.names = VGroup(), VGroup()
        for count, name, (x, y, _) in zip(counts, names, self.places, strict=True):
            self.counts.add(Label(count, size=theme.name_size).on_line(x, y + 0.45))
            self.names.add(Label(name, colour=theme.muted).on_line(x, y - LINE - 0.06))
        self.knob = Circle(
            KNOB,
            stroke_color=theme.accent,
            stroke_width=theme.bold,
            fill_color=theme.background,
            fill_opacity=1.0,
        ).move_to(self.places[0])
        self.title = VGroup()
        for label in stacked_lines(title, (0.0, box.y), DIAL_NAME - NAME_GAP) if title else []:
            self.title.add(label.on_line(box.left - NAME_GAP - label.width / 2, label.get_y()))
        self.add(self.track, self.counts, self.names, self.knob, self.title)

    def turn(self, stop: int) -> Glide:
        """Return an animation that moves the knob to a stop."""
        return Glide(self.knob, self.knob.copy().move_to(self.places[stop]))
