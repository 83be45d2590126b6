"""What a picture shows, in plain sentences, for those who cannot see it.

Everything is read from the picture's map (:mod:`filmkit.core.picture_map`): panels of one kind
share a sentence, however many they are, and what stands on the picture is quoted as far as there
is room.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from filmkit.core.numbers import format_number

__all__ = ["LONGEST", "alt_text"]

LONGEST = 600
"""Characters of an alt text, at most."""

FAINT = 0.5  # opacity below which a panel is background
FEW = 3  # heads of several layers that are named one by one
ROOM = 40  # characters in which something can be quoted
MORE = "And more."


@dataclass(frozen=True)
class Kind:
    """A tensor of the trace as people call it, and what its rows and columns are.

    ``head_axis`` is the one that counts ``heads``, if there is one.
    """

    name: str
    head_axis: int | None = 1
    heads: str = "head"
    rows: str = "words"
    columns: str = "columns"


PAIR = "key/value head"
KINDS = {
    "x": Kind("input X", None),
    "q": Kind("queries"),
    "q_rot": Kind("rotated queries"),
    "k": Kind("keys", heads=PAIR),
    "k_rot": Kind("rotated keys", heads=PAIR),
    "v": Kind("values", heads=PAIR),
    "pattern": Kind("attention pattern", 0, columns="words"),
    "z": Kind("mix of values Z"),
    "out": Kind("output of attention", None),
    "kv_latent": Kind("latent", None),
    "k_rope": Kind("rotated key part of all heads", None),
}

PLACE = "{}"  # in a name, where layers and heads are told
SCALE = re.compile(r"colour scale\b")
OF_HEAD = re.compile(r" of head (\d+)")
OF_LAYERS = re.compile(r" of layers (\d+) to (\d+)")

# Figures of axes and single letters say nothing by themselves, and no one can listen to a formula.
WORD = re.compile(r"[^\W\d_]{2}")
FORMULA = re.compile(r"[\^=]$|\^\(|[a-z]_|sqrt|\bdot\b")

# Symbols are in Typst's notation.
NOTATION = (
    (re.compile(r"\^top"), " transposed"),
    (re.compile(r"_\(([^)]*)\)"), lambda found: "_" + found[1].replace(" ", "")),
    (re.compile(r"\\/"), "/"),
    (re.compile(r" times "), " × "),
)


@dataclass(frozen=True)
class _Panel:
    """A panel as it is told.

    ``layers`` are the first and the last of them; ``spans`` are the cells [start, stop) of its
    rows and columns, and ``units`` what they are, each as a plural with "s".
    """

    name: str
    layers: tuple[int, int] | None
    head: int | None
    heads: str
    spans: tuple[tuple[int, int], tuple[int, int]]
    units: tuple[str, str] | None
    scale: tuple[float, float]


def alt_text(document: Mapping[str, Any], title: str = "") -> str:
    """Say what a picture shows, in at most `LONGEST` characters.

    Parameters
    ----------
    document
        The picture's map.
    title
        What the picture is about, to begin with.
    """
    entries = [e for e in document["panels"] if not SCALE.match(e["expression"] or "")]
    strong = _groups(entry for entry in entries if entry["opacity"] >= FAINT)
    faint = _groups(entry for entry in entries if entry["opacity"] < FAINT)
    panels = [panel for group in (*strong, *faint) for panel in group]
    layers = {panel.layers for panel in panels if panel.layers}
    said = [f"{title}."] if title else []
    if entries:
        where = f" of {_layers(panels)}" if len(layers) == 1 else ""
        colours = _listed(sorted({entry["cmap"] for entry in entries}))
        said.append(f"Heatmaps{where} in {colours}.")
    else:
        said.append("A drawing without heatmaps.")
    said += [_sentence(group, with_layers=len(layers) > 1) for group in strong]
    if faint:
        said.append(f"Faint: {'; '.join(group[0].name.replace(PLACE, '') for group in faint)}.")
    return _with_quotes(_fitted([_capital(sentence) for sentence in said]), document["texts"])


def _groups(entries: Iterable[Mapping[str, Any]]) -> list[list[_Panel]]:
    groups: dict[str, list[_Panel]] = {}
    for entry in entries:
        panel = _read(entry)
        groups.setdefault(panel.name, []).append(panel)
    return list(groups.values())


def _read(entry: Mapping[str, Any]) -> _Panel:
    index = entry["index"]
    spans = [(axis[0], axis[1]) for axis in index if not isinstance(axis, int)]
    rows, columns = entry["shape"]
    scale = (entry["vmin"], entry["vmax"])
    base, _, layer = (entry["tensor"] or "").rpartition(".")
    kind = KINDS.get(base)
    if kind is None or len(spans) != 2:
        name = entry["tensor"] or entry["expression"]
        head, within = OF_HEAD.search(name), OF_LAYERS.search(name)
        return _Panel(
            OF_HEAD.sub(PLACE, OF_LAYERS.sub(PLACE, name)),
            (int(within[1]), int(within[2])) if within else None,
            int(head[1]) if head else None,
            "head",
            ((0, rows), (0, columns)),
            None,
            scale,
        )
    units = (kind.rows, kind.columns)
    if entry["transposed"]:
        spans, units = spans[::-1], units[::-1]
    return _Panel(
        f"transposed {kind.name}{PLACE}" if entry["transposed"] else f"{kind.name}{PLACE}",
        (int(layer), int(layer)),
        None if kind.head_axis is None else index[kind.head_axis],
        kind.heads,
        (spans[0], spans[1]),
        units,
        scale,
    )


def _sentence(group: Sequence[_Panel], *, with_layers: bool) -> str:
    """What the panels of one kind are, how large, and from which value to which."""
    where = _where(group, with_layers=with_layers)
    parts = [group[0].name.replace(PLACE, f" of {where}" if where else "")]
    # Pieces of one matrix are told as one.
    matrices: dict[Any, list[_Panel]] = {}
    for i, panel in enumerate(group):
        whole = (panel.layers, panel.head) if panel.units else i
        matrices.setdefault(whole, []).append(panel)
    count = sum(max(Counter(p.spans for p in pieces).values()) for pieces in matrices.values())
    sizes = list(dict.fromkeys(_size(pieces) for pieces in matrices.values()))
    if count > 1:
        parts.append(f": {count} panels, {'each ' if len(sizes) == 1 else ''}{_listed(sizes)}")
    else:
        parts.append(f": {sizes[0]}")
    scales = {panel.scale for panel in group}
    low, high = map(_number, min(scales))
    parts.append(f", {low} to {high}." if len(scales) == 1 else ", each on its own scale.")
    return "".join(parts)


def _where(group: Sequence[_Panel], *, with_layers: bool) -> str:
    heads = group[0].heads
    known = group[0].layers is not None
    places = sorted({(p.layers[0], p.head) for p in group if p.layers and p.head is not None})
    if len({layer for layer, _ in places}) > 1 and len(places) <= FEW:
        return _listed([f"layer {layer}, {heads} {head}" for layer, head in places])
    parts = [_layers(group)] if known and with_layers else []
    if numbers := {panel.head for panel in group if panel.head is not None}:
        parts.append(_numbered(heads, numbers))
    return ", ".join(parts)


def _layers(panels: Sequence[_Panel]) -> str:
    ends = [panel.layers for panel in panels if panel.layers]
    return _numbered("layer", {n for first, last in ends for n in range(first, last + 1)})


def _numbered(what: str, numbers: set[int]) -> str:
    """Such as "layer 3", "heads 0 to 8" or "heads 1, 4 and 5"."""
    first, last = min(numbers), max(numbers)
    if first == last:
        return f"{what} {first}"
    if len(numbers) == last - first + 1 and len(numbers) > 2:
        return f"{what}s {first} to {last}"
    return f"{what}s {_listed([str(number) for number in sorted(numbers)])}"


def _size(pieces: Sequence[_Panel]) -> str:
    units = pieces[0].units
    if units is None:
        rows, columns = (stop for _, stop in pieces[0].spans)
        return f"{rows} by {columns} cells"
    return " by ".join(
        _extent([piece.spans[axis] for piece in pieces], units[axis]) for axis in (0, 1)
    )


def _extent(spans: Sequence[tuple[int, int]], unit: str) -> str:
    drawn = {i for start, stop in spans for i in range(start, stop)}
    count = max(drawn) - min(drawn) + 1
    some = f" ({len(drawn)} drawn)" if len(drawn) < count else ""
    return f"{count} {unit if count > 1 else unit[:-1]}{some}"


def _number(value: float) -> str:
    text = format_number(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), parts[-1]])


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _fitted(sentences: Sequence[str]) -> str:
    """As many sentences as fit; what is left out is not passed over in silence."""
    text = " ".join(sentences)
    kept = list(sentences)
    while len(text) > LONGEST:
        kept.pop()
        text = " ".join([*kept, MORE])
    return text


def _with_quotes(text: str, texts: Iterable[Mapping[str, Any]]) -> str:
    quoted = ""
    room = LONGEST - len(text) - len(" Words: .")
    for said in dict.fromkeys(_spoken(entry["text"]) for entry in texts):
        if not WORD.search(said) or FORMULA.search(said):
            continue
        longer = f"{quoted}; {said}" if quoted else said
        if len(longer) > room:
            break
        quoted = longer
    return f"{text} Words: {quoted}." if quoted and room >= ROOM else text


def _spoken(text: str) -> str:
    for notation, words in NOTATION:
        text = notation.sub(words, text)
    return " ".join(text.split())
