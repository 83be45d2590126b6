"""The picture in which the keys' matrix moves to the query, and no key is built any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, RoundedRectangle, VGroup

from filmkit.core.animations import AnimateWith, Appear, Glide, Vanish
from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.printable import printable
from filmkit.core.text import Label, Number, Symbol, break_lines, fit_size
from filmkit.core.theme import current_theme
from filmkit.mobjects.flow import WeightBox, Wire
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import TokenLabels
from filmkit.mobjects.panel import Header, Truncated
from filmkit.mobjects.product_layout import ChannelAxis
from filmkit.mobjects.sayings import display_size
from scenes.mla.absorption_layout import AbsorptionLayout, Sizes

__all__ = ["Absorption", "BracketFormula"]

Array = npt.NDArray[np.float64]

MAX_SETS = 4  # largest number of sets of keys that are drawn
FORMULA = 0.055  # height of a formula, as a share of the frame's shorter side
END = 0.05  # between the end of an arrow and what it points at, in scene units


class Formula(VGroup):
    """A formula of coloured pieces on a line, and what it makes, in a word, if there is room.

    Parameters
    ----------
    pieces
        Typst mathematics and colour of each piece.
    result
        Word and colour of what it makes; None leaves it out.
    start
        (x, y) of its left end.
    room
        Its largest width.
    size
        Text size, if there is room.

    Attributes
    ----------
    has_result
        Whether there is room for what it makes.
    """

    GAP = 0.1  # between two pieces, in scene units

    def __init__(
        self,
        pieces: Sequence[tuple[str, str]],
        result: tuple[str, str] | None,
        start: tuple[float, float],
        room: float,
        size: float,
    ) -> None:
        super().__init__()
        self.start = start
        for formula, colour in pieces:
            self.add(Symbol(formula, size=size, colour=colour))
        self.has_result = False
        if result is not None:
            word, colour = result
            made = (Symbol("=", size=size), Label(word, size=0.85 * size, colour=colour))
            width = sum(piece.width + self.GAP for piece in (*self, *made))
            self.has_result = bool(width <= room)
            if self.has_result:
                self.add(*made)
        gaps = self.GAP * (len(self) - 1)
        width = sum(piece.width for piece in self)
        for piece in self:
            piece.scale(min(1.0, (room - gaps) / width))
        self.arrange_in(range(len(pieces)))

    def arrange_in(self, order: Sequence[int]) -> Self:
        """Put the pieces on the line, in an order, the result last, and return the formula."""
        x, y = self.start
        for index in (*order, *range(len(order), len(self))):
            piece = self[index]
            piece.on_line(x + piece.width / 2, y)
            x += piece.width + self.GAP
        return self


class BracketFormula(Formula):
    """Scores as a product of three factors whose bracket moves: q (W C) becomes (q W) C.

    Parameters
    ----------
    query
        Symbol of the query, or of all queries.
    start, room, size
        As for `Formula`.
    with_result
        Whether it says what it makes, if there is room.
    """

    MOVED = (1, 0, 2, 4, 3)  # the pieces, once the bracket has moved

    def __init__(
        self,
        query: str,
        start: tuple[float, float],
        room: float,
        size: float,
        *,
        with_result: bool = True,
    ) -> None:
        theme = current_theme()
        pieces = (
            (query, theme.query),
            ("(", theme.ink),
            ("W_(U K)^top", theme.key),
            ("C^top", theme.latent),
            (")", theme.ink),
        )
        result = (_("scores"), theme.scores) if with_result else None
        super().__init__(pieces, result, start, room, size)

    def move_bracket(self, **kwargs: object) -> Animation:
        """Return the animation in which the bracket moves to the first two factors."""
        return Glide(self, self.copy().arrange_in(self.MOVED), **kwargs)

    def ask_all(self, queries: BracketFormula) -> list[Animation]:
        """Return the animations in which the one query becomes all ``queries``."""
        rest = queries.arrange_in(self.MOVED)[1:]
        return [Vanish(self[0]), Appear(queries[0]), Glide(self[1:], rest)]


class Absorption(Group):
    """Queries, latent, keys and scores of one head, before and after the matrix moves.

    Attributes
    ----------
    layout
        Where everything stands.
    latent, turned
        The latent, and turned, at the top.
    rope, turned_rope, rope_query
        Heatmaps of the shared rotated key, turned, and of the rotated queries, or None.
    keys
        The turned keys that are rebuilt; ``others`` are those of the other sets, behind.
    query, latent_query
        Queries, and queries in the latent space; at first each is a row, with a name of its own.
    weight
        The box of the matrix that moves.
    scores, pattern
        Scores, and the pattern in the same place.
    mix
        The last row's mix of latents.
    number, number_words
        How many numbers are rebuilt for one new token; the last line of the words says how they
        are counted.
    formula, formula_of_all
        The formula whose bracket moves, for one query and for all.
    formula_of_mix
        The formula of the mix of latents.
    link, link_dropped
        The line from the latent to its turned copy, at the top and on the scores.
    chain, drop, across
        Arrows from the turned latent down to the new scores, the one that is left of them without
        keys, and those from the queries through the matrix.
    times, equals
        Signs before the latent and before the mix.
    words
        The words of the rows.
    """

    def __init__(self, view: LatentView, head: int, frame: Frame) -> None:
        super().__init__()
        theme, layer = current_theme(), view.layer
        self.view, self.frame = view, frame
        self.head = latent_head = view.head(head)
        forms, n_sets = view.forms, layer.trace.meta.n_kv_heads
        drawn_sets = min(n_sets, MAX_SETS)
        longest = max(Label(printable(w), size=1.0).width for w in layer.words)
        word_width = min(0.15 * frame.shorter_side, 0.028 * longest)
        self.layout = s = AbsorptionLayout.of(
            frame,
            Sizes(layer.count, latent_head.q.shape[1], forms.rank, forms.d_rope, drawn_sets - 1),
            word_width=word_width,
        )
        mask = layer.head(head).causal_mask
        self.latent = _ends(view.latent, view.latent_norm, s.latent, s.rank, 1, view.latent_source)
        turned_source = replace(view.latent_source, transposed=True)
        self.turned = _ends(view.latent.T, view.latent_norm, s.turned, s.rank, 0, turned_source)
        queries, query_source = latent_head.panels["q"]
        self.query = _ends(queries, layer.norm("q"), s.query, s.channels, 1, query_source)
        self.latent_query = _ends(
            latent_head.q_latent,
            view.q_latent_norm,
            s.latent_query,
            s.query_rank,
            1,
            layer.computed("latent_queries", forms.rank, head=head),
        )
        first = latent_head.kv_head
        groups = [first, *(g for g in range(n_sets) if g != first)][:drawn_sets]
        self.keys, *self.others = (
            self._keys(group, head, s.keys.moved(dx=0.13 * place, dy=0.13 * place))
            for place, group in enumerate(groups)
        )
        self.scores = Heatmap(
            latent_head.absorbed_scores,
            layer.scores_norm,
            width=s.scores.width,
            height=s.scores.height,
            masked=mask,
            source=layer.computed("latent_scores", head=head),
        ).place(s.scores)
        self.pattern = Heatmap(
            latent_head.absorbed_pattern,
            layer.norm("pattern"),
            width=s.scores.width,
            height=s.scores.height,
            masked=mask,
            source=layer.computed("latent_pattern", head=head),
        ).place(s.scores)
        self.mix = _ends(
            latent_head.z_latent[-1:],
            view.latent_norm,
            s.mix,
            s.rank,
            1,
            layer.computed("mixed_latents", forms.rank, head=head).part(
                (layer.count - 1, layer.count), (0, forms.rank)
            ),
        )
        self._add_rope()
        self.weight = WeightBox(
            "W_(U K)^top", (*forms.layer.W_UK.shape[2:], forms.rank), s.weight, colour=theme.key
        )
        self.weight.remove(self.weight.lines)
        self.weight.symbol.shrink_to(s.weight.width - 0.14)
        self._name()
        self._draw_arrows()
        # All tokens that the new one attends to, drawn or not.
        tokens, width = layer.stop, forms.layer.W_UK.shape[2]
        self.rebuilt = count = n_sets * tokens * width
        fact("rebuilt numbers", count)
        self.number = Number(count, digits=0, size=display_size(frame), colour=theme.key)
        self.number.on_line(*s.number)
        lines = break_lines(
            _("numbers rebuilt for one new token"), s.number_room, size=theme.shape_size
        )
        factors = {
            "sets": fact("sets", n_sets),
            "tokens": fact("read tokens", tokens),
            "numbers": fact("rebuilt width", width),
        }
        lines.append(
            _("{sets} sets × {tokens} tokens × {numbers}", **factors)
            if n_sets > 1
            else _("{tokens} tokens × {numbers}", **factors)
        )
        self.number_words = VGroup(
            *(
                fit_size(line, s.number_room, size=theme.shape_size, colour=theme.muted).on_line(
                    s.number[0], s.number[1] - 0.5 - 0.3 * index
                )
                for index, line in enumerate(lines)
            )
        )
        told = VGroup(self.number, self.number_words)
        told.shift([max(0.0, frame.stage.left - told.get_left()[0]), 0, 0])
        self.counted_at = self.number.get_x()
        size = FORMULA * frame.shorter_side / 8.0
        # One becomes the other: both say what they make, or neither does.
        self.formula_of_all = BracketFormula("Q", s.formula, s.formula_room, size)
        self.formula = BracketFormula(
            "q", s.formula, s.formula_room, size, with_result=self.formula_of_all.has_result
        )
        mix = Formula(
            (("A", theme.pattern), ("C", theme.latent)),
            (_("mix of latents"), theme.latent),
            (s.formula[0], s.formula[1] - 16 * size),
            s.formula_room,
            size,
        )
        self.formula_of_mix = mix if mix.has_result else VGroup()
        words = layer.words if s.word_size else ()
        self.words = TokenLabels(
            words, s.words if words else (), width=word_width, size=s.word_size or None
        )

    def _keys(self, group: int, head: int, box: Box) -> Truncated:
        """Return the turned keys of a set, as the naive form has them."""
        view = self.view
        values = view.rows(view.forms.k)[:, group]
        source = view.layer.computed("latent_keys", values.shape[1], kv_head=group)
        return _ends(
            values.T,
            view.layer.norm("k"),
            box,
            self.layout.channels,
            0,
            replace(source, transposed=True),
        )

    def _add_rope(self) -> None:
        view, s = self.view, self.layout
        self.rope = self.turned_rope = self.rope_query = None
        if s.rope is None or s.turned_rope is None or s.rope_query is None:
            return
        norm, d_rope = view.layer.norm("k_rope"), view.forms.d_rope
        source = view.rope_source

        def cells(values: Array, colours: Norm, box: Box, origin: TensorSource) -> Heatmap:
            return Heatmap(
                values, colours, width=box.width, height=box.height, source=origin
            ).place(box)

        self.rope = cells(view.rope, norm, s.rope, source)
        self.turned_rope = cells(view.rope.T, norm, s.turned_rope, replace(source, transposed=True))
        width = self.head.q.shape[1]
        rotated = self.head.q[:, -d_rope:]
        self.rope_query = cells(
            rotated,
            view.layer.norm("q"),
            s.rope_query,
            view.layer.source(view.layer.trace.used("q"), self.head.head, (width - d_rope, width)),
        )

    def _draw_arrows(self) -> None:
        s, theme = self.layout, current_theme()
        x, row = s.scores.x, self.scores.row(-1)
        deck = 0.13 * len(self.others)
        self.link, self.link_dropped = (
            Wire(s.link_to(box), colour=theme.latent) for box in (s.turned, s.dropped)
        )
        self.drop = Wire([(x, s.turned.bottom - END), (x, row.top + END)])
        self.chain = VGroup(
            Wire([(x, s.turned.bottom - END), (x, s.weight.top + END)]),
            Wire([(x, s.weight.bottom - END), (x, s.keys.top + deck + END)]),
            Wire([(x, s.keys.bottom - END), (x, row.top + END)]),
        )
        self.across = VGroup(
            Wire([(s.far_query.right + END, s.row), (s.far_weight.left - END, s.row)]),
            Wire([(s.far_weight.right + END, s.row), (s.latent_query.left - END, s.row)]),
        )
        self.times, self.equals = (
            Symbol(sign, size=theme.name_size).move_to([*point, 0])
            for sign, point in (("times", s.times), ("=", s.equals))
        )

    def _name(self) -> None:
        theme, s, frame_right = current_theme(), self.layout, self.frame.stage.right

        def beside(symbol: str, box: Box, colour: str) -> Header:
            header = Header("", symbol, colour=colour)
            header.set_line(box.y)
            return header.shift([box.left - 0.2 - header.get_right()[0], 0, 0])

        self.latent_name = Header(_("latent"), "C", colour=theme.latent)
        whole = s.latent if s.rope is None else Box.around([s.latent, s.rope])
        self.latent_name.stand_on(whole)
        self.latent_name.shift([min(0.0, frame_right - self.latent_name.get_right()[0]), 0, 0])
        self.turned_name = beside("C^top", s.turned, theme.latent)
        self.keys_name = beside("K^top", s.keys, theme.key)
        new, name = last_row(self.query), Header(_("query"), "q", colour=theme.query)
        self.query_name = name.stand_on(new, buff=0.04)
        over = name.get_right()[0] - new.right
        name.shift([-max(0.0, over), 0, 0])
        self.new_query_name = Header("", "q W_(U K)^top", colour=theme.query)
        self.new_query_name.stand_on(last_row(self.latent_query), buff=0.04)
        self.queries_name = Header(_("queries"), "Q", colour=theme.query).stand_on(s.far_query)
        self.latent_query_name = Header("", "Q W_(U K)^top", colour=theme.query)
        self.latent_query_name.stand_on(s.latent_query)
        if self.frame.upright:
            # Above it there is no room beside the turned latent.
            for header in (self.new_query_name, self.latent_query_name):
                below(header, s.latent_query).shift([-0.12, 0, 0])
                header.set_line(min(header.line, s.row - s.far_weight.height / 2 - 0.2))
        self.scores_name = below(Header(_("scores"), colour=theme.scores), s.scores)
        self.pattern_name = below(Header(_("pattern"), "A", colour=theme.pattern), s.scores)
        self.mix_name = Label(_("mix of latents"), size=theme.shape_size, colour=theme.latent)
        left = min(s.mix.left, frame_right - self.mix_name.width)
        self.mix_name.on_line(left + self.mix_name.width / 2, s.mix.bottom - 0.24)
        self.rope_name = VGroup()
        if s.rope is not None:
            left = self.latent_name.get_right()[0] + 0.14
            label = Label(_("and rotated key"), size=theme.shape_size, colour=theme.key)
            if left + label.width > frame_right:
                label = Label(_("and key"), size=theme.shape_size, colour=theme.key)
            label.on_line(left + label.width / 2, 0)
            label.set_y(self.latent_name.get_y())
            self.rope_name.add(label)
            over = [min(0.0, frame_right - label.get_right()[0]), 0, 0]
            VGroup(self.latent_name, self.rope_name).shift(over)
        box = whole.grown(0.06)
        self.frame_of_cache = RoundedRectangle(
            width=box.width,
            height=box.height,
            corner_radius=0.06,
            stroke_color=theme.latent,
            stroke_width=theme.line,
            fill_opacity=0.0,
        ).move_to(box.center)

    def queries_name_at(self, dx: float) -> Header:
        """Return a copy of the query's name as far to the right, and inside the frame."""
        name = self.query_name.copy().shift([dx, 0, 0])
        return name.shift([max(0.0, self.frame.stage.left - name.get_left()[0]), 0, 0])

    # Animations

    def count(self, start: float, end: float, **kwargs: object) -> Animation:
        """Return the animation in which the number of rebuilt numbers changes."""
        return AnimateWith(
            self.number,
            lambda alpha: self.number.set_value(start + (end - start) * alpha).set_x(
                self.counted_at
            ),
            **kwargs,
        )

    def only_last_row(self, matrix: Truncated | Heatmap) -> None:
        """Show only the last row of a matrix: that of the new token."""
        blocks = matrix.blocks if isinstance(matrix, Truncated) else [matrix]
        for cells in blocks:
            shown = np.zeros(cells.shape)
            shown[-1] = 1
            cells.set_shown(shown)
        if isinstance(matrix, Truncated) and matrix.dots is not None:
            matrix.dots.set_y(last_row(matrix).y)

    def center_dots(self) -> list[Animation]:
        """Return the animations in which dots of a single row go to the middle of all rows."""
        return [
            Glide(matrix.dots, matrix.dots.copy().set_y(matrix.blocks[0].box.y))
            for matrix in (self.query, self.latent_query)
            if matrix.dots is not None
        ]


def below(header: Header, box: Box) -> Header:
    """Move a header to below a box, flush left or, if it is wider, flush right; return it."""
    header.stand_on(box, align="left" if header.width <= box.width else "right")
    header.set_line(box.bottom - 0.1 - header.size * FRAME_HEIGHT / 2)
    # Chinese characters are higher than a line of letters.
    top = box.bottom - 0.1 if header.name is None else float(header.name.get_top()[1])
    return header.set_line(header.line - max(0.0, top - (box.bottom - 0.1)))


def last_row(matrix: Truncated) -> Box:
    """Return the box of the last row of a matrix."""
    first, last = matrix.blocks[0].row(-1), matrix.blocks[-1].row(-1)
    return Box.of(first.left, last.right, first.bottom, first.top)


def _ends(
    values: Array, norm: Norm, box: Box, axis: ChannelAxis, cut: int, source: TensorSource
) -> Truncated:
    """Return a matrix of which the middle channels, along the axis ``cut``, may be left out."""
    first, last = (axis.count, 0) if axis.whole else (axis.first, axis.last)
    gap = 0.24 if cut else 0.16
    return Truncated(
        values, norm, box, first=first, last=last, axis=cut, gap=gap, show_shape=False,
        source=source,
    )  # fmt: skip
