"""The attention of all heads to each word, a floor of tokens as tiles, and merged tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import DOWN, LEFT, RIGHT, Animation, Group, Rectangle, Square, VGroup, VMobject

from extract.recompute.reading import rows_of_query
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.quantities import quantity
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme, mixed
from filmkit.core.view import LayerView
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import legend
from filmkit.world.words import words_in_columns

__all__ = ["HeadsAtWords", "Pooling", "TokenFloor", "by_word"]

Array = npt.NDArray[np.float64]

LATENT, READ = 0.3, 1.0  # opacity of a latent that is kept, and of one that is read
PAD = 0.05  # from a panel to its frame, in scene units
APART = 0.14  # between lines of words beside tiles
SLOT, BESIDE = 2.2, 4.0  # from tokens to what they become, in tiles; and room for words beside it
SMALLER, LEAST = 0.97, 0.08  # by which tiles shrink until they fit, and pitch at least

BETWEEN = 0.8  # what a cell is, and the colour of those that are not read
ACROSS, FEWER = 32, 16  # tiles of a row, and in frames that are no wider than high
PITCH, TILE, LIT = 0.4, 0.3, 0.56  # from tile to tile, and side of one, and of a lit one
NEAR = 8192  # tiles that are drawn one by one; beyond, they are a surface
DARK = 0.5  # how much of their colour tiles have
LENS = 1.15


@quantity(N_("attention"), N_("of all heads"), axes=("key_pos", "layer", "head"))
def attention_to_words(trace: Trace, query: int, **place: object) -> Array:
    """Return the attention of all heads from a word to each up to it, (word, layer, head)."""
    rows = rows_of_query(trace, query)
    return rows.T.reshape(-1, trace.meta.n_layers, trace.meta.n_heads)


@quantity(N_("attention"), N_("of all heads"), axes=("before", "layer", "head"))
def attention_to_those_before(trace: Trace, query: int, first: int, **place: object) -> Array:
    """Return the attention of all heads from a word to all before a position, (1, layer, head)."""
    return attention_to_words(trace, query)[:first].sum(axis=0, keepdims=True)


def by_word(rows: Array, first: int) -> Array:
    """Return rows (head, key) as (head, word): all keys before the first drawn word as one."""
    starts = sorted({0, *range(first, rows.shape[1])})
    return np.asarray(np.add.reduceat(rows, starts, axis=1))


class HeadsAtWords(Group):
    """Words in columns; in the panel over each, a cell for each head: its attention to that word.

    Parameters
    ----------
    view
        The layer whose words they are.
    words
        Their texts; one more than are drawn if something before them counts as a word.
    room
        Room in the frame.

    Attributes
    ----------
    words, panels, frames
        The words, the panels of (layers, heads), and a frame around each of these.
    legend, unread
        What a cell is, and the colour of those that are not read; that is hidden until some are.
    latents
        A plain tile in the place of each panel.
    """

    def __init__(self, view: LayerView, words: Sequence[str], room: Box) -> None:
        super().__init__()
        theme, meta = current_theme(), view.trace.meta
        query, spans = view.stop - 1, ((0, meta.n_layers), (0, meta.n_heads))
        numbers = (("layers", meta.n_layers), ("heads", meta.n_heads))
        given = ("query", query), *((name, (0, count - 1)) for name, count in numbers)
        self.legend = Label(_("a cell = a head"), size=TEXT, colour=theme.muted)
        self.unread = legend(_("not read"), theme.masked)
        self.unread[1].set_fill(theme.muted)
        both = VGroup(self.legend, self.unread).arrange(RIGHT, buff=BETWEEN)
        if both.width > room.width:
            both.arrange(DOWN, buff=APART)
        both.move_to([room.x, room.bottom, 0], aligned_edge=DOWN)
        above = Box.of(room.left, room.right, float(both.get_top()[1]) + APART, room.top)
        self.words, places = words_in_columns(words, above)
        self.panels, self.frames, self.latents = Group(), VGroup(), VGroup()
        cells = by_word(rows_of_query(view.trace, query), view.first).T
        for position, place, row in zip(
            range(view.stop - len(cells), view.stop), places, cells, strict=True
        ):
            is_hidden = position < view.first
            source = TensorSource(
                quantity="attention_to_words",
                index=(position, *spans),
                given=(*given, ("first_token", is_hidden)),
            )
            if is_hidden and view.first > 1:
                source = replace(
                    source,
                    quantity="attention_to_those_before",
                    index=(0, *spans),
                    given=(*source.given, ("first", view.first)),
                )
            values = row.reshape(meta.n_layers, meta.n_heads)
            panel = Heatmap(values, Norm.unit(), source=source, edged=False)
            box = place.fit(*reversed(panel.shape))
            self.panels.add(panel.place(box))
            tile = Rectangle(width=place.width, height=place.height).move_to(place.center)
            tile.set_stroke(theme.latent, width=theme.line)
            self.latents.add(tile.set_fill(theme.latent, opacity=LATENT))
            frame = box.grown(PAD)
            self.frames.add(
                Rectangle(width=frame.width, height=frame.height, stroke_color=theme.faint)
                .set_stroke(width=theme.line)
                .move_to(frame.center)
            )
        # Alone, what a cell is stands in the middle.
        self._aside = self.legend.get_x()
        self.legend.set_x(room.x)
        set_presence(self.unread, 0.0)
        self.add(self.panels, self.frames, self.words, self.legend, self.unread)

    def read(self, shares: Array) -> None:
        """Light the words that are read, mask the cells of the others, and frame what all read.

        Parameters
        ----------
        shares : (head, word)
            Share of each head's attention to a word that is read, 0 or 1 if that is one token.
        """
        theme = current_theme()
        for word, panel, frame, share in zip(
            self.words, self.panels, self.frames, shares.T, strict=True
        ):
            panel.set_masked(1 - share.reshape(panel.shape))
            word.set_fill(theme.ink if share.any() else theme.muted)
            framed = bool(share.all())
            frame.set_stroke(
                theme.ink if framed else theme.faint, 1.5 * theme.bold if framed else theme.line
            )
        self.legend.set_x(self._aside)
        set_presence(self.unread, 1.0)

    def read_latents(self, count: int) -> None:
        """Light the latents, and the words, of those that get most attention, and no others."""
        theme = current_theme()
        given = [float(panel.values.sum()) for panel in self.panels]
        most = sorted(given)[-count]
        for word, tile, share in zip(self.words, self.latents, given, strict=True):
            lit = share >= most
            word.set_fill(theme.ink if lit else theme.muted)
            glow(tile.set_fill(opacity=READ if lit else LATENT), float(lit))


class TokenFloor(Group):
    """A floor of tiles that runs to the horizon, one for each token in a cache: a sketch.

    Which tiles are lit is made up, and pictures of it say so.

    Parameters
    ----------
    tokens
        How many tiles there are.
    chosen
        How many of them are lit: a random one in each run of ``tokens // chosen``.
    room
        What the floor fills of the frame, from its front to the horizon.
    frame
        The frame.

    Attributes
    ----------
    tokens, lights
        All tiles, those that are far away as a surface; and the lit ones.
    shot
        From where it is seen.
    """

    def __init__(self, tokens: int, chosen: int, room: Box, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        self._across = FEWER if frame.upright else ACROSS
        share = tokens // chosen
        lit = share * np.arange(chosen) + np.random.default_rng(0).integers(share, size=chosen)
        dark = mixed(theme.background, theme.latent, DARK)
        near, far = _tiles(dark), _tiles(dark).set_fill(opacity=TILE / PITCH)
        near.points = _squares(self._middles(np.arange(NEAR)))
        last = self._across - 1
        ends = self._middles(np.array([NEAR, NEAR + last, tokens - 1, tokens - 1 - last]))
        far.set_points_as_corners(ends[[0, 1, 2, 3, 0]])
        self.tokens = VGroup(far, near)
        self.lights = glow(_tiles(theme.ink), 2.0)
        self.lights.points = _squares(self._middles(lit), LIT)
        self.add(self.tokens, self.lights)
        self.shot = _to_the_horizon(self._across * PITCH, room, frame)

    def _middles(self, tokens: npt.NDArray[np.int_]) -> Array:
        """Return the middles (n, 3) of the tiles of some tokens, which are numbered row by row."""
        rows, columns = np.divmod(tokens, self._across)
        x = PITCH * (columns - (self._across - 1) / 2)
        return np.stack([x, np.zeros(len(x)), -PITCH * rows], axis=1)


class Pooling(VGroup):
    """Tokens that are merged into one entry: their tiles, an arrow, one tile, and words beside it.

    Parameters
    ----------
    count
        How many tokens.
    words
        The words.
    across
        How many tokens stand side by side, at most.
    pitch
        From one tile to the next, in scene units.

    Attributes
    ----------
    tokens, entry, result
        The tiles of the tokens, that of the entry, and the words with the arrow.
    """

    def __init__(self, count: int, words: VGroup, across: int, pitch: float) -> None:
        super().__init__()
        side, colour = TILE / PITCH * pitch, current_theme().latent
        self.entry = Square(side, stroke_width=0.0, fill_color=colour, fill_opacity=1.0)
        tokens = VGroup(*(self.entry.copy().set_fill(opacity=DARK) for _token in range(count)))
        self.tokens = tokens.arrange_in_grid(cols=min(count, across), buff=pitch - side)
        x, y = float(tokens.get_right()[0]), float(tokens.get_center()[1])
        glow(self.entry.move_to([x + (SLOT - 0.5) * pitch, y, 0]))
        arrow = Label("→", size=1.5 * TEXT).on_line(x + (SLOT - 1) / 2 * pitch, y)
        words.move_to([x + (SLOT + 0.5) * pitch, y, 0], aligned_edge=LEFT)
        self.result = VGroup(arrow, words)
        self.add(self.tokens, self.entry, self.result)

    @classmethod
    def in_room(cls, texts: Mapping[int, tuple[str, str]], across: int, room: Box) -> list[Pooling]:
        """Return how some counts of tokens are pooled, one below the other, as large as they fit.

        Parameters
        ----------
        texts
            For each count of tokens the words beside its entry, and quieter ones below them.
        across
            How many tokens stand side by side, at most.
        room
            Room in the frame.
        """
        beside = min(BESIDE, room.width / 2)
        said = [_said(pair, beside) for pair in texts.values()]
        rows = [-(-count // across) for count in texts]
        pitch = (room.width - beside) / (across + SLOT + 0.5)

        def height() -> float:
            high = zip(rows, said, strict=True)
            each = (max(count * pitch, float(words.height)) for count, words in high)
            return sum(each) + (len(said) - 1) * pitch

        while height() > room.height and pitch > LEAST:
            pitch *= SMALLER
        sizes = zip(texts, said, strict=True)
        poolings = [cls(count, words, across, pitch) for count, words in sizes]
        VGroup(*poolings).arrange(DOWN, buff=pitch, aligned_edge=LEFT).move_to(room.center)
        return poolings

    def merge(self, **kwargs: Any) -> Animation:
        """Return an animation in which copies of all tokens become the entry."""
        copies, end = self.tokens.copy(), self.entry.get_center()
        starts = [copy.get_center() for copy in copies]

        def step(alpha: float) -> None:
            for copy, start in zip(copies, starts, strict=True):
                copy.move_to((1 - alpha) * start + alpha * end)
                copy.set_fill(opacity=DARK + alpha * (1 - DARK))

        return AnimateWith(copies, step, remover=True, introducer=True, **kwargs)


def _said(texts: tuple[str, str], width: float) -> VGroup:
    """Return the lines of words, and of quieter ones below them."""
    theme, size = current_theme(), 1.4 * TEXT
    lines = [
        Label(line, size=size, colour=colour)
        for text, colour in zip(texts, (theme.ink, theme.muted), strict=True)
        for line in break_lines(text, width, size=size)
    ]
    return VGroup(*lines).arrange(DOWN, buff=APART, aligned_edge=LEFT)


def _tiles(colour: str) -> VMobject:
    return VMobject(stroke_width=0.0, fill_color=colour, fill_opacity=1.0)


def _squares(centres: Array, side: float = TILE) -> Array:
    """Return the path (16 n, 3) along tiles on the floor around points (n, 3)."""
    half = side / 2
    corners = np.array([(-half, 0, half), (-half, 0, -half), (half, 0, -half), (half, 0, half)])
    starts = centres[:, None] + corners
    ends = np.roll(starts, -1, axis=1)
    curves = [(1 - share) * starts + share * ends for share in (0, 1 / 3, 2 / 3, 1)]
    return np.stack(curves, axis=2).reshape(-1, 3)


def _to_the_horizon(width: float, room: Box, frame: Frame) -> Shot:
    """Return the shot of a floor whose front edge, at z = 0, fills the foot of a room.

    The horizon is at its top.
    """
    unit = LENS * frame.height
    tilt = np.arctan(room.top / unit)
    below = np.arctan(-room.bottom / unit)
    away = unit * width / room.width / np.cos(below)
    eye = away * np.array([0.0, np.sin(tilt + below), np.cos(tilt + below)])
    return Shot.looking(eye, eye - [0.0, 10 * np.sin(tilt), 10 * np.cos(tilt)], LENS)
