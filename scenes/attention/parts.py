"""What a query looks at, a dot product that piles up, and the notes on a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filmkit.core.body import Body
from filmkit.core.facts import claim, fact
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import format_number
from filmkit.core.token_text import printable
from filmkit.core.view import HeadView, LayerView
from filmkit.pictures.bodies import Relief

__all__ = [
    "Looked",
    "largest_product",
    "looked_at",
    "piled",
    "projection_notes",
    "scaling_of",
    "score_notes",
]

MOST, FEWEST = 8, 3  # words that a query looks at and that stand by themselves
LETTERS = 34  # that all of these have together, unless they are few
TOWER = np.array([2.2, 0.8])  # width and depth of a tower of products, in scene units
DARKER = 0.86  # light of every second slice of a tower


@dataclass(frozen=True)
class Looked:
    """Something that a query looks at: a word, or all that do not stand by themselves.

    Attributes
    ----------
    name
        Number of its row; its word for what is no single word that is drawn.
    word
        What stands on it.
    share
        Its share of the attention; all of them add up to 1.
    positions
        Of the tokens that it is, from the first one of the prompt; none for a sink.
    """

    name: int | str
    word: str
    share: float
    positions: tuple[int, ...]


def looked_at(view: HeadView, query: int, key: int) -> list[Looked]:
    """Return what a query looks at, in the order of the sentence.

    Of many words only some stand by themselves, the query, the key and those with the largest
    shares; all others are one. What a sink takes goes to nothing, and stands last.

    Parameters
    ----------
    view
        The head.
    query, key
        Numbers of their rows.
    """
    layer, first = view.layer, view.layer.first
    shares = view.pattern_rows[query]
    seen = np.flatnonzero(~view.causal_mask[query]).tolist()
    ranked = sorted(seen, key=lambda row: (row not in (query, key), -shares[first + row]))
    letters = np.cumsum([len(layer.words[row].strip()) for row in ranked])
    count = max(FEWEST, int((letters <= LETTERS).sum()))
    alone = sorted(ranked[: min(MOST, count)])

    def together(word: str, *rows: int, name: int | str = "") -> Looked:
        positions = tuple(first + row for row in rows)
        return Looked(
            name if name != "" else word, word, float(shares[[*positions]].sum()), positions
        )

    found = [together(printable(layer.words[row]), row, name=row) for row in alone]
    if others := [row for row in seen if row not in alone]:
        positions = tuple(first + row for row in others)
        number = fact("together", len(others), positions=positions)
        word = ngettext("1 other", "{number} others", len(others), number=number)
        found.append(together(word, *others))
    if layer.hides_first:
        found.insert(0, together(_("before"), *range(-first, 0)))
    if layer.trace.meta.sinks:
        found.append(Looked(_("nothing"), _("nothing"), float(view.sink_attention[query]), ()))
    return found


def piled(products: Relief, *, cut: bool) -> Body:
    """Return products as slices of a tower, on their own scale: of their boxes, in their order.

    What has the sign of the sum is piled up. One slice is a little darker than the next one.

    Parameters
    ----------
    products
        The products.
    cut
        Whether what has the other sign has been taken from the top, so that the tower is as high as
        the sum.
    """
    values = np.asarray(products.values) / products.unit
    values = values * np.sign(values.sum())
    ends = np.cumsum(np.maximum(values, 0.0))
    top = values.sum() if cut else ends[-1]
    boxes = np.zeros((len(values) + 1, 2, 3))
    boxes[:, 0, ::2], boxes[:, 1, ::2] = -TOWER / 2, TOWER / 2
    boxes[1:, 0, 1] = np.minimum(ends - np.maximum(values, 0.0), top)
    boxes[1:, 1, 1] = np.minimum(ends, top)
    order = np.concatenate([[0], np.cumsum(values > 0)])
    colours = products.colours[1:].max(axis=0) * np.where(order % 2, 1.0, DARKER)[:, None]
    return Body(boxes, colours, layers=np.arange(len(boxes)))


def largest_product(view: HeadView, query: int, key: int) -> int:
    """Return the channel whose product is the largest of those that are right as printed.

    Factors are printed with two decimals, and the product with one.
    """
    q, k = view.q_used[query], view.k_used[key]
    printed = np.round(np.round(q, 2) * np.round(k, 2), 1) == np.round(q * k, 1)
    return int(np.where(printed, q * k, -np.inf).argmax())


def scaling_of(view: HeadView, query: int, key: int) -> str:
    """Return how the dot product of a pair becomes its score, with both numbers.

    There is an equals sign only where the printed numbers give the printed result.
    """
    meta, dot = view.layer.trace.meta, float(view.dot_products[query, key])
    factor = meta.score_scale
    before, after = fact("dot", dot, format_number), fact("scaled", dot * factor, format_number)
    if np.isclose(factor, meta.d_qk**-0.5):
        scale, printed = f"/ √{fact('scale', meta.d_qk)}", rounded(dot) * meta.d_qk**-0.5
    else:
        scale, printed = f"× {fact('scale', factor, format_number)}", rounded(dot) * rounded(factor)
    return f"{before} {scale} {'=' if format_number(printed) == after else '≈'} {after}"


def rounded(number: float) -> float:
    """Return a number as it is printed."""
    return float(f"{number:.3g}")


def projection_notes(layer: LayerView, letter: str) -> list[str]:
    """Return what else happens to queries and keys, or to values, after the product with X.

    Parameters
    ----------
    layer
        The layer.
    letter
        "Q" or "V".
    """
    trace, meta = layer.trace, layer.trace.meta
    notes = [claim(trace.has(f"b_{letter}", layer.layer), _("plus a bias"), letter=letter)]
    if letter == "Q":
        notes.append(claim(meta.qk_norm is not None, _("normalised")))
        if trace.rotates:
            partly = meta.rotary_dim < meta.d_qk
            notes.append(claim(partly, _("partly rotated"), _("next, word order is added")))
    return [*filter(None, notes)]


def score_notes(view: HeadView) -> list[str]:
    """Return what else happens to scores than that they are scaled and the future is masked."""
    layer, meta = view.layer, view.layer.trace.meta
    notes = [claim(meta.positions == "alibi", _("less a penalty for distance"))]
    if meta.score_cap:
        low, high = format_number(-meta.score_cap), format_number(meta.score_cap)
        notes.append(_("capped at {low} and {high}", low=low, high=high))
    far = 0 < layer.trace.window(layer.layer) < layer.count
    notes.append(claim(far, _("what is far back is masked too")))
    return [*filter(None, notes)]
