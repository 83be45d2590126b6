"""Flow diagrams of multi-head latent attention: naive form, absorbed form, stack of heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manim import RIGHT, Dot, Group, Mobject, VGroup, VMobject

from filmkit.core.camera import Shot, keep_upright, set_depth_plane
from filmkit.core.geometry import Box, Frame, Path
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _, phrase_parts
from filmkit.core.text import Label, fit_size
from filmkit.core.theme import current_theme
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.flow import WeightBox, Wire
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.head_stack import UNITS_PER_POINT, CardBody, Plane
from filmkit.mobjects.head_stack_layout import HeadStackLayout
from filmkit.mobjects.latent_layout import GAP, HeadStackShots, NaiveLayout
from filmkit.mobjects.latent_panel import LatentPanel, NaiveFeed
from filmkit.mobjects.latent_view import LatentHead, LatentView
from filmkit.mobjects.marks import TokenLabels
from filmkit.mobjects.panel import Truncated
from filmkit.mobjects.ribbon import filled, outline_of
from scenes.mla.layout import AbsorbedLayout

__all__ = ["AbsorbedHeadStack", "AbsorbedPicture", "NaivePicture", "feed_words", "output_panel"]

NAMES_LEFT = 1.15  # from the corner of the lines of the absorbed form to their names
NAMES_ROOM = 2.6  # largest width of these names: the latent is at their left
FEW, LOW = 5, 1.0  # least number of cards and height of a latent with room for these
FIRST, LAST = 8, 4  # number of columns drawn at each end of a wide matrix


def output_panel(view: LatentView, values: np.ndarray, box: Box, *, name: str) -> Truncated:
    """Build the panel of a layer's output in one form.

    Only the first and the last columns are drawn.

    Parameters
    ----------
    view
        The layer, with its latent.
    values : (position, d_model)
        The output.
    box
        Where its cells are.
    name
        Its name.
    """
    return Truncated(
        view.rows(values),
        view.out_norm,
        box,
        first=FIRST,
        last=LAST,
        name=name,
        source=view.layer.computed("latent_output", values.shape[1]),
    )


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
    w_dkv, w_q, w_uk, w_uv
        Boxes with the names of the weights.
    to_latent, to_q, to_k, to_v
        Lines to each weight and on from it.
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

    def _name_weights(self) -> None:
        theme, s, view = current_theme(), self.layout, self.view
        trace, at = view.layer.trace, view.layer.layer
        meta, forms = trace.meta, view.forms
        d_content = forms.layer.W_UK.shape[2]

        def bias(name: str, note: str) -> list[str]:
            return [note] if trace.has(name, at) else []

        query, before, notes = "W_Q", meta.d_model, bias("b_Q", _("+ bias"))
        if trace.has("W_DQ", at):
            query, before = "W_(U Q)", trace.get("W_DQ", at).shape[1]
            notes = [_("of a latent of X")]
        latent_notes = [_("norm")] if forms.has_trained_latent else []
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
            notes=bias("b_K", _("bias dropped")) or ([_("+ shared key")] if forms.d_rope else []),
        )
        self.w_uv = WeightBox(
            "W_(U V)",
            (forms.rank, meta.d_v),
            s.w_uv,
            colour=theme.value,
            notes=bias("b_V", _("bias: to output")),
        )

    def _draw_lines(self) -> None:
        s, head = self.layout, self.layout.head
        self.to_latent = _lines_through(*s.to_latent)
        self.to_q = _lines_through(
            s.to_query(s.w_q), ((s.w_q.right, head.q.y), (head.q.left - GAP, head.q.y))
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
    """One head in the absorbed form, which reads the latent directly: the card of a stack.

    Parameters
    ----------
    view
        The layer, with its latent.
    layout
        Where everything stands.
    head_picture
        The picture of the head, for the lines that both forms share.

    Attributes
    ----------
    panels
        Heatmaps by name: queries in the latent space, the transposed latent, scores, pattern, and
        the mix of latents.
    latent
        The cached latent.
    key_line, value_line
        Lines from the edge of a card to the scores and to the mix.
    """

    def __init__(self, view: LatentView, layout: AbsorbedLayout, head_picture: HeadPicture) -> None:
        super().__init__()
        self.view, self.layout, self.head_picture = view, layout, head_picture
        head = view.head(head_picture.view.head)
        mask = view.layer.head(head.head).causal_mask
        norms = {
            "q": view.q_latent_norm,
            "k_t": view.latent_norm,
            "scores": view.layer.scores_norm,
            "pattern": view.layer.norm("pattern"),
            "z": view.latent_norm,
        }
        self.panels: dict[str, Heatmap] = {}
        for name, (values, source) in head.absorbed_panels.items():
            box = getattr(layout.head, name)
            masked = mask if name in ("scores", "pattern") else None
            cells = Heatmap(values, norms[name], masked=masked, source=source)
            self.panels[name] = cells.place(box)
        self.latent = LatentPanel(view, layout.latent, layout.rope, below=not layout.naive.upright)
        self._draw_lines()

    def _draw_lines(self) -> None:
        s, head = self.layout, self.layout.head
        edge, bend, y = self.card.left, s.bend, head.q.y
        colour = current_theme().latent if s.naive.upright else None
        below = head.k_t.bottom - GAP
        path = [(edge, s.key_line), (bend, s.key_line), (head.k_t.x, below)]
        if bend < head.k_t.x - 1e-6:
            path[2:] = [(bend, below - 0.3), (head.k_t.x, below - 0.3), (head.k_t.x, below)]
        self.key_line = Wire(path, colour=colour)
        joint = s.joint
        to_mix = (head.z.left - GAP, s.value_line)
        self.value_line = Wire([(edge, s.value_line), to_mix], colour=colour)
        turn = head.z.top + 0.24
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
    def card(self) -> Box:
        """Outline of a card of the stack of heads."""
        return HeadStackLayout(self.layout.head, 1).card

    @property
    def card_lines(self) -> tuple[Mobject, ...]:
        """Lines that a card of the stack of heads has."""
        shared = (self.head_picture.k_t_to_scores, self.head_picture.softmax)
        own = (self.q_to_k_t, self.key_line, self.value_line, self.pattern_to_z, self.product_dot)
        return (*shared, *own)


def feed_words(feed: NaiveFeed, shot: Shot, frame: Frame) -> VGroup:
    """Return what the lines from a latent do, in words at the corner where they turn.

    There are none where they have no room in the shot.
    """
    theme, line, x = current_theme(), VGroup(), 0.3
    made = {"keys": (_("keys"), theme.key), "values": (_("values"), theme.value)}
    for text, name in phrase_parts(_("makes every head’s {keys} and {values}")):
        for part, colour in ((text, theme.latent), made.get(name, ("", ""))):
            if part:
                label = Label(part, colour=colour)
                line.add(label.on_line(x + label.width / 2, -0.3))
                x += label.width + 0.075
    corner = shot.project(np.array([feed.corner]), frame.height)[0]
    return keep_upright(line, feed.corner) if corner[0] + x < frame.stage.right else VGroup()


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

    def line_names(self) -> VGroup:
        """Return what the two lines of the latent are for, left of their corner.

        There are none where cards are few or low, or the frame is narrow: something is there.
        """
        theme, s, names = current_theme(), self.picture.layout, VGroup()
        if not s.naive.head.frame.wide or len(self.cards) < FEW or s.latent.height < LOW:
            return names
        for line, text in enumerate(
            (_("upper line: for the scores"), _("lower line: for the mix"))
        ):
            label = fit_size(text, NAMES_ROOM, colour=theme.latent)
            names.add(label.on_line(-NAMES_LEFT - label.width / 2, -0.32 * line))
        corner = (self.layout.spine, s.value_line, self.layout.depth_at(0))
        return keep_upright(names, corner)

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
        colour = current_theme().latent
        return FanOut(start, ends, spine=self.layout.spine, along=RIGHT, width=0.1, colour=colour)

    @staticmethod
    def _flat_lines(wires: Sequence[Wire]) -> VMobject:
        theme = current_theme()
        width = theme.line * UNITS_PER_POINT
        polygons = [polygon for wire in wires for polygon in outline_of(wire, width)]
        return filled(polygons, theme.flow)

    def _panels(self, latent_head: LatentHead, causal_mask: np.ndarray) -> dict[str, Heatmap]:
        panels = {}
        for name, (values, source) in latent_head.absorbed_panels.items():
            cells = self.picture.panels[name].copy().set_values(values)
            cells.source = source
            cells.set_masked(causal_mask if name in {"scores", "pattern"} else 0)
            panels[name] = cells.place(getattr(self.layout.head, name))
        return panels
