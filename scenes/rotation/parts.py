"""Parts of pictures that only this scene has: merged matrices, words that slide, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import DOWN, LEFT, RIGHT, UP, Mobject, Rectangle, VGroup

from extract.attention import as_float64
from extract.merged import MergedMatrix
from extract.trace import Trace
from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.language import N_, _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_count, format_decimal, format_percent
from filmkit.core.printable import printable
from filmkit.core.quantities import quantity
from filmkit.core.text import Label, Tick
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.clocks import Clocks
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.panel import Header
from filmkit.pictures.mosaic import TOKEN, Axis, Size
from filmkit.pictures.parts import TEXT, TITLE_GAP, Around, Cells, Matrix, Place
from filmkit.pictures.tensors import CHANNEL, MODEL, HeadParts
from filmkit.pictures.texts import below_each_other, figure

__all__ = ["SUM", "WORDS", "Changes", "ClocksPart", "Price", "Slide", "added", "factors"]
__all__ += ["first_sentence", "kept_of", "latent_of", "look_at", "merged_at", "more_percent"]

Array = npt.NDArray[np.float64]

CLIPPED = 95.0  # percentile of the kept numbers at which their colours end: few are far larger
FEW = (24, 4)  # first and last channels of merged matrices, so that all see their cells flicker
ROLES = {"latent": "latent", "rope": "key"}  # of what is kept: whose colours it has
SUM = ("unrotated", "rotated", "scores")  # the two parts of the scores, and their sum
MOST = 0.7  # of the frame's width, or height, which bars take beside words, or above them
BAR, BAR_GAP = 1.5, 0.3  # height of the bar of the price, and from it to words; scene units
WORDS = 1.2 * TEXT  # size of words that matter
LINE = 1.5 * WORDS * FRAME_HEIGHT  # of such words, in scene units


def more_percent(share: float) -> str:
    """Return by how much something is higher, with its sign."""
    return f"{'+' * (share >= 0)}{format_percent(share, 0)}"


# Why rotated weights cannot be merged


@quantity(N_("W_Q R W_K^T"), axes=("d_model", "d_model"))
def merged_matrix(trace: Trace, layer: int, head: int, distance: int) -> Array:
    """Return the merged matrix of a head at a distance, (d_model, d_model)."""
    return MergedMatrix(trace, layer, head).matrix(distance)


def factors(view: HeadView) -> tuple[Matrix | None, Matrix | None]:
    """Return the two weights between which the rotation stands, the second one transposed.

    Of a model with latents these are the weights of the rotated channels. None for weights that
    the trace does not hold.
    """
    parts, trace, layer = HeadParts(view), view.layer.trace, view.layer.layer
    queries, keys = parts["W_Q"], parts["W_K"]
    if queries and not keys and trace.has("W_KR", layer):
        values = as_float64(trace.weights("W_KR", layer))
        (d_model, width), whole = values.shape, queries.values.shape[1]
        source = TensorSource(trace.tensor_name("W_KR", layer), index=((0, d_model), (0, width)))
        norm, colour = Norm.stretched(values, role="key"), current_theme().key
        keys = Matrix(values, norm, source, MODEL, CHANNEL, "", 'W_"KR"', colour)
        queries = replace(
            queries,
            values=queries.values[:, -width:],
            source=queries.source.part((0, d_model), (whole - width, whole)),
            symbol='W_"QR"',
        )
    return queries, keys and keys.transposed


@dataclass(frozen=True)
class ClocksPart:
    """Clocks of pairs of channels, each as large as some cells of the matrices beside them.

    Attributes
    ----------
    steps : (pair,)
        By how much each pair turns from one position to the next, in radians.
    distance
        From the key to the query.
    columns
        How many clocks stand in a row.
    cells
        Side of a clock, in cells.
    symbol
        Typst mathematics above them.
    """

    steps: Array
    distance: float
    columns: int
    cells: int
    symbol: str = ""

    def size(self, around: Around) -> Size:
        """Return its room."""
        rows = -(-len(self.steps) // self.columns)
        title = current_theme().name_size * FRAME_HEIGHT + TITLE_GAP if self.symbol else 0.0
        across, down = (Axis("clock", self.cells * count) for count in (self.columns, rows))
        return Size(down, across, above=title)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the clocks and their symbol."""
        pitch = place.box.width / self.columns
        clocks = Clocks(self.steps, (self.distance, 0), columns=self.columns, pitch=pitch)
        title = Header("", self.symbol).stand_on(place.box, buff=TITLE_GAP)
        return {"whole": clocks.move_to(place.box.center), "title": title}


def merged_at(view: HeadView, distance: int) -> Matrix:
    """Return the merged weights of a head at a distance, as none are rotated at a distance of 0."""
    layer, head = view.layer.layer, view.head
    merged = MergedMatrix(view.layer.trace, layer, head)
    values, norm = merged.matrix(distance), Norm.stretched(merged.matrix(0))
    name = _("changes") if distance else _("stays")
    symbol = "W_Q R_d W_K^top" if distance else "W_Q W_K^top"
    given = (("layer", layer), ("head", head), ("distance", distance))
    spans = tuple((0, count) for count in values.shape)
    source = TensorSource(quantity="merged_matrix", index=spans, given=given)
    return Matrix(values, norm, source, MODEL, MODEL, name, symbol, kept=FEW)


def look_at(cells: Cells, matrix: Matrix) -> None:
    """Let cells show another matrix of the same shape, in the same place."""
    for block, other in zip(cells.blocks, Cells(matrix, cells.box).blocks, strict=True):
        block.copy_cells_from(other)


class Changes(VGroup):
    """How much the merged matrix has changed at each distance; the farthest is shown.

    Parameters
    ----------
    changes : (distance,)
        Relative changes at the distances 0, 1, 2, ...
    """

    def __init__(self, changes: Array) -> None:
        super().__init__()
        for distance, change in enumerate(changes):
            share = fact("change", change, partial(format_percent, digits=0), distance=distance)
            apart = _("{distance} apart", distance=fact("apart", distance, distance=distance))
            lines = (Label(line, size=WORDS) for line in (_("changed"), apart))
            self.add(below_each_other(figure(share), *lines))
        self.show(len(changes) - 1)

    def show(self, distance: int) -> None:
        """Show the change at a distance, and no other."""
        for number, lines in enumerate(self):
            lines.set_opacity(float(number == distance))


# Two words that slide apart


class Slide(VGroup):
    """The score of two words at each distance, with the query's word on top of the one meant.

    Parameters
    ----------
    scores : (distance,)
        If they were 0, 1, 2, ... apart.
    distance
        How far apart they are.
    words
        Of the query and of the key.
    frame
        The frame that it is in; it leaves room for words beside it, or below it in a tall one.
    """

    def __init__(self, scores: Array, distance: int, words: tuple[str, str], frame: Frame) -> None:
        super().__init__()
        theme, stage = current_theme(), frame.stage
        across, down = (0.95, MOST) if frame.upright else (MOST, 0.95)
        box = Box(0, 0, across * stage.width, down * stage.height)
        columns = box.split_columns(len(scores))
        room = Box.of(box.left, box.right, box.bottom + 3 * LINE, box.top - LINE)
        low, high = min(0.0, float(scores.min())), max(0.0, float(scores.max()))
        unit = room.height / ((high - low) or 1.0)
        zero = room.bottom - low * unit
        self.bars, ticks, line = VGroup(), VGroup(), room.bottom - LINE / 2
        for number, (column, score) in enumerate(zip(columns, scores, strict=True)):
            height = max(1e-3, abs(float(score)) * unit)
            bar = Rectangle(width=0.7 * column.width, height=height, stroke_width=0)
            bar.set_fill(theme.scores if number == distance else theme.flow, opacity=1.0)
            self.bars.add(bar.move_to([column.x, zero + np.copysign(height / 2, score), 0]))
            ticks.add(Tick(format_count(number), size=TEXT).on_line(column.x, line))
        query, key = words
        self.query = Label(query, size=WORDS, colour=theme.query)
        self.key = Label(key, size=WORDS, colour=theme.key)
        title = Label(_("tokens apart"), size=WORDS)
        self.key.on_line(max(columns[0].x, box.left + self.key.width / 2), line - LINE)
        title.on_line(box.right - title.width / 2, line - LINE)
        self.add(self.bars, ticks, title, self.key, self.query)
        self.slide_to(distance)

    def slide_to(self, distance: float) -> None:
        """Put the word of the query at a distance, on top of its bar."""
        xs, tops, _depths = np.array([bar.get_top() for bar in self.bars]).T
        half = self.query.width / 2
        left, right = self.bars.get_left()[0] + half, self.bars.get_right()[0] - half
        x = min(max(float(np.interp(distance, np.arange(len(xs)), xs)), left), right)
        # Above all bars that are below it.
        y = max(*np.interp((x - half, x + half), xs, tops), *tops[abs(xs - x) < half])
        self.query.on_line(x, float(y) + LINE / 2)


# What is kept, and the two parts of a score


@quantity(N_("scores: the sum of both parts"), axes=("query_pos", "key_pos"))
def sum_of_scores(trace: Trace, layer: int, head: int) -> Array:
    """Return the scaled scores of a layer's conversion, (query, key)."""
    parts = (trace[f"mla.{layer}.scores_{name}"][head] for name in ("latent", "rot"))
    return np.sum([part.astype(np.float64) for part in parts], axis=0)


def latent_of(layer: LayerView) -> Matrix | None:
    """Return the latent of a layer, the model's own or the one fitted to it; None without one."""
    names = f"kv_latent.{layer.layer}", f"latent.{layer.layer}.W_DKV"
    if not any(name in layer.trace.tensors for name in names):
        return None
    view, theme = LatentView.of(layer), current_theme()
    look = _("latent"), "C", theme.latent, None, layer.words
    return Matrix(view.latent, view.latent_norm, view.latent_source, TOKEN, "kept", *look)


def kept_of(view: HeadView) -> dict[str, Matrix]:
    """Return what a layer keeps, and the scores of one head from it.

    They are the model's own, or those of its conversion.

    Returns
    -------
    dict of Matrix
        "latent" and "rope" (the rotated key), "unrotated" and "rotated" (the two parts of the
        scaled scores), "scores" (their sum) and "pattern".
    """
    theme, layer = current_theme(), view.layer
    found = _own(view) if layer.trace.meta.attention == "mla" else _converted(view)
    allowed = np.stack([found[name][0][~view.causal_mask] for name in SUM])
    scale = Norm.symmetric(allowed, role="scores")
    looks = {
        "latent": (_("latent"), "C", theme.latent),
        "rope": (_("rotated key"), "", theme.key),
        "unrotated": (_("unrotated"), "", theme.latent),
        "rotated": (_("rotated"), "", theme.key),
        "scores": (_("scores"), "", theme.scores),
        "pattern": (_("pattern"), "", theme.pattern),
    }
    norms = {
        name: Norm.stretched(found[name][0], CLIPPED, role=role) for name, role in ROLES.items()
    } | {"pattern": Norm.unit()}
    kept = {}
    for name, (values, source) in found.items():
        norm, columns = norms.get(name, scale), "kept" if name in ROLES else TOKEN
        look = (*looks[name], None if name in ROLES else view.causal_mask, layer.words)
        kept[name] = Matrix(values, norm, source, TOKEN, columns, *look)
    return kept


def _own(view: HeadView) -> dict[str, tuple[Array, TensorSource]]:
    """Return numbers and sources of what a model with latents keeps and computes from it."""
    layer, head = view.layer, view.head
    latent, rope = layer.rows("kv_latent"), layer.rows("k_rope")
    width, scale = rope.shape[1], layer.trace.meta.score_scale
    unrotated, rotated = (
        scale * view.q_used[:, cut] @ view.k_used[:, cut].T
        for cut in (slice(-width), slice(-width, None))
    )
    return {
        "latent": (latent, layer.source("kv_latent", (0, latent.shape[1]))),
        "rope": (rope, layer.source("k_rope", (0, width))),
        "unrotated": (unrotated, layer.computed("scores_of_latents", head=head)),
        "rotated": (rotated, layer.computed("scores_of_rotated", head=head)),
        "scores": (view.scores, layer.computed("latent_scores", head=head)),
        "pattern": (view.pattern, view.pattern_source),
    }


def _converted(view: HeadView) -> dict[str, tuple[Array, TensorSource]]:
    """Return numbers and sources of what a model's conversion keeps and computes from it."""
    layer, head = view.layer, view.head
    span = layer.first, layer.stop

    def stored(name: str, *index: int) -> tuple[Array, TensorSource]:
        tensor = f"mla.{layer.layer}.{name}"
        whole = as_float64(layer.trace[tensor])[index]
        spans = span, span if index else (0, whole.shape[1])
        return whole[slice(*spans[0]), slice(*spans[1])], TensorSource(tensor, index=index + spans)

    unrotated, rotated = stored("scores_latent", head), stored("scores_rot", head)
    return {
        "latent": stored("c"),
        "rope": stored("k_rot"),
        "unrotated": unrotated,
        "rotated": rotated,
        "scores": (unrotated[0] + rotated[0], layer.computed("sum_of_scores", head=head)),
        "pattern": stored("pattern", head),
    }


def added(kept: Mapping[str, Matrix], pair: tuple[int, int], words: str) -> VGroup:
    """Return the sum of both parts of one score in numbers, above the two words.

    As many decimals are written as the sum needs to be right as it is printed.
    """
    theme, values = current_theme(), [float(kept[name].values[pair]) for name in SUM]
    digits = next((d for d in (1, 2, 3) if _adds_up(values, d)), 3)
    write = partial(format_decimal, digits=digits)
    first, second, both = (
        fact("part of a score", value, write, part=name)
        for name, value in zip(SUM, values, strict=True)
    )
    sign = "=" if _adds_up(values, digits) else "≈"
    texts = first, "+", second if values[1] >= 0 else f"({second})", sign, both
    colours = theme.latent, theme.muted, theme.key, theme.muted, theme.scores
    line = VGroup(*(figure(t, colour=c) for t, c in zip(texts, colours, strict=True)))
    return below_each_other(line.arrange([1, 0, 0], buff=0.25), Label(words, size=WORDS))


def _adds_up(values: Sequence[float], digits: int) -> bool:
    """Return whether the last of some numbers is the sum of the others, as all are printed."""
    *parts, total = (round(value, digits) for value in values)
    return abs(sum(parts) - total) < 1e-9


# What the model says then, and what it costs


def first_sentence(text: str) -> str:
    """Return a continuation up to the end of its first sentence; with "…" if it has no end."""
    stops = [text.index(stop) + 1 for stop in ".!?" if stop in text]
    words = " ".join(text[: min(stops, default=None)].split())
    return f" {printable(words)}{'' if stops else ' …'}"


class Price(VGroup):
    """By how much a converted model is worse, as a bar that shrinks when it is trained.

    Parameters
    ----------
    shares
        By how much the perplexity is higher: converted, and trained after that, if it was.
    done
        What was done at last.
    width
        Of the longest bar, in scene units.
    """

    def __init__(self, shares: Sequence[float], done: str, width: float) -> None:
        super().__init__()
        theme, most = current_theme(), max(shares)
        self.lengths = [width * max(1e-3, share / most if most > 0 else 0.0) for share in shares]
        self.bar = Rectangle(width=width, height=BAR, stroke_width=0)
        self.bar.set_fill(theme.latent, opacity=1.0)
        self.before = Rectangle(width=width, height=BAR, color=theme.flow, stroke_width=theme.line)
        self.done = Label(done, size=WORDS).next_to(self.before, DOWN, BAR_GAP, LEFT)
        self.start = VGroup(self.before, self.bar)
        if len(shares) > 1:
            share = fact("perplexity", shares[0], more_percent, healed=False)
            first = Label(_("converted: {share}", share=share), size=WORDS, colour=theme.muted)
            self.start.add(first.next_to(self.before, UP, BAR_GAP, RIGHT))
        self.add(self.start, self.done)
        self.train(1.0)

    def train(self, alpha: float) -> None:
        """Let the bar shrink from its first length, at 0, to its last one, at 1."""
        length = (1 - alpha) * self.lengths[0] + alpha * self.lengths[-1]
        self.bar.stretch_to_fit_width(length).align_to(self.before, LEFT)
