"""Parts of pictures that only this scene has: clocks, merged matrices, bars, sums in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import DOWN, RIGHT, Mobject, Rectangle, VGroup

from extract.attention.arithmetic import as_float64
from extract.trace import Trace
from extract.trace.proof.merged import MergedMatrix
from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.norm import Norm, TensorSource, has_name
from filmkit.core.numbers import format_count, format_decimal, format_number, format_percent
from filmkit.core.printable import printable
from filmkit.core.quantities import QUANTITIES, quantity
from filmkit.core.text import Label, Tick, break_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView, LayerView
from filmkit.mobjects.clocks import Clocks
from filmkit.mobjects.latent_view import LatentView
from filmkit.pictures.mosaic import TOKEN, Axis, Size
from filmkit.pictures.parts import Around, Matrix, Place
from filmkit.pictures.strips import GAP, LINE, NUMBER, WORDS, Strip, Strips, keys_shown
from filmkit.pictures.tensors import CHANNEL, MODEL, HeadParts

__all__ = ["GAP", "NUMBER", "WORDS", "Bars", "ClocksPart", "Price", "changed_at"]
__all__ += [
    "factors",
    "first_sentence",
    "kept_of",
    "latent_of",
    "lines_of",
    "merged_once",
    "sum_of_parts",
]

Array = npt.NDArray[np.float64]

CLIPPED = 95.0  # percentile of numbers at which their colours end: few are far larger
FEW = (24, 4)  # first and last channels of merged matrices, so that all see their cells
SUM = ("unrotated", "rotated", "sum")  # the two parts of a dot product, and their sum
PRICE = 1.0  # height of the bars of the price, at most


def more_percent(share: float) -> str:
    """Return by how much something is higher, with its sign."""
    return f"{'+' * (share >= 0)}{format_percent(share, 0)}"


def lines_of(matter: str, quiet: str, width: float) -> Callable[[], VGroup]:
    """Return what makes lines below a matrix, no wider than it: what matters, and a quiet one."""
    size, muted = 1.1 * WORDS, current_theme().muted

    def make() -> VGroup:
        first = (
            Label(t, size=size, weight="semibold") for t in break_lines(matter, width, size=size)
        )
        then = (Label(t, size=WORDS, colour=muted) for t in break_lines(quiet, width, size=WORDS))
        return VGroup(*first, *then).arrange(DOWN, buff=0.08)

    return make


# Why rotated weights cannot be merged


@quantity(N_("W_Q R W_K^T"), axes=("d_model", "d_model"))
def merged_matrix(trace: Trace, layer: int, head: int, distance: int) -> Array:
    """Return the merged matrix of a head at a distance, (d_model, d_model)."""
    return MergedMatrix(trace, layer, head).matrix(distance)


@quantity(N_("change of W_Q R W_K^T"), axes=("d_model", "d_model"))
def merged_change(trace: Trace, layer: int, head: int, distance: int) -> Array:
    """Return how far each number of the merged matrix is from that without rotation."""
    merged = MergedMatrix(trace, layer, head)
    return np.abs(merged.matrix(distance) - merged.matrix(0))


def factors(view: HeadView) -> tuple[Matrix | None, Matrix | None]:
    """Return the two weights between which the rotation stands, each named for what it makes.

    The second one is transposed. Of a model with latents these are the weights of the rotated
    channels. None for weights that the trace does not hold.
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
    return (
        queries and replace(queries, name=_("makes queries"), symbol=""),
        keys and replace(keys.transposed, name=_("makes keys"), symbol=""),
    )


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
    """

    steps: Array
    distance: float
    columns: int
    cells: int

    def size(self, around: Around) -> Size:
        """Return its room."""
        rows = -(-len(self.steps) // self.columns)
        across, down = (Axis("clock", self.cells * count) for count in (self.columns, rows))
        return Size(down, across)

    def pieces(self, place: Place, around: Around) -> Mapping[str, Mobject]:
        """Return the clocks."""
        pitch = place.box.width / self.columns
        clocks = Clocks(self.steps, (self.distance, 0), columns=self.columns, pitch=pitch)
        return {"whole": glow(clocks.move_to(place.box.center))}


def merged_once(view: HeadView) -> Matrix:
    """Return the merged weights of a head as they are without rotation."""
    values = merged_matrix(view.layer.trace, view.layer.layer, view.head, 0)
    return _merged("merged_matrix", view, 0, values, Norm.stretched(values, CLIPPED))


def changed_at(view: HeadView, distance: int, farthest: int) -> Matrix:
    """Return what a distance changes in the merged weights, on the scale of the farthest one."""
    given = view.layer.trace, view.layer.layer, view.head
    limit = float(np.percentile(merged_change(*given, farthest), CLIPPED))
    norm = replace(Norm.unit(), vmax=limit or 1.0, percentile=CLIPPED)
    return _merged("merged_change", view, distance, merged_change(*given, distance), norm)


def _merged(name: str, view: HeadView, distance: int, values: Array, norm: Norm) -> Matrix:
    given = (("layer", view.layer.layer), ("head", view.head), ("distance", distance))
    spans = tuple((0, count) for count in values.shape)
    source = TensorSource(quantity=name, index=spans, given=given)
    return Matrix(values, norm, source, MODEL, MODEL, kept=FEW)


# Two words that move apart


class Bars(VGroup):
    """The dot product of two words at each distance; one of the bars is lit, and has its number.

    Parameters
    ----------
    products : (distance,)
        If they were 0, 1, 2, ... apart.
    distance
        How far apart they are.
    box
        Room for all of it.
    """

    def __init__(self, products: Array, distance: int, box: Box) -> None:
        super().__init__()
        theme = current_theme()
        self.products, self.distance = products, distance
        title = Label(_("places apart"), size=WORDS)
        title.on_line(box.right - title.width / 2, box.bottom + LINE / 2)
        self.note = Label(_("as in the sentence"), size=WORDS, colour=theme.scores)
        top = box.top - self.note.line_height - NUMBER * FRAME_HEIGHT - GAP
        room = Box.of(box.left, box.right, box.bottom + 2 * LINE, top)
        low, high = min(0.0, float(products.min())), max(0.0, float(products.max()))
        unit = room.height / ((high - low) or 1.0)
        zero = room.bottom - low * unit
        self.bars, ticks = VGroup(), VGroup()
        columns = room.split_columns(len(products))
        for number, (column, product) in enumerate(zip(columns, products, strict=True)):
            height = max(1e-3, abs(float(product)) * unit)
            bar = Rectangle(width=0.8 * column.width, height=height, stroke_width=0)
            self.bars.add(bar.move_to([column.x, zero + np.copysign(height / 2, product), 0]))
            tick = Tick(format_count(number), size=WORDS)
            ticks.add(tick.on_line(column.x, box.bottom + 1.5 * LINE))
        self.number = VGroup()
        self.add(self.bars, ticks, title, self.note, self.number)
        self.light(distance)

    def light(self, distance: int) -> None:
        """Light the bar of a distance, with its number above; and a note, if it is the true one."""
        theme = current_theme()
        for number, bar in enumerate(self.bars):
            lit = number == distance
            bar.set_fill(theme.scores if lit else theme.flow, opacity=1.0)
            glow(bar, float(lit))
        product = fact("slid", float(self.products[distance]), format_number, distance=distance)
        self.number.submobjects = [
            Label(product, size=NUMBER, colour=theme.scores, weight="semibold")
        ]
        self.note.set_opacity(float(distance == self.distance))
        above = self.bars[distance].get_x()
        for words, low in ((self.number, self._top(distance)), (self.note, 0.0)):
            half = words.width / 2
            x = np.clip(above, self.bars.get_left()[0] + half, self.bars.get_right()[0] - half)
            low = low or float(self.number.get_top()[1])
            words.move_to([x, low + GAP / 2 + words.height / 2, 0])

    def _top(self, distance: int) -> float:
        """Return the top of all bars that are below the number of a distance."""
        x, half = self.bars[distance].get_x(), self.number.width / 2
        near = [bar for bar in self.bars if abs(bar.get_x() - x) < half + bar.width / 2]
        return max(float(bar.get_top()[1]) for bar in near)


# What is kept, and the two parts of a score


@quantity(N_("dot products"), N_("of one part, or of both"), axes=("query_pos", "key_pos"))
def parts_of_products(trace: Trace, layer: int, head: int, part: str) -> Array:
    """Return a part of the dot products, "unrotated" or "rotated", or their "sum", (query, key)."""
    if part == "sum":
        return np.add(*(parts_of_products(trace, layer, head, part) for part in SUM[:2]))
    if trace.meta.attention == "mla":
        name = {"unrotated": "scores_of_latents", "rotated": "scores_of_rotated"}[part]
        scores = QUANTITIES[name].compute(trace, layer, head)
    else:
        name = {"unrotated": "latent", "rotated": "rot"}[part]
        scores = as_float64(trace[f"mla.{layer}.scores_{name}"])[head]
    return np.asarray(scores / trace.meta.score_scale)


def latent_of(layer: LayerView) -> Matrix | None:
    """Return the latent of a layer, the model's own or the one fitted to it; None without one."""
    names = f"kv_latent.{layer.layer}", f"latent.{layer.layer}.W_DKV"
    if not any(name in layer.trace.tensors for name in names):
        return None
    view, theme = LatentView.of(layer), current_theme()
    look = _("latent"), "C", theme.latent, None, layer.words
    return Matrix(view.latent, view.latent_norm, view.latent_source, TOKEN, "kept", *look)


def kept_of(layer: LayerView) -> dict[str, Matrix]:
    """Return what a layer keeps of each token: "latent" and "rope", the rotated key.

    They are the model's own, or those of its conversion.
    """
    theme, names = current_theme(), {"latent": "kv_latent", "rope": "k_rope"}
    kept = {}
    for name, colour in (("latent", theme.latent), ("rope", theme.key)):
        if layer.trace.meta.attention == "mla":
            values = layer.rows(names[name])
            source = layer.source(names[name], (0, values.shape[1]))
        else:
            tensor = f"mla.{layer.layer}.{'c' if name == 'latent' else 'k_rot'}"
            values = as_float64(layer.trace[tensor])[layer.first : layer.stop]
            source = TensorSource(tensor, index=((layer.first, layer.stop), (0, values.shape[1])))
        norm = Norm.stretched(values, CLIPPED, role="latent" if name == "latent" else "key")
        kept[name] = Matrix(values, norm, source, TOKEN, "kept", colour=colour, words=layer.words)
    return kept


def sum_of_parts(view: HeadView, pair: tuple[int, int], box: Box, *, down: bool) -> Strips:
    """Return a row of dot products in two parts and their sum, of one key in numbers.

    Parameters
    ----------
    view
        The head.
    pair
        The query whose row it is, and the key.
    box, down
        As for :class:`~filmkit.pictures.strips.Strips`.
    """
    (query, key), theme = pair, current_theme()
    keys = keys_shown(query, key)
    tables = [_part_of_products(view, name) for name in SUM]
    rows = [values[query, keys] for values, _source in tables]
    norm = Norm.stretched(rows, 100.0, role="scores")
    if not has_name(norm.cmap):  # what is subtracted has a colour of its own
        norm = replace(norm, cmap="/".join((theme.counter, *norm.cmap.split("/")[1:])))
    numbers, sign = _added([float(values[pair]) for values, _source in tables])
    names = _("from the latent"), _("+ from the rotated key"), _("{sign} together", sign=sign)
    place = key - keys.start
    strips = [
        Strip(name, row, norm, source.part((query, query + 1), (keys.start, keys.stop)), {place: n})
        for name, row, (_values, source), n in zip(names, rows, tables, numbers, strict=True)
    ]
    words, colours = view.layer.words[keys], {place: theme.key}
    return Strips(strips, words, box, down=down, colours=colours)


def _part_of_products(view: HeadView, part: str) -> tuple[Array, TensorSource]:
    """Return a part of the dot products of the drawn tokens, and its source."""
    layer, drawn = view.layer, slice(view.layer.first, view.layer.stop)
    values = parts_of_products(layer.trace, layer.layer, view.head, part)[drawn, drawn]
    return values, layer.computed("parts_of_products", head=view.head, part=part)


def _added(values: Sequence[float]) -> tuple[list[str], str]:
    """Return two numbers and their sum as text, and the sign between: "=" or, rounded, "≈".

    As many decimals are written as the sum needs to be right as it is printed.
    """
    digits = next((d for d in (1, 2, 3) if _adds_up(values, d)), 3)
    write = partial(format_decimal, digits=digits)
    pairs = zip(SUM, values, strict=True)
    texts = [fact("part of a product", value, write, part=name) for name, value in pairs]
    return [*texts], "=" if _adds_up(values, digits) else "≈"


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
    """By how much a converted model is worse: a bar, and below it that after some training.

    Parameters
    ----------
    shares
        By how much the perplexity is higher: converted, and trained after that, if it was.
    names
        What each of them is.
    box
        Room for all of it.

    Attributes
    ----------
    rows
        For each of them its name, its bar and its share.
    """

    def __init__(self, shares: Sequence[float], names: Sequence[str], box: Box) -> None:
        super().__init__()
        theme, most = current_theme(), max(*shares, 1e-3)
        self.rows = VGroup()
        strips = box.split_rows(len(shares), GAP)
        for number, (share, name, strip) in enumerate(zip(shares, names, strips, strict=True)):
            title = Label(name, size=WORDS)
            title.on_line(strip.left + title.width / 2, strip.top - LINE / 2)
            text = fact("perplexity", share, more_percent, healed=number > 0)
            colour = theme.latent if number == len(shares) - 1 else theme.muted
            value = Label(text, size=NUMBER, colour=colour, weight="semibold")
            height = min(PRICE, strip.height - LINE)
            longest = strip.width - value.width - GAP
            bar = Rectangle(width=max(1e-3, longest * share / most), height=height, stroke_width=0)
            bar.set_fill(colour, opacity=1.0)
            bar.next_to([strip.left, strip.top - LINE - height / 2, 0], RIGHT, 0)
            value.next_to(bar, RIGHT, GAP)
            self.rows.add(VGroup(title, bar, value))
        glow(self.rows[-1])
        self.add(self.rows)
