"""A lamp for each published test, and the lines of the credits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manim import Animation, Circle, LaggedStart, VGroup

from extract.facts.v2_report import MOE
from filmkit.core.animations import AnimateWith
from filmkit.core.geometry import Box
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme, mixed
from filmkit.pictures.parts import TEXT

__all__ = ["Lamps", "credit_lines", "won"]

TESTS = {"BBH": "bbh", "MMLU": "mmlu", "C-Eval": "c_eval", "CMMLU": "cmmlu"}
MODELS = {"large": N_("large models"), "small": N_("small models")}
NAME = 1.2 * TEXT  # size of the names at lamps, and of credits
RADIUS, SHINE = 0.62, 1.5  # of a lamp, in scene units, and how much light it gives
BETWEEN = 0.4  # from what something was to whose it is
LINE, APART = 1.2, 0.7  # from line to line of a credit, and more to the next; in heights of a line
HIGH, ABOVE, BESIDE = 0.4, 0.4, 0.2  # room for words above lamps; from them to words


def won() -> dict[tuple[str, str], bool]:
    """Return for each size of models and each test whether the one with a latent did better.

    The other one of the pair has keys and values for every head.
    """
    columns = {(column.size, column.attention): column for column in MOE.columns}
    return {
        (size, name): getattr(columns[size, "MLA"], test) > getattr(columns[size, "MHA"], test)
        for size in MODELS
        for name, test in TESTS.items()
    }


def credit_lines(texts: Mapping[str, str], room: Box) -> VGroup:
    """Return credits in two columns: what something was, and whose it is.

    The lines are as far apart as the room lets them be, up to a limit.
    """
    muted = current_theme().muted
    size = NAME if room.width > room.height else TEXT
    names = [Label(name, size=size, colour=muted) for name in texts]
    left = max(name.width for name in names)
    width, high = room.width - left - BETWEEN, names[0].line_height
    parts = [break_lines(text, width, size=size) for text in texts.values()]
    free = room.height - LINE * high * sum(map(len, parts))
    apart = min(APART * high, free / (len(parts) - 1))
    lines, y = VGroup(), 0.0
    for name, own in zip(names, parts, strict=True):
        lines.add(name.on_line(left - name.width / 2, y))
        for part in own:
            label = Label(part, size=size).shrink_to(width)
            lines.add(label.on_line(left + BETWEEN + label.width / 2, y))
            y -= LINE * high
        y -= apart
    return lines.move_to(room.center)


class Lamps(VGroup):
    """A lamp for each published test of each pair of models, which can be lit.

    Parameters
    ----------
    room
        What it fills of the frame.
    tall
        Whether there is a row for each test, not a column.

    Attributes
    ----------
    by_test
        The lamp of each size of models and each test.
    """

    def __init__(self, room: Box, *, tall: bool) -> None:
        super().__init__()
        theme = current_theme()
        sizes = {key: _(name) for key, name in MODELS.items()}
        tests = {name: name for name in TESTS}
        down, across = (tests, sizes) if tall else (sizes, tests)
        names = [Label(name, size=NAME) for name in down.values()]
        wide = max(name.width for name in names) + BESIDE
        grid = Box.of(room.left + wide, room.right, room.bottom, room.top - HIGH)
        rows, columns = grid.split_rows(len(down)), grid.split_columns(len(across))
        self.by_test: dict[tuple[str, str], Circle] = {}
        for first, name, row in zip(down, names, rows, strict=True):
            self.add(name.on_line(grid.left - name.width / 2, row.y))
            for second, column in zip(across, columns, strict=True):
                lamp = Circle(RADIUS, stroke_color=theme.muted, stroke_width=theme.bold)
                lamp.set_fill(theme.latent, opacity=0.0).move_to([column.x, row.y, 0.0])
                self.add(lamp)
                self.by_test[(second, first) if tall else (first, second)] = lamp
        y = rows[0].y + RADIUS + ABOVE
        for text, column in zip(across.values(), columns, strict=True):
            self.add(Label(text, size=NAME).on_line(column.x, y))
        corner = Label(_("tests"), size=NAME, colour=theme.muted)
        self.add(corner.on_line(grid.left - corner.width / 2, y))

    def light(self, **kwargs: Any) -> Animation:
        """Return an animation in which those that won are lit, one after the other."""
        winners = [self.by_test[key] for key, better in won().items() if better]
        return LaggedStart(*map(self._lit, winners), lag_ratio=0.6, **kwargs)

    @staticmethod
    def _lit(lamp: Circle) -> Animation:
        dark, latent = current_theme().muted, current_theme().latent

        def step(alpha: float) -> None:
            # It gives light from the first picture on, so that what is beside it is drawn again.
            lamp.set_fill(latent, opacity=alpha).set_stroke(mixed(dark, latent, alpha))
            glow(lamp, max(0.01, SHINE * alpha))

        return AnimateWith(lamp, step)
