"""Flow diagrams of multi-head latent attention: naive form, absorbed form, stack of heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from manim import RIGHT, Dot, Group, Mobject, VGroup, VMobject

from filmkit.core.camera import set_depth_plane
from filmkit.core.geometry import Box, Path
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import Paragraph
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.flow import WeightBox, Wire
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.head_stack import UNITS_PER_POINT, CardBody, Plane
from filmkit.mobjects.head_stack_layout import HeadStackLayout
from filmkit.mobjects.latent_layout import GAP, HeadStackShots, NaiveLayout
from filmkit.mobjects.latent_panel import LatentPanel, place_below
from filmkit.mobjects.latent_view import LatentHead, LatentView
from filmkit.mobjects.marks import TokenLabels
from filmkit.mobjects.panel import Panel, Truncated
from filmkit.mobjects.ribbon import filled, outline_of
from scenes.mla.layout import AbsorbedLayout

__all__ = ["AbsorbedHeadStack", "AbsorbedPicture", "Derivation", "NaivePicture", "output_panel"]

FIRST, LAST = 8, 4  # number of columns drawn at each end of a wide matrix


def output_panel(view: LatentView, form: str, box: Box, *, name: str = "output") -> Truncated:
    """Build the panel of a layer's output in one form, "naive" or "absorbed".

    Only the first and the last columns are drawn.
    """
    values = getattr(view.forms, form).out
    return Truncated(
        view.rows(values),
        view.out_norm,
        box,
        first=FIRST,
        last=LAST,
        name=name,
        source=view.layer.computed(f"output of the {form} form", "d_model", values.shape[1]),
    )


def _place_output_header(out: Truncated, box: Box, *, below: bool = False) -> None:
    """Put the header of an output flush right, without its shape: W_O already shows the width."""
    if out.header.shape is not None:
        out.header.remove(out.header.shape)
    out.header.stand_on(box, align="right")
    if below:
        place_below(out.header, box)


class Derivation(VGroup):
    """Formula with several steps, from one equals sign to the next.

    It stands on one line if that fits, else on several.

    Parameters
    ----------
    steps
        Typst mathematics; all but the first begin with an equals sign.
    start
        (x, y) of the left end of the first line.
    room
        Largest width, in scene units.
    """

    LINE = 0.42  # distance from one line to the next, in scene units

    def __init__(self, steps: Sequence[str], start: tuple[float, float], room: float) -> None:
        super().__init__()
        lines = [Symbol(" ".join(steps))]
        if lines[0].width > room and len(steps) > 1:
            # The first line keeps the left-hand side, with the first step where there are two.
            first = max(1, len(steps) - 1)
            lines = [Symbol(step) for step in (" ".join(steps[:first]), *steps[first:])]
        for index, line in enumerate(lines):
            self.add(line.on_line(start[0] + line.width / 2, start[1] - self.LINE * index))


def _lines_through(arriving: Path, leaving: Path, *, colour: str | None = None) -> VGroup:
    """Build the lines to a weight and on from it; ``colour`` is that of the line to it."""
    return VGroup(Wire(arriving, arrow=False, colour=colour), Wire(leaving))


class NaivePicture(Group):
    """Diagram around one head in the naive form, with keys and values expanded from a latent.

    The panels of the head itself belong to the front card of a stack of heads; this class has
    what leads into the head and out of it. Parts are attributes, and nothing is added to a scene
    by itself.

    Attributes
    ----------
    x, x_words, latent
        X, its words and the latent, on the left.
    w_dkv, w_q, w_uk, w_uv, w_o
        Boxes with the names of the weights.
    to_latent, to_q, to_k, to_v, to_out
        Lines to each weight and on from it.
    to_latent_q, to_merged_out
        The same to and from the merged weights of the absorbed form.
    latent_to_scores, latent_to_mix
        Lines that replace the expanded keys and values.
    out
        The layer's output, to the right of the picture.
    """

    def __init__(self, view: LatentView, layout: NaiveLayout) -> None:
        super().__init__()
        layer = view.layer
        meta = layer.trace.meta
        self.view, self.layout = view, layout
        self.x = Truncated(
            layer.rows("x"),
            layer.norm("x"),
            layout.x,
            first=FIRST,
            last=LAST,
            symbol="X",
            source=layer.source("x", (0, meta.d_model)),
        )
        self.x_words = TokenLabels(
            layer.words if layout.word_size else (),
            layout.x_words if layout.word_size else (),
            width=layout.head.word_width,
            size=layout.word_size,
        )
        self.latent = LatentPanel(view, layout.latent, layout.rope, below=not layout.upright)
        self._name_weights()
        self._draw_lines()
        self.out = output_panel(view, "naive", layout.out)
        _place_output_header(self.out, layout.out, below=layout.upright)

    def _name_weights(self) -> None:
        theme, s, view = current_theme(), self.layout, self.view
        trace, at = view.layer.trace, view.layer.layer
        meta, forms = trace.meta, view.forms
        d_content = forms.layer.W_UK.shape[2]

        def bias(name: str, note: str) -> list[str]:
            return [note] if trace.has(name, at) else []

        query, before, notes = "W_Q", meta.d_model, bias("b_Q", "+ bias")
        if trace.has("W_DQ", at):
            query, before = "W_(U Q)", trace.get("W_DQ", at).shape[1]
            notes = ["of a latent of X"]
        latent_notes = ["norm"] if forms.has_trained_latent else []
        self.w_dkv = WeightBox(
            "W_(D K V)",
            (meta.d_model, forms.rank),
            s.w_dkv,
            colour=theme.latent,
            notes=latent_notes,
        )
        self.w_dkv.symbol.shrink_to(s.w_dkv.width - 0.12)
        # Where the line runs straight down through this box, its shape stands beside it.
        lines = self.w_dkv.lines if not s.upright else ()
        room = s.w_dkv.left - 0.14 - s.head.frame.stage.left
        fits = all(line.width <= room for line in lines)
        # Beside the box on the right they stand clear of the next one.
        rise = 0.0 if fits else 0.36 if s.w_uk.y < s.w_dkv.y else -0.3
        for index, line in enumerate(lines):
            half = 0.14 + line.width / 2
            x = s.w_dkv.left - half if fits else s.w_dkv.right + half
            line.on_line(x, s.w_dkv.y - 0.24 * index + rise)
        self.w_q = WeightBox(query, (before, meta.d_qk), s.w_q, colour=theme.query, notes=notes)
        self.w_uk = WeightBox(
            "W_(U K)",
            (forms.rank, d_content),
            s.w_uk,
            colour=theme.key,
            notes=bias("b_K", "bias dropped") or (["+ shared key"] if forms.d_rope else []),
        )
        self.w_uv = WeightBox(
            "W_(U V)",
            (forms.rank, meta.d_v),
            s.w_uv,
            colour=theme.value,
            notes=bias("b_V", "bias: to output"),
        )
        self.w_o = WeightBox(
            "W_O", (meta.d_v, meta.d_model), s.w_o, colour=theme.flow, notes=self.sum_notes
        )

    @property
    def sum_notes(self) -> list[str]:
        """Notes on the output weight: how many heads are added up, and whether there is a bias."""
        heads = self.view.layer.trace.meta.n_heads
        bias = ["+ bias"] if self.view.forms.layer.b_O is not None else []
        return [f"sum of {heads} heads", *bias]

    def _draw_lines(self) -> None:
        s, head = self.layout, self.layout.head
        self.to_latent = _lines_through(*s.to_latent)
        self.to_q, self.to_latent_q = (
            _lines_through(s.to_query(box), ((box.right, head.q.y), (head.q.left - GAP, head.q.y)))
            for box in (s.w_q, s.w_qk)
        )
        # Beside X the latent's line crosses that to the queries.
        colour = current_theme().latent if s.upright else None
        self.to_k, self.to_v = (
            _lines_through(
                s.from_latent(panel.y, (weight.left, panel.y)),
                ((weight.right, panel.y), (panel.left - GAP, panel.y)),
                colour=colour,
            )
            for weight, panel in ((s.w_uk, head.k), (s.w_uv, head.v))
        )
        self.to_out, self.to_merged_out = (
            _lines_through(
                s.to_output_weight(weight),
                ((weight.right, weight.y), (s.out.left - GAP, weight.y)),
            )
            for weight in (s.w_o, s.w_vo)
        )
        # These replace the expanded keys and values, while everything else stays where it is.
        k_t = head.k_t
        to_scores = ((k_t.x, head.k.y), (k_t.x, k_t.bottom - GAP))
        to_mix = (head.z.left - GAP, head.joint[1])
        self.latent_to_scores = Wire(s.from_latent(head.k.y, *to_scores), colour=colour)
        self.latent_to_mix = Wire(s.from_latent(head.v.y, to_mix), colour=colour)

    @property
    def input_side(self) -> Group:
        """Everything that leads into the head."""
        weights = (self.w_dkv, self.w_q, self.w_uk, self.w_uv)
        lines = (self.to_latent, self.to_q, self.to_k, self.to_v)
        return Group(self.x, self.x_words, self.latent, *lines, *weights)

    @property
    def input_without_latent(self) -> Group:
        """Everything that leads into the head, without the latent."""
        return Group(*(part for part in self.input_side if part is not self.latent))


class AbsorbedPicture(Group):
    """Diagram of one head in the absorbed form, which reads the latent directly.

    Parameters
    ----------
    view
        The layer, with its latent.
    layout
        Where everything stands.
    naive
        The diagram of the naive form, for the weights' names.
    head_picture
        The picture of the head, for the lines that both forms share.

    Attributes
    ----------
    q, k_t, scores, pattern, z
        Panels: queries in the latent space, the transposed latent, scores, pattern, and the mix
        of latents.
    q_shape
        Shape of ``q``, below it.
    latent
        The cached latent.
    note
        Remark on the shared rotated key, where one is cached beside the latent.
    w_qk, w_vo, w_dkv
        Boxes with the names of the weights.
    to_q, to_latent, to_out
        Lines on the left and the right.
    key_feed, value_feed
        Lines from the latent to the edge of a card.
    key_line, value_line
        Lines from there to the scores and to the mix.
    out
        The layer's output.
    """

    def __init__(
        self,
        view: LatentView,
        layout: AbsorbedLayout,
        naive: NaivePicture,
        head_picture: HeadPicture,
    ) -> None:
        super().__init__()
        theme, head = current_theme(), head_picture.view.head
        self.view, self.layout, self.naive, self.head_picture = view, layout, naive, head_picture
        latent_head, s = view.head(head), layout.head
        causal_mask = view.layer.head(head).causal_mask
        self.q = Panel(
            latent_head.q_latent,
            view.q_latent_norm,
            s.q,
            name="latent queries",
            colour=theme.query,
            show_shape=False,
            source=view.layer.computed("queries times W_UK, transposed", "r", view.forms.rank),
        )
        # The header is too long for the shape beside it.
        rows, columns = latent_head.q_latent.shape
        self.q_shape = Label(f"{rows} × {columns}", size=theme.shape_size, colour=theme.muted)
        self.q_shape.on_line(s.q.left + self.q_shape.width / 2, s.q.bottom - 0.2)
        self.k_t = Panel(
            view.latent.T,
            view.latent_norm,
            s.k_t,
            symbol="C^top",
            colour=theme.latent,
            align="center",
            show_shape=False,
            source=_transposed(view.latent_source),
        )
        self.scores = Panel(
            latent_head.absorbed_scores,
            view.layer.scores_norm,
            s.scores,
            name="scores",
            align="center",
            show_shape=False,
            source=view.layer.computed("scaled scores against the latent", "key_pos"),
            masked=causal_mask,
        )
        self.pattern = Panel(
            latent_head.absorbed_pattern,
            view.layer.norm("pattern"),
            s.pattern,
            show_shape=False,
            source=view.layer.computed("pattern from scores against the latent", "key_pos"),
            masked=causal_mask,
        )
        self.z = Panel(
            latent_head.z_latent,
            view.latent_norm,
            s.z,
            name="mix of latents",
            symbol="A C",
            colour=theme.latent,
            show_shape=False,
            source=view.layer.computed("pattern times the latent", "r", view.forms.rank),
        )
        self.place_z_header()
        self.latent = LatentPanel(view, layout.latent, layout.rope, below=not layout.naive.upright)
        self.note = VGroup()
        if view.forms.d_rope:
            lines = ("+ rotated queries times", "the shared rotated key")
            corner = (s.q.left, s.q.bottom - 0.36)
            self.note.add(Paragraph(lines, corner, size=theme.note_size))
        self._name_weights()
        self._draw_lines()
        self.out = output_panel(view, "absorbed", layout.out)
        _place_output_header(self.out, layout.out, below=True)

    def move_to_naive_places(self) -> list[tuple[Mobject, Mobject]]:
        """Move parts to where the naive diagram has what they replace.

        Returns
        -------
        list of (part, copy)
            Every part that was moved, with a copy at its place in the absorbed diagram.
        """
        layout, head = self.naive.layout, self.naive.layout.head
        parts: list[Any] = [self.q.cells, self.q.header, self.q_shape, self.z.cells, self.z.header]
        parts += [self.w_qk, self.w_vo, *self.out.blocks, self.out.header]
        parts += [] if self.out.dots is None else [self.out.dots]
        final_copies = [(part, part.copy()) for part in parts]
        # A header that is wider than its panel reaches to the side that is free.
        beyond = "right" if layout.upright else "left"
        for panel, box, side in ((self.q, head.q, "right"), (self.z, head.z, beyond)):
            panel.cells.place(box)
            panel.header.stand_on(box, align=side if panel.header.width > box.width else "left")
        shift = np.array(
            [head.q.left - self.layout.head.q.left, head.q.bottom - self.layout.head.q.bottom, 0.0]
        )
        self.q_shape.shift(shift)
        for weight, box in ((self.w_qk, layout.w_qk), (self.w_vo, layout.w_vo)):
            weight.shift(np.array(box.center) - weight.frame.get_center())
        self.out.shift(np.array(layout.out.center) - self.layout.out.center)
        _place_output_header(self.out, layout.out, below=layout.upright)
        return final_copies

    def place_z_header(self) -> None:
        """Put the header of the mix below it."""
        box, header = self.layout.head.z, self.z.header
        # A header that is wider than the panel must not reach below the weight at its right.
        header.stand_on(box, align="right" if header.width > box.width else "left")
        place_below(header, box)

    def _name_weights(self) -> None:
        theme, s, naive = current_theme(), self.layout, self.naive
        meta, rank = self.view.layer.trace.meta, self.view.forms.rank
        name = naive.w_q.symbol.text
        rows = naive.w_q.lines[0].text.split(" × ")[0]
        notes = [line.text for line in naive.w_q.lines[1:]]
        self.w_qk = WeightBox(
            f"{name} W_(U K)^top", (int(rows), rank), s.w_qk, colour=theme.query, notes=notes
        )
        self.w_vo = WeightBox(
            "W_(U V) W_O",
            (rank, meta.d_model),
            s.w_vo,
            colour=theme.value,
            notes=naive.sum_notes,
        )
        for merged in (self.w_qk, self.w_vo):
            merged.symbol.shrink_to(merged.frame.width - 0.16)
        self.w_dkv = naive.w_dkv.copy()
        self.w_dkv.shift([0.0, s.w_dkv.y - naive.layout.w_dkv.y, 0.0])

    def _draw_lines(self) -> None:
        s, head = self.layout, self.layout.head
        edge, bend, y = self.card.left, s.bend, head.q.y
        self.to_latent = _lines_through(*s.to_latent)
        self.to_q = _lines_through(s.to_query(), ((s.w_qk.right, y), (head.q.left - GAP, y)))
        out_y = s.w_vo.y
        self.to_out = VGroup(
            Wire([(head.z.right + GAP, out_y), (s.w_vo.left, out_y)], arrow=False),
            Wire([(s.w_vo.right, out_y), (s.out.left - GAP, out_y)]),
        )
        colour = current_theme().latent if s.naive.upright else None
        self.key_feed, self.value_feed = (
            Wire(s.feed(level, edge), arrow=False, colour=colour)
            for level in (s.key_line, s.value_line)
        )
        below = head.k_t.bottom - GAP
        path = [(edge, s.key_line), (bend, s.key_line), (head.k_t.x, below)]
        if bend < head.k_t.x - 1e-6:
            path[2:] = [(bend, below - 0.3), (head.k_t.x, below - 0.3), (head.k_t.x, below)]
        self.key_line = Wire(path, colour=colour)
        joint = s.joint
        to_mix = (head.z.left - GAP, s.value_line)
        self.value_line = Wire([(edge, s.value_line), to_mix], colour=colour)
        turn = max(head.z.top, s.w_vo.top) + 0.24
        self.pattern_to_z = Wire(
            [
                (head.pattern.x, head.pattern.bottom - GAP),
                (head.pattern.x, turn),
                (joint[0], turn),
                joint,
            ],
            arrow=False,
        )
        self.product_dot = Dot([*joint, 0], radius=0.055, color=current_theme().flow)
        self.q_to_k_t = Wire([(head.q.right + GAP, y), (head.k_t.left - GAP, y)], arrow=False)

    @property
    def names(self) -> Group:
        """Names of the panels, which can be read from every shot of the stack of heads."""
        headers = (self.q.header, self.k_t.header, self.scores.header, self.z.header)
        parts = [part for h in headers for part in (h.name, h.symbol) if part is not None]
        title = self.head_picture.pattern_title
        return Group(*parts, *(p for p in (title.name, title.symbol) if p is not None))

    @property
    def card(self) -> Box:
        """Outline of a card of the stack of heads."""
        return HeadStackLayout(self.layout.head, 1).card

    @property
    def card_lines(self) -> tuple[Mobject, ...]:
        """Lines that a card of the stack of heads has."""
        shared = (self.head_picture.k_t_to_scores, self.head_picture.softmax)
        own = (self.q_to_k_t, self.key_line, self.value_line, self.pattern_to_z, self.product_dot)
        return (*shared, *own)

    @property
    def panels(self) -> dict[str, Heatmap]:
        """Heatmaps that a card of the stack of heads has, by name."""
        return {name: getattr(self, name).cells for name in ("q", "k_t", "scores", "pattern", "z")}


def _transposed(source: TensorSource) -> TensorSource:
    return replace(source, transposed=not source.transposed)


class AbsorbedCard(Group):
    """Card of one head in the absorbed form: panels and lines on an opaque body.

    Parameters
    ----------
    place
        Position of the card, from the front, which is the number of its head.
    layout
        Where the cards stand.
    panels, lines
        Flat panels and lines; they are moved to the card's depth.
    """

    def __init__(
        self,
        place: int,
        layout: HeadStackLayout,
        panels: dict[str, Heatmap],
        lines: Sequence[Mobject],
    ) -> None:
        super().__init__()
        self.place, self.panels, self.lines = place, panels, VGroup(*lines)
        self.plane = Plane(layout.card)
        self.body = CardBody(layout.card)
        self.add(self.plane, self.body, self.lines, *panels.values())
        if place != layout.flat:
            light = layout.light_at(place)
            self.body.set_light(light)
            for panel in panels.values():
                panel.set_opacity(light)
        self.shift([0.0, 0.0, layout.depth_at(place)])
        set_depth_plane(self, self.plane)


class AbsorbedHeadStack(Group):
    """Stack of heads in the absorbed form, all of which read one latent at their left.

    Parameters
    ----------
    view
        The layer, with its latent.
    flat
        Number of the head whose card is the flat diagram.
    picture
        That diagram.

    Attributes
    ----------
    cards
        Cards from front to back; the flat one is made of the parts of ``picture``.
    layout, shots
        Where cards and latent stand, and the shots of them.
    fan_outs
        Lines from the latent to the scores and to the mix of every head.
    """

    def __init__(self, view: LatentView, flat: int, picture: AbsorbedPicture) -> None:
        super().__init__()
        self.view, self.picture = view, picture
        self.layout = HeadStackLayout(picture.layout.head, view.layer.trace.meta.n_heads, flat)
        self.shots = HeadStackShots.beside(self.layout, picture.layout.cached, picture.layout.level)
        lines = picture.card_lines
        back = self._flat_lines([wire for wire in lines if isinstance(wire, Wire)])
        self.cards = []
        for head in range(self.layout.count):
            panels = self._panels(view.head(head), view.layer.head(head).causal_mask)
            own = (picture.panels, lines) if head == flat else (panels, [back.copy()])
            self.cards.append(AbsorbedCard(head, self.layout, *own))
        self.fan_outs = Group(*(self._fan_out(y) for y in self._levels()))
        self.add(*reversed(self.cards))

    @property
    def front_parts(self) -> tuple[Mobject, ...]:
        """Panels and lines of the flat card, which also belong to the flat diagram."""
        return (*self.featured.panels.values(), self.featured.lines)

    @property
    def featured(self) -> AbsorbedCard:
        """The card that is the flat diagram."""
        return self.cards[self.layout.flat]

    @property
    def others(self) -> list[AbsorbedCard]:
        """All other cards."""
        return [card for card in self.cards if card is not self.featured]

    def _levels(self) -> tuple[float, float]:
        return self.picture.layout.key_line, self.picture.layout.value_line

    def _fan_out(self, y: float) -> FanOut:
        start = (self.shots.latent.right + GAP, y, self.shots.depth)
        ends = [(self.layout.card.left, y, self.layout.depth_at(card.place)) for card in self.cards]
        return FanOut(start, ends, spine=self.layout.spine, along=RIGHT, width=0.1)

    @staticmethod
    def _flat_lines(wires: Sequence[Wire]) -> VMobject:
        theme = current_theme()
        width = theme.line * UNITS_PER_POINT
        polygons = [polygon for wire in wires for polygon in outline_of(wire, width)]
        return filled(polygons, theme.flow)

    def _panels(self, latent_head: LatentHead, causal_mask: np.ndarray) -> dict[str, Heatmap]:
        values_by_name = {
            "q": latent_head.q_latent,
            "k_t": self.view.latent.T,
            "scores": latent_head.absorbed_scores,
            "pattern": latent_head.absorbed_pattern,
            "z": latent_head.z_latent,
        }
        panels = {}
        for name, values in values_by_name.items():
            front = self.picture.panels[name]
            cells = front.copy().set_values(values)
            cells.set_masked(causal_mask if name in {"scores", "pattern"} else 0)
            panels[name] = cells.place(getattr(self.layout.head, name))
        return panels
