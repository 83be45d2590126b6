"""Layers and heads of a model, and how they are said."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from extract.trace.contents.meta import TraceMeta
from filmkit.core.language import N_, _, ngettext
from filmkit.core.numbers import counted_heads, counted_layers, format_exact, listed

__all__ = [
    "HEAD",
    "KV_HEAD",
    "LAYER",
    "MAX_NAMED",
    "ModelPlace",
    "both",
    "counted",
    "numbered",
    "one_by_one",
    "origin_notes",
    "place_in_words",
]

MAX_NAMED = 3
"""Up to so many heads of different layers are named one by one."""

MAX_LISTED = 6  # up to so many numbers with gaps are listed

LAYER, HEAD, KV_HEAD = "layer", "head", "key/value head"

# A place and its numbers; the same for one number and for several.
NUMBERED = {
    LAYER: (N_("layer {numbers}"), N_("layers {numbers}")),
    HEAD: (N_("head {numbers}"), N_("heads {numbers}")),
    KV_HEAD: (N_("key/value head {numbers}"), N_("key/value heads {numbers}")),
}


def numbered(kind: str, numbers: Collection[int]) -> str:
    """Return what is counted with its numbers: "layer 3", "heads 0 to 8", "heads 1, 4 and 5".

    Of more numbers with gaps only how many there are: "16 heads".

    Parameters
    ----------
    kind
        :data:`LAYER`, :data:`HEAD` or :data:`KV_HEAD`.
    numbers
        At least one.
    """
    one, many = NUMBERED[kind]
    first, last = min(numbers), max(numbers)
    if first == last:
        return _(one, numbers=first)
    if len(set(numbers)) == last - first + 1 and last > first + 1:
        return _(many, numbers=_("{first} to {last}", first=first, last=last))
    if len(set(numbers)) > MAX_LISTED:
        return counted(kind, len(set(numbers)))
    return _(many, numbers=listed([str(number) for number in sorted(set(numbers))]))


def counted(kind: str, number: int) -> str:
    """Return a number of layers, heads or key/value heads."""
    if kind == KV_HEAD:
        return ngettext("{number} key/value head", "{number} key/value heads", number)
    return counted_layers(number) if kind == LAYER else counted_heads(number)


def one_by_one(kind: str, places: Iterable[tuple[int, int]]) -> str:
    """Return layers with a head of each as a list; ``kind`` is what a head is."""
    return listed([both(numbered(LAYER, {i}), numbered(kind, {j})) for i, j in sorted(places)])


def both(layers: str, heads: str) -> str:
    """Return layers and heads in words as one place; either may be empty."""
    return (
        _("{layers}, {heads}", layers=layers, heads=heads) if layers and heads else layers + heads
    )


@dataclass(frozen=True)
class ModelPlace:
    """Where in a model numbers come from.

    Attributes
    ----------
    layers, heads
        Numbers of the layers and of the heads; empty where they are not known, or are not of
        certain heads.
    kind
        What a head is: :data:`HEAD` or :data:`KV_HEAD`.
    """

    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    kind: str = HEAD

    @classmethod
    def given(cls, given: Mapping[str, Any]) -> ModelPlace:
        """Read it from what something was computed from: "layer" or "layers", "head" and so on.

        "layers" and "heads" are the first and the last of them.
        """

        def numbers(one: str, several: str) -> tuple[int, ...]:
            if one in given:
                return (given[one],)
            first, last = given.get(several, (0, -1))
            return tuple(range(first, last + 1))

        kv_heads = numbers("kv_head", "")
        return cls(
            numbers("layer", "layers"),
            kv_heads or numbers("head", "heads"),
            KV_HEAD if kv_heads else HEAD,
        )

    def words(self) -> str:
        """Return it in words: "layer 3, head 0"; "" if nothing is known."""
        layers, heads = (
            numbered(kind, numbers) if numbers else ""
            for kind, numbers in ((LAYER, self.layers), (self.kind, self.heads))
        )
        return both(layers, heads)


def place_in_words(places: Iterable[ModelPlace], meta: TraceMeta) -> str:
    """Return which layers and heads of a model some panels are of; "" if that is not known.

    Keys and values are of all heads that read them, unless other panels tell which of these.
    """
    places = list(places)
    layers = {layer for place in places for layer in place.layers}
    heads = {head for place in places if place.kind == HEAD for head in place.heads}
    kv_heads = {n for place in places if place.kind == KV_HEAD for n in place.heads}
    each = meta.n_heads // meta.n_kv_heads
    if kv_heads - {head // each for head in heads}:
        heads |= {head for head in range(meta.n_heads) if head // each in kv_heads}
    if not layers:
        return ""
    single = {(p.layers[0], p.heads[0]) for p in places if len(p.layers) == len(p.heads) == 1}
    if 1 < len(layers) == len(single) <= MAX_NAMED and not kv_heads:
        return one_by_one(HEAD, single)
    number, count = min(layers), meta.n_heads
    if len(layers) == 1 and len(heads) == 1:
        return _("layer {layer}, head {head}", layer=number, head=min(heads))
    if len(layers) == 1 and len(heads) == count:
        return _("layer {layer}, all {count} heads", layer=number, count=count)
    everywhere = len(layers) == meta.n_layers > 1
    return both(
        _("all layers") if everywhere else numbered(LAYER, layers),
        (_("all heads") if len(heads) == count else numbered(HEAD, heads)) if heads else "",
    )


def origin_notes(meta: TraceMeta) -> list[str]:
    """Return what has to be said of where a trace's numbers come from, besides its model's name."""
    notes = []
    if meta.source.kind == "imported":
        notes.append(_("imported"))
    elif meta.published is not None:
        precision = format_exact(meta.published.precision)
        notes.append(_("published values, within {precision}", precision=precision))
    if meta.random_weights:
        notes.append(_("random weights"))
    return notes
