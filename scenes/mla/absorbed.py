"""The absorbed form in pictures: a formula whose bracket moves, keys that need not be rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Mobject, VGroup, VMobject

from extract.latent.naive_and_absorbed import both_forms
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.camera import Shot, keep_upright
from filmkit.core.facts import fact
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.norm import Norm
from filmkit.core.quantities import cells_of, quantity
from filmkit.core.seats import shot_of
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.pictures.latent_view import ROPE, LatentHead, LatentView
from filmkit.pictures.mosaic import TOKEN, Size
from filmkit.pictures.parts import LONGEST, TEXT, Around, Matrix
from filmkit.pictures.parts import Place as Field
from filmkit.world.plates import Plate
from filmkit.world.world import World
from scenes.mla.parts import latent_matrices

__all__ = ["LightRoom", "RebuiltKeys", "Towers", "absorbed_parts", "formula_parts", "output_parts"]

Array = npt.NDArray[np.float64]

ALLEY, DEEP = 0.2, (0.24, 0.18)  # between towers of keys, and their depth, in widths of one
NEAR_TILT = 7.0  # the same of what is kept
BACK = 0.4  # opacity of rows that step back
ROOM = 0.012  # between cells and a frame around them, in scene units of the room
ROPE_GAP = 0.12  # from the latent to rotated keys


@quantity(N_("difference of the outputs"), N_("of both forms"), axes=("pos", "d_model"))
def difference_of_forms(trace: Trace, layer: int) -> Array:
    """Return how far the outputs of both forms are apart, (position, d_model)."""
    mla = both_forms(trace, layer)
    return np.abs(mla.naive.out - mla.absorbed.out)


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
    view, layer, mla, theme = of.view, of.view.layer, of.view.mla, current_theme()
    content, d_qk = mla.layer.W_UK.shape[2], mla.q.shape[2]

    def row(
        matrix: Matrix, name: str, colour: str, columns: tuple[int, int] | None = None
    ) -> Matrix:
        """Return the new token's row of a matrix, or some columns of it."""
        new = matrix.part((layer.count - 1, layer.count), columns or (0, matrix.values.shape[1]))
        return replace(new, rows="new", name=name, symbol="", colour=colour, words=())

    naive, absorbed = of.naive, of.absorbed
    query = row(naive["q"], _("query"), theme.query, (0, content))
    shares = row(absorbed["pattern"], _("attention"), theme.pattern).transposed
    parts = {
        "query": replace(query, symbol="q"),
        "asked": row(absorbed["q"], _("new query"), theme.query),
        "scored": row(absorbed["scores"], _("scores"), theme.scores).transposed,
        "shares": replace(shares, words=layer.words),
        "mix": row(absorbed["z"], _("mix of latents"), theme.latent),
    }
    if mla.d_rope:
        asked = row(naive["q"], _("rotated query"), theme.query, (content, d_qk))
        parts |= {"rope": view.rope, "rope_query": replace(asked, columns=ROPE)}
    return parts


def formula_parts(of: LatentHead) -> dict[str, Matrix]:
    """Return the factors of the scores of a new query, as a picture of a product.

    Their names in mosaics are "weights", (content, r), and "latents", (r, token), for "query" of
    :func:`absorbed_parts`; "row", (1, token), has the scores. They are those of all tokens: keys
    would be rebuilt also of one that is not drawn elsewhere.
    """
    view, theme, stop = of.view, current_theme(), of.view.layer.stop
    made = latent_matrices(of)
    latents = replace(
        made["C"],
        values=view.mla.kv_latent[:stop],
        source=replace(made["C"].source, index=((0, stop), (0, view.mla.rank))),
        name=_("latents"),
        words=(),
    )
    new = stop - 1, stop
    # Those of the latents alone: a rotated key adds its own.
    quantity, name = "latent_scores", _("scores")
    if view.mla.d_rope:
        quantity, name = "scores_of_latents", _("scores of the latent")
    source = replace(view.layer.computed(quantity, head=of.head), index=(new, (0, stop)))
    row = replace(
        of.absorbed["scores"],
        values=cells_of(view.layer.trace, source),
        source=source,
        rows="new",
        name=name,
        colour=theme.scores,
    )
    weights = replace(made["W_UK"].transposed, name=_("weights"))
    return {"weights": weights, "latents": latents.transposed, "row": row}


def output_parts(view: LatentView) -> dict[str, Matrix]:
    """Return the outputs of both forms, and their absolute difference, as parts of a mosaic.

    Their names are "built", "read" and "gone". They have as many columns as are drawn whole.
    """
    layer, mla = view.layer, view.mla
    outputs = [view.rows(out)[:, :LONGEST] for out in (mla.naive.out, mla.absorbed.out)]
    source = layer.computed("latent_output", outputs[0].shape[1])
    built, read = (
        Matrix(out, view.norm(mla.naive.out), source, TOKEN, "model", name, words=layer.words)
        for out, name in zip(outputs, (_("with keys"), _("without keys")), strict=True)
    )
    # A thousandth of the largest output would be white.
    white = mla.largest_output / 1000 or 1.0
    gone = replace(
        built,
        values=np.abs(outputs[0] - outputs[1]),
        norm=Norm(-white, white, current_theme().colour_map()),
        source=layer.computed("difference_of_forms", outputs[0].shape[1]),
        name=_("difference"),
    )
    return {"built": built, "read": read, "gone": gone}


class RebuiltKeys(Group):
    """The keys that would be rebuilt for one new token, as towers on a floor.

    There is a tower for each set of keys, with a storey for each token that is read, drawn in the
    film or not.

    Parameters
    ----------
    view
        The layer and its latent.
    room
        What all towers fill.

    Attributes
    ----------
    numbers
        How many numbers these are.
    """

    def __init__(self, view: LatentView, room: Box) -> None:
        super().__init__()
        theme, layer, mla = current_theme(), view.layer, view.mla
        self.tokens, self.channels = layer.stop, mla.layer.W_UK.shape[2]
        self.sets = mla.k.shape[1]
        self.numbers = self.sets * self.tokens * self.channels
        self._room, self._side = room, room.width / ((1 + ALLEY) * self.sets - ALLEY + DEEP[0])
        norm = layer.norm("k")
        self.towers = []
        for number in range(self.sets):
            keys = mla.k[: self.tokens, number, : self.channels]
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
        self.sink(0.0)

    def _corner(self, number: int, across: float, up: float, deep: float) -> Array:
        """Return a point of a tower by shares of its width, its height, and its depth."""
        back = deep * self._side * np.array(DEEP)
        x = self._room.left + (number * (1 + ALLEY) + across) * self._side + back[0]
        height = self._room.height - DEEP[1] * self._side
        return np.array([x, self._room.bottom + up * height + back[1], 0.0])

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


@dataclass(frozen=True)
class Towers:
    """The part of a mosaic that is :class:`RebuiltKeys`."""

    view: LatentView
    width: float
    height: float

    def size(self, around: Around) -> Size:
        """Return its room."""
        return Size(width=self.width, height=self.height)

    def pieces(self, place: Field, around: Around) -> Mapping[str, Mobject]:
        """Return the towers."""
        return {"whole": RebuiltKeys(self.view, place.box)}


class LightRoom(World):
    """The room of a layer in the absorbed form: patterns, and the latent that all heads read.

    There are no keys and values; rotated keys stand beside the latent.

    Attributes
    ----------
    kept
        All that is kept of each token: the latent, and the rotated keys if there are any.
    """

    def __init__(self, view: LatentView, frame: Frame) -> None:
        super().__init__(view.layer, frame)
        self.remove(self.lines, *self.pairs)
        for card in self.cards:
            view.head(card.head).absorbed["pattern"].fill(card.pattern)
        self.kept = Group(self.latent)
        if view.mla.d_rope:
            place = self.plan.latent
            width = place.width * view.mla.d_rope / view.mla.rank
            x, y, z = (float(v) for v in place.point((place.width + width) / 2 + ROPE_GAP, 0.0))
            self.kept.add(Plate(view.rope, replace(place, center=(x, y, z), width=width)))
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
                set_presence(plate.body, 1 - alpha)

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
