"""Shared keys and values beside a stack of heads, with lines to the heads that read them."""

from __future__ import annotations

from manim import RIGHT, Group, Mobject, VGroup

from filmkit.core.camera import keep_upright, set_depth_plane
from filmkit.core.geometry import HEADER
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.head_stack import Card, HeadStack, copy_at_depth, free_from_card
from filmkit.mobjects.marks import Outline
from filmkit.mobjects.shared_head_stack_layout import SharedHeadStackLayout
from filmkit.mobjects.shared_view import SharedView

__all__ = ["SharedHeadStack"]


AWAY = 0.14  # between a shared panel and the names of the heads that read it


FAN_OUT_WIDTH = 0.1  # width of the lines of a fan-out


MAX_NAMED = 4  # with more groups, only one has the names of its heads


FRAME = 0.03  # between a shared panel and its frame


class SharedHeadStack(Group):
    """Shared keys and values to the left of a stack of heads.

    The group itself is empty: a scene adds the parts it shows.

    Parameters
    ----------
    head_stack
        The stack.
    view
        The layer with shared keys and values.

    Attributes
    ----------
    layout : SharedHeadStackLayout
        Where shared panels are, and the shots that show them.
    groups : list of list of int
        Numbers of the heads of each group.
    keys, values : list of Heatmap
        The shared keys and values of each group.
    frames
        Outlines around these, which are what is cached.
    key_fan_outs, value_fan_outs
        For each group the lines to the heads that read it.
    readers
        Names of the heads that read a group, beside its panels.
    outlines
        ``outlines[head]["k"]`` and ``outlines[head]["v"]``: outlines on the cards, in the places
        of the head's own keys and values.
    """

    def __init__(self, head_stack: HeadStack, view: SharedView) -> None:
        super().__init__()
        theme = current_theme()
        self.head_stack, self.view = head_stack, view
        self.groups = [list(view.shared.heads(group)) for group in range(view.shared.n_groups)]
        self.layout = SharedHeadStackLayout(head_stack.layout, tuple(map(tuple, self.groups)))
        self.keys = [self._panel("k", index) for index in range(len(self.groups))]
        self.values = [self._panel("v", index) for index in range(len(self.groups))]
        self.frames = VGroup(
            *(self._frame(n, i) for n in ("k", "v") for i in range(len(self.groups)))
        )
        self.key_fan_outs = VGroup(*(self._fan_out("k", i) for i in range(len(self.groups))))
        self.value_fan_outs = VGroup(*(self._fan_out("v", i) for i in range(len(self.groups))))
        self.readers = VGroup()
        # If there are many panels, only the outermost one has room for text.
        named = self.groups if len(self.groups) <= MAX_NAMED else self.groups[-1:]
        for heads in named:
            index = self.groups.index(heads)
            words = view.readers(view.shared.group(heads[0]))
            text = "all heads" if len(self.groups) == 1 else words
            below = self.layout.below
            label = Label(text, size=theme.note_size if below else theme.shape_size)
            corners = self.values[index].corners
            if below:
                # The header of the values is between the first panel and this label.
                drop = label.line_height + (HEADER if index == 0 else 0.0)
                label.on_line(label.width / 2 - AWAY, -drop)
                at = corners[3]
            else:
                label.on_line(-AWAY - label.width / 2, 0.0)
                at = (corners[0] + corners[3]) / 2
            self.readers.add(keep_upright(label, at=at))
        self.outlines = {
            card.head: {
                name: self._outline(name, card, colour)
                for name, colour in (("k", theme.key), ("v", theme.value))
            }
            for card in head_stack.cards
        }

    def _panel(self, name: str, index: int) -> Heatmap:
        """Return the shared keys ("k") or values ("v") of a group."""
        values, source = self.view.panel(name, self.view.shared.group(self.groups[index][0]))
        box, z = self.layout.panel(name, index)
        cells = Heatmap(
            values, self.view.norms[name], width=box.width, height=box.height, source=source
        )
        return free_from_card(copy_at_depth(cells, box, z))

    def _frame(self, name: str, index: int) -> Outline:
        """Return the outline around the shared keys ("k") or values ("v") of a group."""
        role = {"k": "key", "v": "value"}[name]
        # A single set has the colour itself, several have one of three lightnesses each.
        theme = current_theme()
        colour = theme.group_colour(role, index) if len(self.groups) > 1 else theme.role(role)
        panel = (self.keys if name == "k" else self.values)[index]
        box, z = self.layout.panel(name, index)
        frame = Outline(box.grown(FRAME), colour=colour)
        frame.set_stroke(width=current_theme().line)
        return set_depth_plane(frame.shift([0.0, 0.0, z]), panel)

    def _fan_out(self, name: str, index: int) -> FanOut:
        """Return the lines from the shared keys ("k") or values ("v") of a group to its heads."""
        panel = (self.keys if name == "k" else self.values)[index]
        ends = []
        for head in self.groups[index]:
            box = getattr(self.head_stack.layout.head, name)
            ends.append((box.right, box.y, self.head_stack.layout.depth_at(head)))
        start = panel.side_center(RIGHT)
        return FanOut(start, ends, spine=self.head_stack.layout.spine, width=FAN_OUT_WIDTH)

    def _outline(self, name: str, card: Card, colour: str) -> Outline:
        """Return an outline in the place of a card's own keys ("k") or values ("v")."""
        outline = Outline(getattr(self.head_stack.layout.head, name), colour=colour)
        outline.shift([0.0, 0.0, self.head_stack.layout.depth_at(card.head)])
        return set_depth_plane(outline, card.plane)

    def own_panels(self, name: str) -> list[tuple[Heatmap, int]]:
        """Return each card's own keys ("k") or values ("v"), with the number of its group."""
        pairs = []
        for index, heads in enumerate(self.groups):
            pairs += [(getattr(self.head_stack.cards[head], name), index) for head in heads]
        return pairs

    def copy_header(self, name: str, header: Mobject) -> Mobject:
        """Return a copy of a header of the flat card at the shared keys ("k") or values ("v").

        Nothing hides it there: the header of the keys is above those of the last group, that of
        the values below those of the first group.
        """
        last = len(self.groups) - 1
        flat = self.head_stack.layout.flat
        copy = self.copy_to_shared(name, header, flat, last if name == "k" else 0)
        if name == "v":
            box = getattr(self.head_stack.layout.head, name)
            copy.shift([0.0, 2 * (box.y - header.get_y()), 0.0])
        return copy

    def copy_to_shared(self, name: str, mobject: Mobject, head: int, index: int) -> Mobject:
        """Return a copy of something beside a card's own panel, moved to the shared panel.

        Parameters
        ----------
        name
            "k" for keys or "v" for values.
        mobject
            What is copied.
        head
            Number of the head whose card it is beside.
        index
            Number of the group whose panel it is moved to.
        """
        box, z = self.layout.panel(name, index)
        home = getattr(self.head_stack.layout.head, name)
        return mobject.copy().shift(
            [box.x - home.x, 0.0, z - self.head_stack.layout.depth_at(head)]
        )
