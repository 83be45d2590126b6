"""Pictures of the scene about rotation: formula, matrices, sliding words, and the two parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from manim import Animation, Dot, Group, Line, RoundedRectangle, VGroup

from extract.merged import MergedMatrix
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, Glide, Recolour
from filmkit.core.facts import Fact, fact
from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box, Frame, row_points
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _, phrase_parts
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import (
    format_count,
    format_decimal,
    format_number,
    format_share,
    format_short,
)
from filmkit.core.printable import printable
from filmkit.core.quantities import quantity
from filmkit.core.text import Label, Symbol, break_lines, fit_size, fit_word
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.chart import ChartAxes, ChartAxis, Curve
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import Dial, TokenLabels, size_beside
from filmkit.mobjects.panel import Panel
from filmkit.mobjects.sayings import display_size
from scenes.rotation.layout import MatricesLayout, PartsLayout, SlideLayout

__all__ = ["Cached", "Matrices", "Parts", "RotationFormula", "Slide", "cached_of", "two_digits"]

Array = npt.NDArray[np.float64]

DRAWN = 24  # rows and columns that are drawn of a merged matrix
STEPS = (0, 1, 5)  # distances at which it is drawn
FARTHEST = 10  # distance up to which two words slide
SIZE = 0.17  # height of the formula, as a share of the frame's shorter side


def two_digits(value: float) -> str:
    """Return a number with two decimals."""
    return format_decimal(value, 2)


class RotationFormula(VGroup):
    """The score of two tokens as a product: the merged matrices, and R that comes between them.

    Attributes
    ----------
    pieces
        The factors: row, bracket, matrix of the queries, matrix of the keys, bracket, row.
    turn
        The rotation, with a dial above it; it is not there at first.
    words
        Below each factor what it is: the words of a query and of a key, and the matrices.
    turn_words
        The same below the rotation.
    """

    GAP = 0.14

    def __init__(self, frame: Frame, layout: MatricesLayout, words: tuple[str, str]) -> None:
        super().__init__()
        theme = current_theme()
        self.layout = layout
        size = SIZE * frame.shorter_side / 8
        self.pieces, self.symbol = self._pieces(size)
        whole = sum(piece.width for piece in (*self.pieces, self.symbol))
        room = frame.stage.width - len(self.pieces) * self.GAP
        if whole > room:
            size *= room / whole
            self.pieces, self.symbol = self._pieces(size)
        self.size = size
        self.dial = Dial(4 * size, colour=theme.highlight)
        self.turn = VGroup(self.symbol, self.dial)
        self.words = VGroup(
            *(
                _lines(text, colour, self.pieces[index].width + self.GAP)
                for text, colour, index in (
                    (printable(words[0]), theme.ink, 0),
                    (_("query matrix"), theme.query, 2),
                    (_("key matrix"), theme.key, 3),
                    (printable(words[1]), theme.ink, 5),
                )
            )
        )
        self.turn_words = _lines(
            _("turn by distance"), theme.highlight, self.symbol.width + self.GAP
        )
        self.add(self.pieces, self.turn, self.words, self.turn_words)
        self._arrange(0.0)

    @staticmethod
    def _pieces(size: float) -> tuple[VGroup, Symbol]:
        """Return the pieces of the product without the rotation, and the rotation."""
        theme = current_theme()
        pieces = VGroup(
            *(
                Symbol(text, size=size, colour=colour)
                for text, colour in (
                    ("x_q", theme.ink),
                    ("(", theme.muted),
                    ("W_Q", theme.query),
                    ("W_K^top", theme.key),
                    (")", theme.muted),
                    ("x_k^top", theme.ink),
                    ("=", theme.ink),
                )
            )
        )
        pieces.add(Label(_("score"), size=0.6 * size, colour=theme.scores))
        return pieces, Symbol("R_d", size=size, colour=theme.highlight)

    def _arrange(self, room: float) -> RotationFormula:
        """Put the pieces on the line with ``room`` between the two matrices."""
        x, y = self.layout.formula[0]
        width = sum(piece.width for piece in self.pieces) + self.GAP * (len(self.pieces) - 1)
        x -= (width + room) / 2
        for index, piece in enumerate(self.pieces):
            if index == 3:
                middle = x + (room - self.GAP) / 2
                self.symbol.on_line(middle, y)
                self.dial.move_to([middle, y + 6 * self.size + self.dial.face.radius, 0])
                x += room
            piece.on_line(x + piece.width / 2, y)
            x += piece.width + self.GAP
        under = y - 7.2 * self.size
        for words, above in zip(
            (*self.words, self.turn_words),
            (*(self.pieces[index] for index in (0, 2, 3, 5)), self.symbol),
            strict=True,
        ):
            words.move_to([above.get_x(), under - words.height / 2, 0])
        return self

    @property
    def _room(self) -> float:
        return float(self.symbol.width + self.GAP)

    def push_apart(self) -> Animation:
        """Return the animation in which the matrices make room for the rotation."""
        target = self.copy()._arrange(self._room)
        moving = Group(self.pieces, self.words)
        return Glide(moving, Group(target.pieces, target.words))

    def place_turn(self) -> None:
        """Put the rotation where it belongs between the matrices, once they have made room."""
        target = self.copy()._arrange(self._room)
        self.symbol.move_to(target.symbol)
        self.dial.move_to(target.dial)
        self.turn_words.move_to(target.turn_words)

    def spin(self, turns: float = 0.8) -> Animation:
        """Return the animation in which the dial turns: R depends on the distance."""
        return AnimateWith(self.dial, lambda alpha: self.dial.set_angle(2 * np.pi * turns * alpha))

    def rise(self) -> Animation:
        """Return the animation in which the formula goes to the top, smaller."""
        target = VGroup(self.pieces, self.turn).copy()
        target.scale(min(1.0, 1.15 / target.height))
        target.move_to([*self.layout.formula[1], 0])
        return Glide(VGroup(self.pieces, self.turn), target)


def _lines(text: str, colour: str, width: float) -> VGroup:
    """Return words in lines, one below the other."""
    size = current_theme().shape_size
    lines = VGroup()
    for index, line in enumerate(break_lines(text, 0.75 * width, size=size)):
        label = fit_word(line, max(width, 1.0), size=size, colour=colour)
        lines.add(label.on_line(0, -1.2 * index * size * FRAME_HEIGHT))
    return lines


def _distance_name(distance: Fact, box: Box, frame: Frame) -> Label:
    """Return the name of the matrix at a distance, as long as there is room for above its box."""
    size = current_theme().name_size
    if not distance.value:
        name, short = _("at distance 0"), _("at 0")
    else:
        name = _("change at distance {distance}", distance=distance)
        short = _("change at {distance}", distance=distance)
    room = frame.stage.right - box.left if frame.tall else box.width
    label = Label(name, size=size)
    return label if label.width <= room else fit_size(short, room, size=size)


def _small_words(text: str, room: float) -> VGroup:
    """Return words on one line at the origin, or in lines below it if one would be too wide."""
    theme = current_theme()
    label = fit_size(text, room, size=theme.shape_size, colour=theme.muted)
    if label.width <= room * 1.001:
        return VGroup(label.on_line(0, 0))
    lines = break_lines(text, room, size=theme.note_size)
    labels = [fit_size(line, room, size=theme.note_size, colour=theme.muted) for line in lines]
    pitch = 1.2 * theme.note_size * FRAME_HEIGHT
    return VGroup(*(label.on_line(0, -pitch * index) for index, label in enumerate(labels)))


@quantity(N_("W_Q R W_K^T"), axes=("d_model", "d_model"))
def merged_matrix(trace: Trace, layer: int, head: int, distance: int) -> Array:
    """Return the merged matrix of a head at a distance, (d_model, d_model)."""
    return MergedMatrix(trace, layer, head).matrix(distance)


@quantity(N_("change of W_Q R W_K^T"), axes=("d_model", "d_model"))
def merged_change(trace: Trace, layer: int, head: int, distance: int) -> Array:
    """Return how much the merged matrix of a head changes from distance 0, cell by cell."""
    merged = MergedMatrix(trace, layer, head)
    return np.abs(merged.matrix(distance) - merged.matrix(0))


@quantity(N_("scores: the sum of both parts"), axes=("query_pos", "key_pos"))
def sum_of_scores(trace: Trace, layer: int, head: int) -> Array:
    """Return the scaled scores of a layer's conversion, (query, key)."""
    parts = (trace[f"mla.{layer}.scores_{name}"][head] for name in ("latent", "rot"))
    return np.sum([part.astype(np.float64) for part in parts], axis=0)


class Matrices(Group):
    """The merged matrix at several distances, and how much it has changed.

    Attributes
    ----------
    panels
        The first rows and columns of the matrix at each of `STEPS`.
    names, numbers
        The distance above each, and below how much it differs from the first.
    changes
        These differences.
    differences, difference_norm
        How much each drawn cell has changed, and the scale of the changes.
    """

    def __init__(self, merged: MergedMatrix, layout: MatricesLayout, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        self.merged = merged
        matrices = [merged.matrix(d) for d in STEPS]
        norm = Norm.stretched(matrices[0])
        self.changes = merged.changes(STEPS)
        self.panels, self.names, self.numbers = [], VGroup(), VGroup()
        whole = matrices[0].shape[0]
        drawn = min(DRAWN, whole)
        fact("shape", drawn)
        self.differences = [np.abs(m - matrices[0])[:drawn, :drawn] for m in matrices]
        limit = float(np.percentile(self.differences[1:], 99)) or 1.0
        self.difference_norm = replace(Norm.unit(), vmax=limit, percentile=99)
        for number, (distance, matrix, box) in enumerate(
            zip(STEPS, matrices, layout.matrices, strict=True)
        ):
            source = self._source("merged_matrix", merged, distance, drawn)
            self.panels.append(
                Heatmap(
                    matrix[:drawn, :drawn], norm, width=box.width, height=box.height, source=source
                ).place(box)
            )
            far = fact("distance", distance, place=number)
            name = _distance_name(far, box, frame)
            name.on_line(box.left + name.width / 2, box.top + 0.28)
            self.names.add(name)
            x, y = layout.numbers[number]
            if number:
                change = fact(
                    "change",
                    self.changes[number],
                    format_share,
                    beside=name.text,
                    distance=distance,
                )
                figure = Label(change, size=display_size(frame), weight="semibold")
                words = _small_words(_("changed from distance 0"), layout.number_room)
            else:
                figure = Label(f"{drawn} × {drawn}", size=theme.shape_size)
                shape = _("of {shape}", shape=f"{whole} × {whole}")
                words = VGroup(Label(shape, size=theme.note_size, colour=theme.muted).on_line(0, 0))
            figure.on_line(x, y)
            words.shift([x, y - (0.5 if number else 0.3), 0])
            self.numbers.add(VGroup(figure, words))

    def difference(self, number: int) -> Animation:
        """Return the animation in which a matrix becomes its difference from the first."""
        values, distance = self.differences[number], STEPS[number]
        return Recolour(
            self.panels[number],
            values=values,
            norm=self.difference_norm,
            source=self._source("merged_change", self.merged, distance, len(values)),
        )

    @staticmethod
    def _source(quantity: str, merged: MergedMatrix, distance: int, drawn: int) -> TensorSource:
        given = (("layer", merged.layer), ("head", merged.head), ("distance", distance))
        return TensorSource(quantity=quantity, index=((0, drawn), (0, drawn)), given=given)


class Slide(Group):
    """Two words, their distance and the score that it makes.

    Attributes
    ----------
    axes, curve, dot
        The chart of the score at each distance, and the dot that moves along.
    dots, landing
        Dots at all distances, and those at the distances of the matrices.
    key, query
        The words; the query moves.
    lead
        The line from the query down to the dot.
    mark
        Mark at the true distance, with the score there.
    product, divisor
        The dot product of the two there, and what it is divided by, in words.
    """

    def __init__(
        self, merged: MergedMatrix, view: HeadView, pair: tuple[int, int], frame: Frame
    ) -> None:
        super().__init__()
        theme, first = current_theme(), view.layer.first
        self.layout = layout = SlideLayout.of(frame)
        self.true = pair[0] - pair[1]
        count = min(FARTHEST + 1, len(view.layer.trace.meta.tokens))
        self.scores = merged.scores(pair[0] + first, pair[1] + first, count)
        low = min(0.0, float(np.floor(self.scores.min())))
        high = float(np.ceil(max(1.0, self.scores.max())))
        most = high + 0.15 * (high - low)
        self.product = fact("product", float(view.dot_products[pair]), format_number)
        self.divisor = fact("divisor", 1 / view.layer.trace.meta.score_scale, format_short)
        ticks = range(count)
        self.axes = ChartAxes(
            ChartAxis(0, count - 1, tuple(ticks), _("distance"), write=format_count),
            ChartAxis(
                low,
                most,
                (low, high) if low == 0 else (low, 0, high),
                _("score ÷ {divisor}", divisor=self.divisor),
                write=format_short,
            ),
            layout.chart,
            right=0.6,
        )
        distances = np.arange(count)
        self.curve = Curve(self.axes, distances, self.scores, colour=theme.accent, width=theme.bold)
        words = view.layer.words
        self.key, self.query = (
            _role_word(printable(words[index]), role, colour)
            for index, role, colour in (
                (pair[1], _("key of {word}"), theme.key),
                (pair[0], _("query of {word}"), theme.query),
            )
        )
        self.lead = Line([0, 0, 0], [0, 1, 0], stroke_color=theme.faint, stroke_width=theme.thin)
        self.dots = VGroup(
            *(
                Dot([*self.axes.at(d, self.scores[d]), 0], radius=0.09, color=theme.accent)
                for d in range(count)
            )
        )
        self.landing = VGroup(*(self.dots[d] for d in STEPS if d < count))
        self.dot = Dot(radius=0.15, color=theme.ink)
        x, y = self.axes.at(self.true, self.scores[self.true])
        self.mark = VGroup(
            Dot([x, y, 0], radius=0.15, color=theme.highlight),
        )
        label = Label(two_digits(self.scores[self.true]), size=theme.name_size, weight="semibold")
        where = _(
            "where they are: {product} ÷ {divisor}", product=self.product, divisor=self.divisor
        )
        note = Label(where, size=theme.note_size, colour=theme.muted)
        left = x + 0.3
        label.on_line(left + label.width / 2, y + 0.3)
        note.on_line(left + label.width + 0.16 + note.width / 2, y + 0.28)
        self.mark.add(label, note)
        self.slide_to(0.0)

    def slide_to(self, distance: float) -> None:
        """Move the query above its distance from the key, and the dot along the curve."""
        score = float(np.interp(distance, np.arange(len(self.scores)), self.scores))
        for word, at, y in zip(
            (self.key, self.query), (0.0, distance), self.layout.words, strict=True
        ):
            x, _ = self.axes.at(at, 0)
            half, chart = word.width / 2, self.layout.chart
            word.move_to([float(np.clip(x, chart.left + half, chart.right - half)), y, 0])
        x, y = self.axes.at(distance, score)
        self.dot.move_to([x, y, 0])
        self.lead.put_start_and_end_on([x, self.layout.words[1] - 0.25, 0], [x, y, 0])


def _role_word(word: str, role: str, colour: str) -> VGroup:
    """Return a word with what it is asked for, small and in the colour of that, around it.

    ``role`` is a phrase with "{word}" where the word stands.
    """
    theme, line, x = current_theme(), VGroup(), 0.0
    for text, name in phrase_parts(role):
        parts = [Label(text, size=theme.shape_size, colour=colour)] if text else []
        if name:
            parts.append(fit_word(word, 2.4, size=1.2 * theme.name_size))
        for part in parts:
            line.add(part.on_line(x + part.width / 2, 0))
            x += part.width + 0.12
    return line


@dataclass(frozen=True)
class Cached:
    """What a layer caches: a latent and a rotated key, and the scores of one head from both.

    Attributes
    ----------
    latent, rope
        Numbers and source of both, at the drawn positions.
    position, content, scores, pattern
        The scaled scores of each part, their sum, and the pattern, (query, key).
    """

    latent: tuple[Array, TensorSource]
    rope: tuple[Array, TensorSource]
    position: tuple[Array, TensorSource]
    content: tuple[Array, TensorSource]
    scores: tuple[Array, TensorSource]
    pattern: tuple[Array, TensorSource]


def cached_of(view: HeadView) -> Cached:
    """Return what a layer caches: the model's own latent, or that of its conversion."""
    layer, head = view.layer, view.head
    trace, at = layer.trace, layer.layer
    drawn = slice(layer.first, layer.stop)
    span = (layer.first, layer.stop)
    if trace.meta.attention == "mla":
        latents = LatentView.of(layer)
        forms = latents.forms
        d_rope = forms.d_rope
        q_rope = forms.q[drawn, head, -d_rope:]
        rotated = q_rope @ latents.rope.T * forms.layer.scale
        whole = forms.naive.scores[head, drawn, drawn]
        return Cached(
            (latents.latent, latents.latent_source),
            (latents.rope, latents.rope_source),
            (rotated, layer.computed("scores_of_rotated", head=head)),
            (whole - rotated, layer.computed("scores_of_latents", head=head)),
            (whole, layer.computed("latent_scores", head=head)),
            (
                forms.naive.pattern[head, drawn, drawn],
                layer.computed("latent_pattern", head=head),
            ),
        )
    prefix = f"mla.{at}"

    def stored(name: str, *index: int | tuple[int, int]) -> tuple[Array, TensorSource]:
        values = np.asarray(trace[f"{prefix}.{name}"], dtype=np.float64)
        cut = tuple(slice(*i) if isinstance(i, tuple) else i for i in index)
        return values[cut], TensorSource(f"{prefix}.{name}", index=index)

    latent = stored("c", span, (0, trace[f"{prefix}.c"].shape[1]))
    rope = stored("k_rot", span, (0, trace[f"{prefix}.k_rot"].shape[1]))
    position, content, pattern = (
        stored(name, head, span, span) for name in ("scores_rot", "scores_latent", "pattern")
    )
    scores = (position[0] + content[0], layer.computed("sum_of_scores", head=head))
    return Cached(latent, rope, position, content, scores, pattern)


class Parts(Group):
    """A latent and a rotated key, and the two parts of the scores that they make.

    Attributes
    ----------
    latent, rope
        Panels of both.
    frame_of_rope
        Thin frame around the rotated key.
    words
        The words of the rows.
    notes
        What each of them is, below.
    total
        How many numbers both are.
    panels
        Panels of the part that is not rotated, the rotated part, the scores and the pattern.
    panel_words
        The words of the rows of the first of these.
    signs
        Signs between them.
    arrows
        From what is cached to the parts that it makes.
    """

    def __init__(self, layer: LayerView, cached: Cached, view: HeadView, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        (latent, latent_source), (rope, rope_source) = cached.latent, cached.rope
        longest = max(Label(printable(word), size=1.0).width for word in layer.words)
        word_width = min(0.15 * frame.shorter_side, theme.shape_size * longest)
        self.layout = s = PartsLayout.of(
            frame,
            count=layer.count,
            sizes=(latent.shape[1], rope.shape[1]),
            word_width=word_width,
        )

        def small(
            values: Array, box: Box, source: TensorSource, name: str, symbol: str, colour: str
        ) -> Panel:
            panel = Panel(
                values,
                Norm.stretched(values),
                box,
                name=name,
                symbol=symbol,
                colour=colour,
                show_shape=False,
                source=source,
            )
            over = panel.header.get_right()[0] - frame.stage.right
            panel.header.shift([-max(0.0, over), 0, 0])
            return panel

        self.latent = small(latent, s.latent, latent_source, _("latent"), "C", theme.latent)
        self.rope = small(rope, s.rope, rope_source, _("rotated key"), "", theme.key)
        box = s.rope.grown(0.05)
        self.frame_of_rope = RoundedRectangle(
            width=box.width,
            height=box.height,
            corner_radius=0.05,
            stroke_color=theme.key,
            stroke_width=theme.line,
            fill_opacity=0.0,
        ).move_to(box.center)
        pitch = s.latent.height / layer.count
        size = size_beside(pitch)
        readable = size >= theme.min_text_size * 0.999
        self.words = TokenLabels(
            layer.words if readable else (),
            row_points(s.words_right, s.latent, layer.count) if readable else (),
            width=word_width,
            size=size,
        )
        self.notes = VGroup()
        widths = [
            fact("kept numbers", part.shape[1], part=name)
            for name, part in (("latent", latent), ("rope", rope))
        ]
        for text, (x, y), room in (
            (
                _("{number} numbers, not rotated", number=widths[0]),
                s.notes[0],
                s.latent.width,
            ),
            (
                _("{number}, rotated", number=widths[1]),
                s.notes[1],
                s.rope.width + 0.4,
            ),
        ):
            note = fit_word(text, room, size=theme.shape_size, colour=theme.muted)
            x = min(x, frame.stage.right - note.width)
            self.notes.add(note.on_line(x + note.width / 2, y))
        total = Label(
            _(
                "{latent} + {rope} = {number} numbers for each token",
                latent=widths[0],
                rope=widths[1],
                number=fact("kept numbers", latent.shape[1] + rope.shape[1], part="both"),
            ),
            size=theme.name_size,
            weight="semibold",
        ).shrink_to(frame.stage.right - s.total[0])
        self.total = total.on_line(s.total[0] + total.width / 2, s.total[1])
        mask = view.causal_mask
        allowed = ~mask
        everything = np.concatenate(
            [part[0][allowed] for part in (cached.position, cached.content, cached.scores)]
        )
        norm = Norm.symmetric(everything)
        shown = (
            (_("not rotated"), cached.content, norm, theme.latent),
            (_("rotated"), cached.position, norm, theme.key),
            (_("scores"), cached.scores, norm, theme.scores),
            (_("pattern"), cached.pattern, Norm.unit(), theme.pattern),
        )
        self.panels = [
            Panel(
                values,
                scale,
                place,
                name=name,
                colour=colour,
                show_shape=False,
                masked=mask,
                source=source,
            )
            for (name, (values, source), scale, colour), place in zip(shown, s.panels, strict=True)
        ]
        pitch = s.panels[0].height / layer.count
        size = size_beside(pitch)
        readable = size >= theme.min_text_size * 0.999
        self.panel_words = TokenLabels(
            layer.words if readable else (),
            row_points(s.panels[0].left - WORD_GAP, s.panels[0], layer.count) if readable else (),
            width=word_width,
            size=size,
        )
        self.arrows = VGroup(
            *(
                Wire(path, colour=colour)
                for path, colour in zip(s.arrows, (theme.latent, theme.key), strict=True)
            )
        )
        self.signs = VGroup(
            *(
                Symbol(text, size=1.3 * theme.name_size).move_to([x, y, 0])
                for text, (x, y) in zip(("+", "=", "->"), s.signs, strict=True)
            )
        )

    def above(self) -> list[Animation]:
        """Return the animations in which latent and rotated key go to the top, smaller."""
        s = self.layout
        moves: list[Animation] = []
        for panel, old, new in (
            (self.latent, s.latent, s.latent_above),
            (self.rope, s.rope, s.rope_above),
        ):
            target = panel.copy()
            target.cells.place(new)
            target.header.shift([new.left - old.left, new.top - old.top, 0])
            moves.append(Glide(panel, target))
        framed = self.frame_of_rope.copy()
        framed.stretch_to_fit_width(s.rope_above.width + 0.1)
        framed.stretch_to_fit_height(s.rope_above.height + 0.1)
        framed.move_to(s.rope_above.center)
        moves.append(Glide(self.frame_of_rope, framed))
        return moves
