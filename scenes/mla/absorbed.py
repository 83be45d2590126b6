"""The absorbed form in pictures: a formula whose bracket moves, keys that need not be rebuilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, VGroup, VMobject

from extract.latent.forms import both_forms
from extract.trace import Trace
from filmkit.core.animations import AnimateWith
from filmkit.core.camera import Shot, keep_upright, pin_to_frame
from filmkit.core.facts import fact
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.light import glow, mirrored
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.printable import printable
from filmkit.core.quantities import quantity
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.mobjects.head_tensors import HeadTensor
from filmkit.mobjects.latent_view import LatentHead, LatentView
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import LONGEST, TEXT, Matrix
from filmkit.pictures.tensors import CHANNEL, LATENT
from filmkit.world.block import shot_of
from filmkit.world.plates import Plate
from filmkit.world.world import World

__all__ = [
    "BracketFormula",
    "LightRoom",
    "RebuiltKeys",
    "absorbed_parts",
    "asked_row",
    "matrices_below",
    "output_parts",
    "result",
]

Array = npt.NDArray[np.float64]
Panel: TypeAlias = tuple[Array, TensorSource]

LETTER = 0.105  # height of a capital of the formula, as a share of the frame's shorter side
BRACKET = 1.6  # height of a bracket, in capitals
HOP = 0.5  # how high it jumps, in scene units
SHINE = 0.5  # how much light the formula gives
MATRIX = 0.9  # height of the matrices below their symbols, in scene units
WIDE, SPACE = 0.24, 0.015  # their width, and room beside a bracket, as shares of the room's
BELOW = 0.12  # from a symbol to its matrix, and on to its name, in scene units
STOREY = (2.0, 0.13, 0.6)  # width, height and depth of the key of one token, in scene units
HIGHEST = 1.6  # of a tower of keys
ALLEY = 0.2  # between two towers, in widths
BRACE = 0.12  # height of the ends of a brace, in scene units
TURN, TILT = 12.0, 9.0  # from where they are seen, in degrees
NEAR_TILT = 7.0  # the same of what is kept
ROW = 0.5  # height of the new query, also of it among latents, in scene units
SIGN = 0.08  # size of signs between matrices
BACK = 0.7  # opacity of rows that step back
ROOM = 0.012  # between cells and a frame around them, in scene units of the room
ROPE, ROPE_GAP = "rope", 0.12  # axis of the rotated part, and its distance from the latent


@quantity(N_("difference of the outputs"), N_("of both forms"), axes=("pos", "d_model"))
def difference_of_forms(trace: Trace, layer: int) -> Array:
    """Return how far the outputs of both forms are apart, (position, d_model)."""
    forms = both_forms(trace, layer)
    return np.abs(forms.naive.out - forms.absorbed.out)


class BracketFormula(VGroup):
    """Scores of a query as a product whose bracket moves: q (W C) becomes (q W) C.

    Parameters
    ----------
    room
        They stand at the top of it.

    Attributes
    ----------
    query, weight, latent
        Symbols of the factors.
    bracket
        Both halves of the bracket, around the last two factors before it moves.
    goal
        Where they are around the first two.
    wide
        Width of what stands below each factor.
    """

    def __init__(self, room: Box) -> None:
        theme, width = current_theme(), room.width
        pieces = [
            Symbol(formula, size=LETTER, colour=colour)
            for formula, colour in (
                ("(", theme.ink),
                ("q", theme.query),
                ("(", theme.ink),
                ("W_(U K)^top", theme.key),
                (")", theme.ink),
                ("C^top", theme.latent),
                (")", theme.ink),
            )
        ]
        super().__init__(*pieces)
        first, self.query, second, self.weight, third, self.latent, last = pieces
        self.bracket, self.goal = VGroup(second, last), VGroup(first, third)
        for symbol in pieces:
            symbol.on_line(0.0, 0.0)
        for half in (*self.bracket, *self.goal):
            half.scale(BRACKET * self.query.line_height / half.height)
            half.set_y(self.weight.get_y())
        self.wide = WIDE * width
        widest = max(self.query.width, self.weight.width, self.latent.width)
        self.scale(min(1.0, room.height / self.height, self.wide / widest))
        left = 0.0
        for piece in pieces:
            taken = max(piece.width, self.wide * (piece in (self.query, self.weight, self.latent)))
            piece.set_x(left + taken / 2)
            left += taken + SPACE * width
        self.move_to([room.x, room.top - self.height / 2, 0.0])
        pin_to_frame(glow(self, SHINE))
        # It is not seen, but goes wherever the formula is put.
        self.goal.set_opacity(0.0)

    def below(self, pair: VGroup, bottom: float, top: float) -> Box:
        """Return the box between two heights of the frame that is as wide as a bracket."""
        left, right = (float(half.get_x()) for half in pair)
        return Box.of(left, right, bottom, top)

    def move_bracket(self, **kwargs: Any) -> Animation:
        """Return the animation in which the bracket jumps to the first two factors."""
        ends = [half.points.copy() for half in self.goal]
        starts = [half.points.copy() for half in self.bracket]

        def step(alpha: float) -> None:
            for half, start, end in zip(self.bracket, starts, ends, strict=True):
                half.points = (1 - alpha) * start + alpha * end
                half.points[:, 1] += 4 * HOP * alpha * (1 - alpha)

        return AnimateWith(self, step, **kwargs)


def absorbed_parts(of: LatentHead) -> dict[str, Matrix]:
    """Return the matrices of a head in the absorbed form, by their names in mosaics.

    Parameters
    ----------
    of
        The head, with its latent.

    Returns
    -------
    dict
        "query", (1, content): that of the new token; "asked", (1, r): the same in the space of the
        latents; "scored" and "shares", (token, 1): its scores, and its row of the pattern; "mix",
        (1, r): that times the latents.
        "rope", (token, d_rope), and "rope_query", (1, d_rope), are the rotated keys that all heads
        share and the rotated part of the query; they are left out without them.
    """
    view, layer, forms, theme = of.view, of.view.layer, of.view.forms, current_theme()
    new, words = (layer.count - 1, layer.count), layer.words
    rank, (content, d_qk) = forms.rank, (forms.layer.W_UK.shape[2], of.q.shape[1])

    def part(panel: Panel, norm: Norm, columns: str, **how: Any) -> Matrix:
        values, source = panel
        return Matrix(values, norm, source, TOKEN, columns, **how)

    def row(panel: Panel, norm: Norm, cut: tuple[int, int], columns: str, **how: Any) -> Matrix:
        """Return some columns of the new token's row."""
        values, source = panel
        its = values[-1:, slice(*cut)], source.part(new, cut)
        return replace(part(its, norm, columns, **how), rows="new")

    # Beside a rotated part there is no room for the word.
    asked = _("query") if d_qk > content else _("query of “{word}”", word=printable(words[-1]))
    naive, absorbed, queries = of.panels, of.absorbed_panels, layer.norm("q")
    parts = {
        "query": row(naive["q"], queries, (0, content), CHANNEL),
        "asked": row(
            absorbed["q"], view.q_latent_norm, (0, rank), LATENT,
            name=asked,
            symbol="q W_(U K)^top", colour=theme.query,
        ),
        "scored": replace(
            row(absorbed["scores"], layer.scores_norm, (0, layer.count), TOKEN).transposed,
            columns="new", name=_("scores"), colour=theme.scores,
        ),
        "shares": replace(
            row(absorbed["pattern"], layer.norm("pattern"), (0, layer.count), TOKEN).transposed,
            columns="new", name=_("attention"), colour=theme.pattern, words=words,
        ),
        "mix": row(
            absorbed["z"], view.latent_norm, (0, rank), LATENT,
            name=_("mix of latents"), colour=theme.latent,
        ),
    }  # fmt: skip
    if forms.d_rope:
        parts["rope"] = part(
            (view.rope, view.rope_source), layer.norm("k_rope"), ROPE,
            name=_("rotated keys"), colour=theme.key, words=words,
        )  # fmt: skip
        parts["rope_query"] = row(
            naive["q"], queries, (content, d_qk), ROPE, name=_("rotated query"), colour=theme.query
        )
    return parts


def matrices_below(factors: Sequence[Matrix], formula: BracketFormula) -> Group:
    """Return the matrices of a formula's factors, each below its symbol and above its name.

    They are pairs of cells and name: of the query, of the weight, and of the latents. Numbers of
    the query are as wide as those of the weight.
    """
    top = float(formula.get_bottom()[1]) - BELOW
    query, weight, _latents = (matrix.values.shape[1] for matrix in factors)
    most = max(query, weight)
    widths = query / most, weight / most, 1.0
    group = Group()
    for matrix, width, (symbol, height, name) in zip(
        factors,
        widths,
        (
            (formula.query, ROW, _("query")),
            (formula.weight, MATRIX, _("makes keys")),
            (formula.latent, MATRIX, _("latents")),
        ),
        strict=True,
    ):
        cells = Heatmap(
            matrix.values,
            matrix.scale,
            width=width * formula.wide,
            height=height,
            source=matrix.source,
        )
        cells.move_to([symbol.get_x(), top - height / 2, 0.0])
        label = Label(name, size=TEXT, colour=symbol.get_color().to_hex())
        label.on_line(cells.get_x(), top - height - BELOW - label.line_height / 2)
        group.add(Group(cells, label))
    return pin_to_frame(group)


def result(words: str, colour: str, box: Box, left: float) -> tuple[VGroup, Box]:
    """Return a brace over a box, an equals sign with words, and the room that is left of the box.

    The words stand beside the box if there is room from the left edge of the stage, or else in it.
    """
    sign = VGroup(Symbol("=", size=SIGN), Label(words, size=TEXT, colour=colour))
    sign.arrange([1, 0, 0], buff=BELOW)
    below = box
    if sign.width + 2 * BELOW < box.left - left:
        sign.move_to([box.left - 2 * BELOW - sign.width / 2, box.y, 0.0])
    else:
        sign.move_to([box.x, box.top - sign.height / 2, 0.0])
        below = Box.of(box.left, box.right, box.bottom, float(sign.get_bottom()[1]) - BELOW)
    brace = VMobject(stroke_color=colour, stroke_width=current_theme().bold, fill_opacity=0.0)
    ends = (box.left, BRACE), (box.left, 0.0), (box.right, 0.0), (box.right, BRACE)
    brace.set_points_as_corners([[x, box.top + BELOW + up, 0.0] for x, up in ends])
    return pin_to_frame(VGroup(sign, brace)), below


def asked_row(matrix: Matrix, box: Box, width: float) -> Heatmap:
    """Return the new query in the space of the latents as a row of a width at the top of a box."""
    cells = Heatmap(
        matrix.values,
        matrix.scale,
        width=width,
        height=ROW,
        source=matrix.source,
        edged=False,
    )
    return pin_to_frame(cells.move_to([box.x, box.top - BELOW - ROW / 2, 0.0]))


def output_parts(view: LatentView) -> dict[str, Matrix]:
    """Return the outputs of both forms, and their absolute difference, as parts of a mosaic.

    Their names are "built", "read" and "gone". They have as many columns as are drawn whole.
    """
    layer, forms = view.layer, view.forms
    outputs = [view.rows(out)[:, :LONGEST] for out in (forms.naive.out, forms.absorbed.out)]
    source = layer.computed("latent_output", outputs[0].shape[1])
    built, read = (
        Matrix(out, view.out_norm, source, TOKEN, "model", name, words=layer.words)
        for out, name in zip(
            outputs, (_("output with keys"), _("output without keys")), strict=True
        )
    )
    # A thousandth of the largest output would be white.
    white = forms.largest_output / 1000 or 1.0
    gone = replace(
        built,
        values=np.abs(outputs[0] - outputs[1]),
        norm=Norm(-white, white, current_theme().colour_map()),
        source=layer.computed("difference_of_forms", outputs[0].shape[1]),
        name=_("difference: blank is zero"),
    )
    return {"built": built, "read": read, "gone": gone}


class RebuiltKeys(Group):
    """The keys that would be rebuilt for one new token, as towers on the floor of the room.

    There is a tower for each set of keys, with a storey for each token that is read, drawn in the
    film or not.

    Attributes
    ----------
    numbers
        How many numbers these are.
    """

    def __init__(self, view: LatentView) -> None:
        super().__init__()
        theme, layer, forms = current_theme(), view.layer, view.forms
        self.tokens, self.channels = layer.stop, forms.layer.W_UK.shape[2]
        self.sets = forms.k.shape[1]
        self.numbers = self.sets * self.tokens * self.channels
        norm = layer.norm("k")
        self._side = STOREY[0] / max(1.0, self.sets / 4)
        self._height = min(HIGHEST, self.tokens * STOREY[1])
        self.towers = []
        for number in range(self.sets):
            keys = forms.k[: self.tokens, number, : self.channels]
            source = replace(
                layer.computed("latent_keys", self.channels, kv_head=number),
                index=((0, self.tokens), (0, self.channels)),
            )
            end = self.channels - 1, self.channels
            top, side, front = (
                Heatmap(values, norm, source=origin, edged=False)
                for values, origin in (
                    (keys[:1], source.part((0, 1), (0, self.channels))),
                    (keys[:, -1:], source.part((0, self.tokens), end)),
                    (keys, source),
                )
            )
            edges = VMobject(stroke_color=theme.key, stroke_width=theme.thin, fill_opacity=0.0)
            self.towers.append((top, side, front, edges))
            self.add(*glow(Group(top, side, front, edges)))
            mirrored(Group(side, front, edges))
        self.sink(0.0)

    def _corner(self, number: int, across: float, up: float, deep: float) -> Array:
        """Return a point of a tower by shares of its width, its height, and its depth."""
        pitch = (1 + ALLEY) * self._side
        x = (number - (self.sets - 1) / 2) * pitch + (across - 0.5) * self._side
        return np.array([x, up * self._height, (0.5 - deep) * STOREY[2] * self._side])

    def sink(self, share: float) -> None:
        """Let all towers stand in the floor up to a share of their height, 0 to 1."""
        up, down = 1.0 - share, -share
        # A whole storey is seen in full, whatever floating point makes of its share.
        seen = np.clip((up * self.tokens - np.arange(self.tokens)).round(9), 0, 1)[:, None]
        for number, (top, side, front, edges) in enumerate(self.towers):

            def at(*shares: float, number: int = number) -> Array:
                return self._corner(number, *shares)

            top.set_corners([at(0, up, 1), at(1, up, 1), at(1, up, 0), at(0, up, 0)])
            front.set_corners([at(0, up, 0), at(1, up, 0), at(1, down, 0), at(0, down, 0)])
            side.set_corners([at(1, up, 0), at(1, up, 1), at(1, down, 1), at(1, down, 0)])
            front.set_shown(seen)
            side.set_shown(seen)
            lower, upper, back = at(1, 0, 0), at(1, up, 0), at(1, up, 1)
            face = [at(0, up, 0), upper, lower, at(0, 0, 0), at(0, up, 0)]
            edges.set_points_as_corners(
                [*face, at(0, up, 1), back, at(1, 0, 1), lower, upper, back]
            )

    def product(self) -> str:
        """Return in words what the number is the product of."""
        given = {
            "tokens": fact("read tokens", self.tokens),
            "numbers": fact("rebuilt width", self.channels),
        }
        if self.sets == 1:
            return _("{tokens} tokens × {numbers}", **given)
        sets = fact("sets", self.sets)
        return _("{sets} sets of keys × {tokens} tokens × {numbers}", sets=sets, **given)

    def shot(self, frame: Frame, into: Box) -> Shot:
        """Return the shot in which they fill a box of the frame."""
        ends = 0, self.sets - 1
        corners = [self._corner(n, *p) for n in ends for p in np.ndindex(2, 2, 2)]
        return shot_of(corners, frame, into=into, turn=TURN, tilt=TILT)


class LightRoom(World):
    """The room of a layer in the absorbed form: patterns, and the latent that all heads read.

    There are no keys and values; rotated keys stand beside the latent.

    Attributes
    ----------
    kept
        All that is kept of each token: the latent, and the rotated keys if there are any.
    """

    def __init__(self, view: LatentView, frame: Frame) -> None:
        super().__init__(view.layer, frame, alone=True)
        self.remove(self.lines, *self.pairs)
        for card in self.cards:
            values, card.pattern.source = view.head(card.head).absorbed_panels["pattern"]
            card.pattern.set_values(values)
        self.kept = Group(self.latent)
        if view.forms.d_rope:
            theme, place, forms = current_theme(), self.plan.latent, view.forms
            norm = view.layer.norm("k_rope")
            tensor = HeadTensor(view.rope, norm, view.rope_source, None, "", "", theme.key)
            width = place.width * forms.d_rope / forms.rank
            x, y, z = (float(v) for v in place.point((place.width + width) / 2 + ROPE_GAP, 0.0))
            self.kept.add(Plate(tensor, replace(place, center=(x, y, z), width=width)))
        self.add(self.kept)

    def _beam(self, colour: str) -> VMobject:
        # It is the latent that is read, not keys or values.
        return super()._beam(current_theme().latent)

    def close_up(self, frame: Frame, into: Box) -> Shot:
        """Return the shot in which all that is kept fills a box of the frame."""
        corners = np.concatenate([plate.cells.corners for plate in self.kept])
        return shot_of(corners, frame, into=into, turn=0.0, tilt=NEAR_TILT)

    def point_to_last(self) -> Animation:
        """Return an animation in which all rows of what is kept but the last step back."""
        count = len(self.latent.cells.values)
        back = (1 - BACK) * (np.arange(count) < count - 1)[:, None]

        def step(alpha: float) -> None:
            for plate in self.kept:
                plate.cells.set_shown(1 - alpha * back)

        return AnimateWith(self.kept, step)

    def last_token(self, word: str) -> VGroup:
        """Return a frame around the last row of all that is kept, and its word beside it."""
        theme = current_theme()
        count, _channels = self.latent.cells.shape
        first, last = (
            plate.cells.part((count - 1, count), (0, plate.cells.shape[1])).corners
            for plate in (self.kept[0], self.kept[-1])
        )
        frame = VMobject(stroke_color=theme.ink, stroke_width=1.5 * theme.bold, fill_opacity=0.0)
        away = np.array([ROOM, 0.0, 0.0])
        left, right = (first[0] + first[3]) / 2 - away, (last[1] + last[2]) / 2 + away
        up = (first[0] - first[3]) / 2 + [0.0, ROOM, 0.0]
        frame.set_points_as_corners([left + up, right + up, right - up, left - up, left + up])
        label = Label(word, size=TEXT)
        label.on_line(-label.width / 2 - 0.2, 0.0)
        return VGroup(frame, keep_upright(label, left))
