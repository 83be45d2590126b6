"""What the dial changes: the keys and values that heads read, their patterns, and a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from manim import Animation, Group, Rectangle, VGroup

from filmkit.core.animations import AnimateWith, second_half, set_presence
from filmkit.core.camera import keep_upright, pin_to_frame
from filmkit.core.facts import fact
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import format_count
from filmkit.core.text import Label, Number, fit_size
from filmkit.core.theme import current_theme, mixed
from filmkit.mobjects.cache_volume import CachedTensor, VolumeBlock, solid_outline
from filmkit.mobjects.head_tensors import head_cells
from filmkit.mobjects.marks import Outline
from scenes.sharing.layout import DISPLAY, LINE, SharingLayout, shot_of_sets, volume_layout
from scenes.sharing.settings import Setting

__all__ = ["PatternGrid", "SetBar", "SetStack"]

ROLES = {"k": "key", "v": "value"}
NAME_DROP = 0.3  # from the foot of the keys down to their name
TINT = 0.45  # share of a role's colour in what the model never had


class SetStack(Group):
    """The keys and values that every head reads, one behind the other.

    Each head has a block of keys and one of values. Heads that share have them in the same place,
    with the same numbers.

    Parameters
    ----------
    settings
        The stops of the dial; it begins at the first.
    frame
        The frame.
    place
        Where it stands in the frame.

    Attributes
    ----------
    blocks
        ``blocks[head]["k"]`` and ``blocks[head]["v"]``.
    names
        Names of keys and values below the first block, whose foot falls to the right.
    full
        Outline of what all sets fill if every head has its own.
    shot
        Shot of it.
    alone
        Shot of it while there are no patterns.
    """

    def __init__(self, settings: Sequence[Setting], frame: Frame, place: SharingLayout) -> None:
        super().__init__()
        self.settings = settings
        layer, meta = settings[0].layer, settings[0].layer.trace.meta
        layout, self.pitch = volume_layout(
            rows=layer.count, heads=meta.n_heads, d_qk=meta.d_qk, d_v=meta.d_v
        )
        self.shot, self.alone = (
            shot_of_sets(layout, self.pitch, frame, room, heads=meta.n_heads)
            for room in (place.solid, place.whole)
        )
        first = next(setting for setting in settings if not setting.outlined)
        self.blocks: list[dict[str, VolumeBlock]] = []
        for head in range(meta.n_heads):
            pair = {
                name: VolumeBlock(
                    first.stored(name, head),
                    getattr(layout, name),
                    layout.thickness,
                    base=0,
                    colour=settings[0].colour(role, head),
                )
                for name, role in ROLES.items()
            }
            self.blocks.append(pair)
            self.add(Group(*pair.values()))
        self.names = VGroup()
        theme = current_theme()
        for box, word, role in ((layout.k, _("keys"), "key"), (layout.v, _("values"), "value")):
            foot = (box.x, box.bottom, 0.0)
            label = Label(word, colour=theme.role(role))
            left = frame.safe.left - self.shot.project(np.array([foot]), frame.height)[0, 0]
            label.on_line(max(-label.width / 3, left + label.width / 2), -NAME_DROP)
            self.names.add(keep_upright(label, at=foot))
        depth = (meta.n_heads - 1) * self.pitch + layout.thickness
        self.full = solid_outline(layout.front, depth, theme.faint)
        self._show(settings[0], settings[0], 1.0)

    def turn(self, start: int, stop: int) -> Animation:
        """Return an animation in which the sets of one stop become those of another."""
        first, last = self.settings[start], self.settings[stop]
        return AnimateWith(self, lambda alpha: self._show(first, last, alpha))

    def _show(self, first: Setting, last: Setting, alpha: float) -> None:
        """Show what is between two settings."""
        theme = current_theme()
        filled = [float(not setting.outlined) for setting in (first, last)]
        still = {0.0: first, 1.0: last}.get(alpha)
        for head, pair in enumerate(self.blocks):
            place = (1 - alpha) * first.set_of(head) + alpha * last.set_of(head)
            # At a stop only one head of each set is drawn; the others are in the same place.
            alone = not still or head == 0 or still.set_of(head - 1) != still.set_of(head)
            for name, block in pair.items():
                block.stored = _between(first, last, name, head, alpha, block.stored)
                visible = replace(block.visible_range, shift=(0.0, 0.0, -place * self.pitch))
                block.set_range(visible)
                before, after = (setting.colour(ROLES[name], head) for setting in (first, last))
                colour = mixed(before, after, alpha)
                block.edges.set_stroke(colour)
                set_presence(block.edges, float(alone))
                share = (1 - second_half(alpha)) * filled[0] + second_half(alpha) * filled[1]
                # What the model never had is flat.
                block.edges.set_fill(mixed(theme.card, colour, TINT), opacity=1 - share)
                for face in (block.front, block.top, block.side):
                    set_presence(face, share * alone)


def _between(
    first: Setting, last: Setting, name: str, head: int, alpha: float, now: CachedTensor
) -> CachedTensor:
    """Return keys or values of a head between two settings; those of an outline are the others'."""
    if last.outlined:
        return now if first.outlined else first.stored(name, head)
    end = last.stored(name, head)
    if alpha >= 1 or first.outlined:
        return end
    start = first.stored(name, head)
    return replace(end, values=(1 - alpha) * start.values + alpha * end.values)


class PatternGrid(Group):
    """The patterns of all heads, each in a frame with the colour of the keys that it reads.

    Attributes
    ----------
    cells, frames
        The pattern of each head, and its frame.
    numbers
        The heads' numbers, if there is room for them.
    """

    def __init__(self, settings: Sequence[Setting], layout: SharingLayout) -> None:
        super().__init__()
        theme = current_theme()
        self.settings = settings
        layer = settings[0].layer
        boxes = layout.cells(layer.trace.meta.n_heads)
        self.cells = [head_cells(layer.head(h), "pattern", box) for h, box in enumerate(boxes)]
        self.frames = VGroup(*(Outline(box.grown(0.04)) for box in boxes))
        self.frames.set_stroke(width=theme.line)
        labels = [Label(str(head), colour=theme.muted) for head in range(len(boxes))]
        self.numbers = VGroup()
        if max(label.width for label in labels) < boxes[0].width:
            for label, box in zip(labels, boxes, strict=True):
                self.numbers.add(label.on_line(box.x, box.top + 0.04 + LINE / 2))
        self.add(*self.cells, self.frames, self.numbers)
        pin_to_frame(self)
        self._show(settings[0], settings[0], 1.0)

    def turn(self, start: int, stop: int) -> Animation:
        """Return an animation in which the patterns of one stop become those of another."""
        first, last = self.settings[start], self.settings[stop]
        return AnimateWith(self, lambda alpha: self._show(first, last, alpha))

    def _show(self, first: Setting, last: Setting, alpha: float) -> None:
        """Show what is between two settings."""
        for head, (cells, frame) in enumerate(zip(self.cells, self.frames, strict=True)):
            before, after = (setting.colour("key", head) for setting in (first, last))
            frame.set_stroke(mixed(before, after, alpha))
            _mix(cells, first, last, head, alpha)


def _mix(cells: Heatmap, first: Setting, last: Setting, head: int, alpha: float) -> None:
    """Show the pattern of a head between two settings; an outline has none."""
    shown = (1 - alpha) * (not first.outlined) + alpha * (not last.outlined)
    cells.set_shown(shown)
    if last.outlined:
        return
    end, cells.source = last.pattern(head)
    start = end if first.outlined or alpha >= 1 else first.pattern(head)[0]
    cells.set_values((1 - alpha) * start + alpha * end)


class SetBar(VGroup):
    """A bar of how many numbers the layer keeps of each token, with that figure above it.

    Attributes
    ----------
    pieces
        Its keys and its values.
    names
        The words "keys" and "values" in them, where there is room.
    full, longest
        Outline of the bar at its longest, and how many numbers that is.
    figure, words
        How many numbers, and what they are.
    """

    def __init__(self, settings: Sequence[Setting], layout: SharingLayout) -> None:
        super().__init__()
        theme, meta = current_theme(), settings[0].layer.trace.meta
        self.settings, self.box = settings, layout.bar
        self.width_of_set = meta.d_qk + meta.d_v
        self.full = Outline(layout.bar)
        share = meta.d_qk / self.width_of_set
        self.pieces = VGroup(
            *(
                Rectangle(
                    width=part * layout.bar.width,
                    height=layout.bar.height,
                    stroke_width=0.0,
                    fill_color=theme.role(role),
                    fill_opacity=1.0,
                )
                for part, role in ((share, "key"), (1 - share, "value"))
            )
        )
        self.names = VGroup(Label(_("keys")), Label(_("values")))
        longest = ngettext(
            "{number} set: {numbers}",
            "{number} sets: {numbers}",
            settings[0].count,
            numbers=format_count(self._numbers(0)),
        )
        self.longest = fit_size(longest, layout.bar.width / 2, colour=theme.muted)
        self.longest.on_line(layout.bar.right - 0.15 - self.longest.width / 2, layout.bar.y)
        self.line = layout.figure
        self.figure = Number(self._numbers(0), digits=0, size=DISPLAY)
        self.words = Label(_("numbers per token, kept in this layer"))
        for setting, count in zip(settings, map(self._numbers, range(len(settings))), strict=True):
            fact("kept numbers", count, sets=setting.count)
        self._count(self._numbers(0))
        self.add(self.full, self.longest, self.pieces, self.names, self.figure, self.words)
        pin_to_frame(self)
        self._show(1.0)
        self._tint(self._strength(0))

    def _count(self, numbers: int) -> None:
        """Write another figure, flush left, with the words after it."""
        x, y = self.line
        self.figure.set_value(numbers)
        self.figure.move_to([x + self.figure.width / 2, y, 0.0])
        self.words.on_line(x + self.figure.width + 0.2 + self.words.width / 2, y - 0.1)

    def _numbers(self, stop: int) -> int:
        return self.settings[stop].count * self.width_of_set

    def _strength(self, stop: int) -> float:
        return TINT if self.settings[stop].outlined else 1.0

    def _tint(self, strength: float) -> None:
        """Give the pieces a share of their colours; the words in them are readable on it."""
        theme = current_theme()
        self.pieces.set_fill(opacity=strength)
        self.names.set_fill(theme.ink if strength < 0.8 else theme.background)

    def turn(self, start: int, stop: int) -> Animation:
        """Return an animation in which the bar of one stop becomes that of another."""
        counts = self._numbers(start), self._numbers(stop)
        strengths = self._strength(start), self._strength(stop)

        def step(alpha: float) -> None:
            count, strength = ((1 - alpha) * a + alpha * b for a, b in (counts, strengths))
            self._show(count / self._numbers(0))
            self._count(round(count))
            self._tint(strength)

        return AnimateWith(self, step)

    def grow(self) -> Animation:
        """Return an animation in which the bar grows from its left end."""
        return AnimateWith(self.pieces, lambda alpha: self._show(max(alpha, 1e-3)))

    def _show(self, length: float) -> None:
        """Set the length of the bar, as a share of its longest."""
        left = self.box.left
        widths = self._widths(length)
        named = all(name.width < w - 0.1 for name, w in zip(self.names, widths, strict=True))
        set_presence(self.names, float(named))
        for piece, name, width in zip(self.pieces, self.names, widths, strict=True):
            piece.stretch_to_fit_width(width).move_to([left + width / 2, self.box.y, 0.0])
            name.on_line(left + width / 2, self.box.y)
            left += width
        set_presence(self.longest, float(left < self.longest.get_left()[0] - 0.1))

    def _widths(self, length: float) -> tuple[float, float]:
        meta = self.settings[0].layer.trace.meta
        share = meta.d_qk / self.width_of_set
        return share * length * self.box.width, (1 - share) * length * self.box.width
