"""Alt texts: describe a picture in plain sentences for people who cannot see it.

The description is made from the picture map (:mod:`filmkit.core.picture_map`). All panels that show
the same kind of tensor share one sentence. Texts in the picture are quoted as far as there is room.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from filmkit.core.numbers import format_number

__all__ = ["MAX_LENGTH", "alt_text"]

MAX_LENGTH = 600
"""Maximum length of an alt text, in characters."""

FAINT = 0.5  # panels with a lower opacity count as background
MAX_NAMED_HEADS = 3  # up to so many heads of different layers are named one by one
MIN_QUOTE_ROOM = 40  # with fewer characters left, no texts are quoted
MORE = "And more."  # replaces the sentences that do not fit


@dataclass(frozen=True)
class TensorKind:
    """How alt texts name a tensor of the trace, its axes and its heads.

    Attributes
    ----------
    name
        Name of the tensor.
    head_axis
        Index of the axis that counts heads; None if the tensor has no heads.
    heads
        What one index of that axis is called.
    rows, columns
        What the rows and the columns of a panel are called.
    """

    name: str
    head_axis: int | None = 1
    heads: str = "head"
    rows: str = "words"
    columns: str = "columns"

    def axes(self, count: int) -> list[str]:
        """Return what the indices of each of the tensor's axes are called, plurals in "s"."""
        names = [self.rows] * (count - 1) + [self.columns]
        if self.head_axis is not None:
            names[self.head_axis] = f"{self.heads}s"
        return names


KV_HEAD = "key/value head"
TENSOR_KINDS = {
    "x": TensorKind("input X", None),
    "q": TensorKind("queries"),
    "q_norm": TensorKind("normalised queries"),
    "q_rot": TensorKind("rotated queries"),
    "k": TensorKind("keys", heads=KV_HEAD),
    "k_norm": TensorKind("normalised keys", heads=KV_HEAD),
    "k_rot": TensorKind("rotated keys", heads=KV_HEAD),
    "v": TensorKind("values", heads=KV_HEAD),
    "pattern": TensorKind("attention pattern", 0, columns="words"),
    "z": TensorKind("mix of values Z"),
    "out": TensorKind("output of attention", None),
    "kv_latent": TensorKind("latent", None),
    "k_rope": TensorKind("rotated key part of all heads", None),
}

PLACE = "{}"  # placeholder in a panel's name for its layers and heads
SCALE = re.compile(r"colour scale\b")
OF_HEAD = re.compile(r" of head (\d+)")
OF_LAYERS = re.compile(r" of layers (\d+) to (\d+)")

# Only texts with a word are quoted: numbers on axes and single letters mean nothing by themselves,
# and a formula cannot be understood when a screen reader reads it aloud.
WORD = re.compile(r"[^\W\d_]{2}")
FORMULA = re.compile(r"[\^=]$|\^\(|[a-z]_|sqrt|\bdot\b")

# Symbols in a picture's texts are in Typst's notation: what to read instead.
NOTATION = (
    (re.compile(r"\^top"), " transposed"),
    (re.compile(r"_\(([^)]*)\)"), lambda match: "_" + match[1].replace(" ", "")),
    (re.compile(r"\\/"), "/"),
    (re.compile(r" times "), " × "),
)


@dataclass(frozen=True)
class _Panel:
    """What an alt text says about a panel.

    Attributes
    ----------
    name
        Name of the tensor, with :data:`PLACE` where layers and heads are inserted.
    layers
        First and last layer, if known.
    head
        Index of the head, if the panel shows only one.
    heads
        What a head is called: "head" or "key/value head".
    spans
        The panel's cells [start, stop) in rows and in columns.
    units
        What rows and columns are called, each a plural that ends in "s"; None: they are cells.
    scale
        Smallest and largest value of the colour scale.
    """

    name: str
    layers: tuple[int, int] | None
    head: int | None
    heads: str
    spans: tuple[tuple[int, int], tuple[int, int]]
    units: tuple[str, str] | None
    scale: tuple[float, float]


def alt_text(document: Mapping[str, Any], title: str = "") -> str:
    """Return a description of a picture, at most `MAX_LENGTH` characters long.

    Parameters
    ----------
    document
        The picture map.
    title
        Title of the picture, which becomes the first sentence; "" for none.
    """
    entries = [e for e in document["panels"] if not SCALE.match(e["expression"] or "")]
    strong = _groups(entry for entry in entries if entry["opacity"] >= FAINT)
    faint = _groups(entry for entry in entries if entry["opacity"] < FAINT)
    panels = [panel for group in (*strong, *faint) for panel in group]
    layers = {panel.layers for panel in panels if panel.layers}
    sentences = [f"{title}."] if title else []
    if entries:
        where = f" of {_layers(panels)}" if len(layers) == 1 else ""
        colours = _listed(sorted({entry["cmap"] for entry in entries}))
        sentences.append(f"Heatmaps{where} in {colours}.")
    else:
        sentences.append("A drawing without heatmaps.")
    sentences += [_sentence(group, with_layers=len(layers) > 1) for group in strong]
    if faint:
        names = "; ".join(group[0].name.replace(PLACE, "") for group in faint)
        sentences.append(f"Faint: {names}.")
    text = _fitted([_capitalised(sentence) for sentence in sentences])
    return _with_quotes(text, document["texts"])


def _groups(entries: Iterable[Mapping[str, Any]]) -> list[list[_Panel]]:
    """Group the panels of a picture map by name, in order of appearance."""
    groups: dict[str, list[_Panel]] = {}
    for entry in entries:
        panel = _panel(entry)
        groups.setdefault(panel.name, []).append(panel)
    return list(groups.values())


def _panel(entry: Mapping[str, Any]) -> _Panel:
    """Read a panel from its entry in the picture map."""
    index = entry["index"]
    spans = [(axis[0], axis[1]) for axis in index if not isinstance(axis, int)]
    rows, columns = entry["shape"]
    scale = (entry["vmin"], entry["vmax"])
    base, _, layer = (entry["tensor"] or "").rpartition(".")
    kind = TENSOR_KINDS.get(base)
    if kind is None or len(spans) != 2:
        name = entry["tensor"] or entry["expression"]
        head, layers = OF_HEAD.search(name), OF_LAYERS.search(name)
        return _Panel(
            OF_HEAD.sub(PLACE, OF_LAYERS.sub(PLACE, name)),
            (int(layers[1]), int(layers[2])) if layers else None,
            int(head[1]) if head else None,
            "head",
            ((0, rows), (0, columns)),
            None,
            scale,
        )
    axes = zip(index, kind.axes(len(index)), strict=True)
    first, second = (name for axis, name in axes if not isinstance(axis, int))
    units = (first, second)
    head = None if kind.head_axis is None else index[kind.head_axis]
    if entry["transposed"]:
        spans, units = spans[::-1], units[::-1]
    return _Panel(
        f"transposed {kind.name}{PLACE}" if entry["transposed"] else f"{kind.name}{PLACE}",
        (int(layer), int(layer)),
        head if isinstance(head, int) else None,
        kind.heads,
        (spans[0], spans[1]),
        units,
        scale,
    )


def _sentence(group: Sequence[_Panel], *, with_layers: bool) -> str:
    """Return a sentence about the panels of one name: what, how many, how large, which scale."""
    where = _where(group, with_layers=with_layers)
    parts = [group[0].name.replace(PLACE, f" of {where}" if where else "")]
    # Panels that show parts of one matrix are counted as one.
    matrices: dict[Any, list[_Panel]] = {}
    for i, panel in enumerate(group):
        matrix = (panel.layers, panel.head) if panel.units else i
        matrices.setdefault(matrix, []).append(panel)
    count = sum(max(Counter(p.spans for p in panels).values()) for panels in matrices.values())
    sizes = list(dict.fromkeys(_size(panels) for panels in matrices.values()))
    if count > 1:
        parts.append(f": {count} panels, {'each ' if len(sizes) == 1 else ''}{_listed(sizes)}")
    else:
        parts.append(f": {sizes[0]}")
    scales = {panel.scale for panel in group}
    low, high = map(_number, min(scales))
    parts.append(f", {low} to {high}." if len(scales) == 1 else ", each on its own scale.")
    return "".join(parts)


def _where(group: Sequence[_Panel], *, with_layers: bool) -> str:
    """Return the layers and heads of panels, such as "layers 0 to 4, head 2"."""
    heads = group[0].heads
    known = group[0].layers is not None
    places = sorted({(p.layers[0], p.head) for p in group if p.layers and p.head is not None})
    if len({layer for layer, _ in places}) > 1 and len(places) <= MAX_NAMED_HEADS:
        return _listed([f"layer {layer}, {heads} {head}" for layer, head in places])
    parts = [_layers(group)] if known and with_layers else []
    if numbers := {panel.head for panel in group if panel.head is not None}:
        parts.append(_numbered(heads, numbers))
    return ", ".join(parts)


def _layers(panels: Sequence[_Panel]) -> str:
    ends = [panel.layers for panel in panels if panel.layers]
    return _numbered("layer", {n for first, last in ends for n in range(first, last + 1)})


def _numbered(noun: str, numbers: set[int]) -> str:
    """Return a noun with its numbers, such as "layer 3", "heads 0 to 8" or "heads 1, 4 and 5"."""
    first, last = min(numbers), max(numbers)
    if first == last:
        return f"{noun} {first}"
    if len(numbers) == last - first + 1 and len(numbers) > 2:
        return f"{noun}s {first} to {last}"
    return f"{noun}s {_listed([str(number) for number in sorted(numbers)])}"


def _size(panels: Sequence[_Panel]) -> str:
    """Return the size of the matrix that some panels show together."""
    units = panels[0].units
    if units is None:
        rows, columns = (stop for _, stop in panels[0].spans)
        return f"{rows} by {columns} cells"
    return " by ".join(
        _extent([panel.spans[axis] for panel in panels], units[axis]) for axis in (0, 1)
    )


def _extent(spans: Sequence[tuple[int, int]], unit: str) -> str:
    """Return the length of an axis, and how much of it is drawn where that is not all."""
    drawn = {i for start, stop in spans for i in range(start, stop)}
    count = max(drawn) - min(drawn) + 1
    note = f" ({len(drawn)} drawn)" if len(drawn) < count else ""
    return f"{count} {unit if count > 1 else unit[:-1]}{note}"


def _number(value: float) -> str:
    text = format_number(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _listed(parts: Sequence[str]) -> str:
    """Join parts as in "a, b and c"."""
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), parts[-1]])


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _fitted(sentences: Sequence[str]) -> str:
    """Join as many sentences as fit; end with :data:`MORE` if some are left out."""
    text = " ".join(sentences)
    fitting = list(sentences)
    while len(text) > MAX_LENGTH:
        fitting.pop()
        text = " ".join([*fitting, MORE])
    return text


def _with_quotes(text: str, texts: Iterable[Mapping[str, Any]]) -> str:
    """Append the texts in the picture, each once and without formulas, as far as they fit."""
    quoted = ""
    room = MAX_LENGTH - len(text) - len(" Words: .")
    for quote in dict.fromkeys(_without_notation(entry["text"]) for entry in texts):
        if not WORD.search(quote) or FORMULA.search(quote):
            continue
        longer = f"{quoted}; {quote}" if quoted else quote
        if len(longer) > room:
            break
        quoted = longer
    return f"{text} Words: {quoted}." if quoted and room >= MIN_QUOTE_ROOM else text


def _without_notation(text: str) -> str:
    """Replace Typst's notation in a text by words that can be read aloud."""
    for notation, words in NOTATION:
        text = notation.sub(words, text)
    return " ".join(text.split())
