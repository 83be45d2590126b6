"""What stands beside a stack of heads that share keys and values."""

from __future__ import annotations

from manim import RIGHT, Group, Mobject, VGroup

from filmkit.core.camera import keep_upright, on_card
from filmkit.core.geometry import HEADER
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.head_stack import HeadStack, free, standing
from filmkit.mobjects.marks import Outline
from filmkit.mobjects.shared_head_stack_layout import SharedPlaces
from filmkit.mobjects.shared_view import SharedView

__all__ = ["SharedHeadStack", "in_groups"]


AWAY = 0.14  # between a shared panel and the heads that read it


COMB = 0.1


MAX_NAMED = 4  # groups whose heads are written beside them


FRAME = 0.03  # between a shared panel and its frame


def in_groups(view: SharedView, head: int) -> tuple[int, ...]:
    """All heads: the given one, those of its group, then the others in order."""
    group = view.shared.heads(view.shared.group(head))
    others = (h for h in range(view.layer.trace.meta.n_heads) if h not in group)
    return (head, *(h for h in group if h != head), *others)


class SharedHeadStack(Group):
    """What stands beside a rack whose heads share keys and values.

    Parameters
    ----------
    rack
        Its heads stand group after group, as :func:`in_groups` orders them.
    view
        What they share.

    Attributes
    ----------
    places
        Where shared panels stand, and the shot that shows them.
    groups
        Heads of each group, in the order of the rack.
    keys, values
        The shared panels of each group.
    frames
        Around the shared panels, which are what is cached.
    key_combs, value_combs
        From them to the heads that read them.
    readers
        For each group the heads that read it, in words.
    outlines
        On each card, the visibly empty places of keys and values of its own.
    """

    def __init__(self, head_stack: HeadStack, view: SharedView) -> None:
        super().__init__()
        theme = current_theme()
        self.head_stack, self.view = head_stack, view
        numbers = dict.fromkeys(view.shared.group(head) for head in head_stack.order)
        self.groups = [
            [head for head in head_stack.order if view.shared.group(head) == number]
            for number in numbers
        ]
        self.places = SharedPlaces(
            head_stack.layout,
            tuple(tuple(head_stack.heads[head].place for head in heads) for heads in self.groups),
        )
        self.keys = [self._panel("k", index) for index in range(len(self.groups))]
        self.values = [self._panel("v", index) for index in range(len(self.groups))]
        self.frames = VGroup(
            *(self._frame("k", i, theme.key) for i in range(len(self.groups))),
            *(self._frame("v", i, theme.value) for i in range(len(self.groups))),
        )
        self.key_fan_outs = VGroup(*(self._fan_out("k", i) for i in range(len(self.groups))))
        self.value_fan_outs = VGroup(*(self._fan_out("v", i) for i in range(len(self.groups))))
        self.readers = VGroup()
        # Beside many panels only the outermost has room for words.
        named = self.groups if len(self.groups) <= MAX_NAMED else self.groups[-1:]
        for heads in named:
            index = self.groups.index(heads)
            words = view.readers(view.shared.group(heads[0]))
            said = "all heads" if len(self.groups) == 1 else words
            below = self.places.below
            label = Label(said, size=theme.note_size if below else theme.shape_size)
            corners = self.values[index].points
            if below:
                # Between them and the first panel stands its name.
                drop = label.line_height + (HEADER if index == 0 else 0.0)
                label.on_line(label.width / 2 - AWAY, -drop)
                at = corners[3]
            else:
                label.on_line(-AWAY - label.width / 2, 0.0)
                at = (corners[0] + corners[3]) / 2
            self.readers.add(keep_upright(label, at=at))
        self.outlines = {
            card.head: {
                name: self._outline(name, card.place, colour)
                for name, colour in (("k", theme.key), ("v", theme.value))
            }
            for card in head_stack.cards
        }

    def _panel(self, name: str, index: int) -> Heatmap:
        values, source = self.view.panel(name, self.view.shared.group(self.groups[index][0]))
        box, z = self.places.panel(name, index)
        cells = Heatmap(
            values, self.view.norms[name], width=box.width, height=box.height, source=source
        )
        return free(standing(cells, box, z))

    def _frame(self, name: str, index: int, colour: str) -> Outline:
        panel = (self.keys if name == "k" else self.values)[index]
        box, z = self.places.panel(name, index)
        frame = Outline(box.grown(FRAME), colour=colour)
        frame.set_stroke(width=current_theme().line)
        return on_card(frame.shift([0.0, 0.0, z]), panel)

    def _fan_out(self, name: str, index: int) -> FanOut:
        panel = (self.keys if name == "k" else self.values)[index]
        ends = []
        for head in self.groups[index]:
            card = self.head_stack.heads[head]
            box = getattr(self.head_stack.layout.head, name)
            ends.append((box.right, box.y, self.head_stack.layout.z(card.place)))
        start = panel.corners_towards(RIGHT)
        return FanOut(start, ends, spine=self.head_stack.layout.spine, width=COMB)

    def _outline(self, name: str, place: int, colour: str) -> Outline:
        outline = Outline(getattr(self.head_stack.layout.head, name), colour=colour)
        outline.shift([0.0, 0.0, self.head_stack.layout.z(place)])
        return on_card(outline, self.head_stack.cards[place].plane)

    def own(self, name: str) -> list[tuple[Heatmap, int]]:
        """Each card's own keys ("k") or values ("v"), with the group they go to."""
        pairs = []
        for index, heads in enumerate(self.groups):
            pairs += [(getattr(self.head_stack.heads[head], name), index) for head in heads]
        return pairs

    def header_at(self, name: str, header: Mobject) -> Mobject:
        """A copy of the front card's header where nothing hides it.

        That of the keys stands above the last group's, that of the values below the first one's.
        """
        last = len(self.groups) - 1
        copy = self.at_shared(name, header, 0, last if name == "k" else 0)
        if name == "v":
            box = getattr(self.head_stack.layout.head, name)
            copy.shift([0.0, 2 * (box.y - header.get_y()), 0.0])
        return copy

    def at_shared(self, name: str, mobject: Mobject, place: int, index: int) -> Mobject:
        """A copy of what stands at a card's keys or values where the shared ones stand."""
        box, z = self.places.panel(name, index)
        home = getattr(self.head_stack.layout.head, name)
        return mobject.copy().shift([box.x - home.x, 0.0, z - self.head_stack.layout.z(place)])
