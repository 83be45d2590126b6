"""Shared keys and values beside a stack of heads, with lines to the heads that read them."""

from __future__ import annotations

from manim import RIGHT, Group, VGroup

from filmkit.core.camera import set_depth_plane
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.theme import current_theme
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.head_stack import HeadStack, copy_at_depth, free_from_card
from filmkit.mobjects.marks import Outline
from filmkit.mobjects.shared_view import SharedView

__all__ = ["SharedHeadStack"]

FAN_OUT_WIDTH = 0.1  # width of the lines of a fan-out
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
    groups : list of list of int
        Numbers of the heads of each group.
    keys, values : list of Heatmap
        The shared keys and values of each group.
    frames
        Outlines around these, which are what is cached.
    key_fan_outs, value_fan_outs
        For each group the lines to the heads that read it.
    """

    def __init__(self, head_stack: HeadStack, view: SharedView) -> None:
        super().__init__()
        self.head_stack, self.view = head_stack, view
        self.groups = [list(view.shared.heads(group)) for group in range(view.shared.n_groups)]
        self.keys = [self._panel("k", index) for index in range(len(self.groups))]
        self.values = [self._panel("v", index) for index in range(len(self.groups))]
        self.frames = VGroup(
            *(self._frame(n, i) for n in ("k", "v") for i in range(len(self.groups)))
        )
        self.key_fan_outs = VGroup(*(self._fan_out("k", i) for i in range(len(self.groups))))
        self.value_fan_outs = VGroup(*(self._fan_out("v", i) for i in range(len(self.groups))))

    def _panel(self, name: str, index: int) -> Heatmap:
        """Return the shared keys ("k") or values ("v") of a group."""
        values, source = self.view.panel(name, self.view.shared.group(self.groups[index][0]))
        box, z = self._place(name, index)
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
        box, z = self._place(name, index)
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

    def _place(self, name: str, index: int) -> tuple[Box, float]:
        """Return the box and z of a group's shared keys ("k") or values ("v")."""
        layout = self.head_stack.layout
        return layout.shared(getattr(layout.head, name), self.groups[index])
