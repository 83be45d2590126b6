"""What all heads pass on, side by side, and the layer's output that is made of it."""

from __future__ import annotations

from manim import RIGHT, Group, VGroup

from scenes import theme
from scenes.layout import Frame
from scenes.layout_rack import MergeSlots, merge_slots
from scenes.mobjects.flow import WeightBox, Wire
from scenes.mobjects.marks import ColourBar, Words
from scenes.mobjects.panel import Header, Panel
from scenes.mobjects.text import Label, Symbol
from scenes.view import LayerView

__all__ = ["Merge"]


class Merge(Group):
    """Everything around the strips of z, which belong to the cards that they come from.

    Parameters
    ----------
    view
        Which layer.
    frame
        The frame to fill.
    word_width
        The longest a word beside a row may be.
    featured
        A head whose name stands out.

    Attributes
    ----------
    slots
        Where the strips stand: apart, together, and together at the top.
    names
        The heads' names, in their order, below the strips that stand apart.
    header, scale, words
        Of the strips when they stand together.
    w_o, into, out_of, bias
        The weight, the lines to and from it, and its bias, which may be empty.
    out, out_scale, out_words
        The layer's output.
    """

    def __init__(self, view: LayerView, frame: Frame, *, word_width: float, featured: int) -> None:
        super().__init__()
        looks, meta = theme.current(), view.trace.meta
        heads, d_v, d_model = meta.n_heads, meta.d_v, meta.d_model
        self.slots: MergeSlots = merge_slots(
            frame,
            heads=heads,
            d_v=d_v,
            d_model=d_model,
            count=view.count,
            word_width=word_width,
        )
        slots, whole = self.slots, self.slots.whole(self.slots.together)
        self.names = _names(slots, heads, featured)
        self.header = Header("all heads, side by side", "", (view.count, heads * d_v))
        self.header.stand_on(whole)
        self.scale = ColourBar(view.norm("z"), "", slots.scale(whole))
        self.w_o = WeightBox("W_O", (heads * d_v, d_model), slots.w_o, colour=looks.z)
        self.w_o.shape.next_to(self.w_o.frame, RIGHT, buff=0.12)
        x, top, bottom = slots.w_o.x, slots.w_o.top, slots.w_o.bottom
        names = slots.name_spots(slots.joined)[0][1]
        self.into = Wire([(x, names - 0.2), (x, top)])
        self.out_of = Wire([(x, bottom), (x, slots.out.top + 0.06)])
        self.bias = VGroup()
        if _has_bias(view):
            self.bias.add(Symbol("+ b_O", colour=looks.muted))
            self.bias.move_to([x + 0.2 + self.bias.width / 2, (bottom + slots.out.top) / 2, 0])
        self.out = Panel(
            view.rows("out"),
            view.norm("out"),
            slots.out,
            name="output of the layer",
            source=view.source("out", (0, d_model)),
        )
        self.out_scale = ColourBar(view.norm("out"), "", slots.scale(slots.out))
        self.words, self.out_words = (
            Words(
                view.words if slots.words else (),
                slots.word_spots(box, view.count) if slots.words else (),
                width=word_width,
            )
            for box in (whole, slots.out)
        )


def _names(slots: MergeSlots, heads: int, featured: int) -> VGroup:
    looks = theme.current()
    narrowest = min(slots.apart[0].width, slots.joined[0].width)
    spelled = [Label(f"head {head}", size=looks.note_size) for head in range(heads)]
    fits = max(name.width for name in spelled) < narrowest - 0.06
    names = VGroup()
    for head, (x, y) in enumerate(slots.name_spots(slots.apart)):
        colour = looks.ink if head == featured else looks.muted
        text = f"head {head}" if fits else str(head)
        names.add(Label(text, size=looks.note_size, colour=colour).on_line(x, y))
    return names


def _has_bias(view: LayerView) -> bool:
    """Whether the output has a bias; where a layer's weights are not kept, others tell."""
    return any(view.trace.has("b_O", layer) for layer in view.trace.layers_with_weights())
