"""Alt texts: describe a picture in plain sentences for people who cannot see it.

The description is made from the picture map (:mod:`filmkit.core.picture_map`). All panels that show
the same kind of tensor share one sentence. Texts in the picture are quoted as far as there is room.

All sentences are in the language in use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from colorsys import rgb_to_hsv
from dataclasses import dataclass, replace
from typing import Any

from filmkit.core.fonts import is_east_asian
from filmkit.core.language import N_, _, current_language, ngettext
from filmkit.core.model_places import (
    HEAD,
    KV_HEAD,
    LAYER,
    MAX_NAMED,
    ModelPlace,
    both,
    counted,
    numbered,
    one_by_one,
)
from filmkit.core.norm import SCALE, has_name
from filmkit.core.numbers import format_count, format_exact, listed
from filmkit.core.quantities import QUANTITIES
from filmkit.words.arrangement import FAINT, arrangement, faint_parts, own_texts, semicolons

__all__ = ["MAX_LENGTH", "alt_text"]

MAX_LENGTH = 600
"""Maximum length of an alt text, in characters."""

MIN_QUOTE_ROOM = 40  # with fewer characters left, no texts are quoted
MORE = N_("And more.")  # replaces the sentences that do not fit


WORD, COLUMN = "word", "column"
UNITS = {
    "pos": WORD,
    "query_pos": WORD,
    "key_pos": WORD,
    "n_heads": HEAD,
    "n_kv_heads": KV_HEAD,
    "unit": KV_HEAD,
}
"""What one index of an axis of a quantity is; on any other axis it is a column."""


@dataclass(frozen=True)
class TensorKind:
    """How alt texts name a tensor of the trace, its axes and its heads.

    Attributes
    ----------
    name
        Name of the tensor, in English.
    head_axis
        Index of the axis that counts heads; None if the tensor has no heads.
    heads
        What one index of that axis is: a head or a key/value head.
    rows, columns
        What a row and a column of a panel are.
    """

    name: str
    head_axis: int | None = 1
    heads: str = HEAD
    rows: str = WORD
    columns: str = COLUMN

    def axes(self, count: int) -> list[str]:
        """Return what one index of each of the tensor's axes is."""
        names = [self.rows] * (count - 1) + [self.columns]
        if self.head_axis is not None:
            names[self.head_axis] = self.heads
        return names


TENSOR_KINDS = {
    "x": TensorKind(N_("input X"), None),
    "q": TensorKind(N_("queries")),
    "q_norm": TensorKind(N_("normalised queries")),
    "q_rot": TensorKind(N_("rotated queries")),
    "k": TensorKind(N_("keys"), heads=KV_HEAD),
    "k_norm": TensorKind(N_("normalised keys"), heads=KV_HEAD),
    "k_rot": TensorKind(N_("rotated keys"), heads=KV_HEAD),
    "v": TensorKind(N_("values"), heads=KV_HEAD),
    "pattern": TensorKind(N_("attention pattern"), 0, columns=WORD),
    "z": TensorKind(N_("mix of values Z")),
    "out": TensorKind(N_("output of attention"), None),
    "W_Q": TensorKind(N_("weights W_Q"), rows=COLUMN),
    "W_K": TensorKind(N_("weights W_K"), heads=KV_HEAD, rows=COLUMN),
    "W_V": TensorKind(N_("weights W_V"), heads=KV_HEAD, rows=COLUMN),
    "kv_latent": TensorKind(N_("latent"), None),
    "k_rope": TensorKind(N_("rotated key part of all heads"), None),
}

GREYISH = 0.25  # colours with a lower saturation have no hue
HUES = {
    0: N_("red"),
    16: N_("coral"),
    47: N_("yellow"),
    90: N_("green"),
    185: N_("cyan"),
    220: N_("blue"),
    272: N_("violet"),
    360: N_("red"),
}
"""Hues in degrees, each with its name."""

PLACE = "\0"  # stands in a panel's name where its layers and heads are said

# Only texts with a word are quoted: numbers on axes and single letters mean nothing by themselves,
# and a formula cannot be understood when a screen reader reads it aloud.
LETTERS = re.compile(r"[^\W\d_]{2}")
FORMULA = re.compile(r"[\^=]$|\^\(|[a-z]_|sqrt|\bdot\b")

# Symbols in a picture's texts are in Typst's notation: what to read instead.
NOTATION = (
    (re.compile(r"\^top"), lambda match: _(" transposed")),
    (re.compile(r"_\(([^)]*)\)"), lambda match: "_" + match[1].replace(" ", "")),
    (re.compile(r"\\/"), lambda match: "/"),
    (re.compile(r" times "), lambda match: " × "),
)


@dataclass(frozen=True)
class _Panel:
    """What an alt text says about a panel.

    Attributes
    ----------
    name
        What it shows, with :data:`PLACE` where layers and heads are said.
    plain_name
        The same without a place for them.
    place
        Its layers and heads, as far as they are known.
    spans
        The panel's cells [start, stop) in rows and in columns.
    units
        What a row and a column are; None: they are cells.
    scale
        Smallest and largest value of the colour scale.
    colours
        Names of its first and last colour; "" if its colour map has a name itself.
    """

    name: str
    plain_name: str
    place: ModelPlace
    spans: tuple[tuple[int, int], tuple[int, int]]
    units: tuple[str, str] | None
    scale: tuple[float, float]
    colours: tuple[str, str]


def alt_text(document: Mapping[str, Any], title: str = "") -> str:
    """Return a description of a picture, at most `MAX_LENGTH` characters long.

    Parameters
    ----------
    document
        The picture map.
    title
        Title of the picture, which becomes the first sentence; "" for none.
    """
    entries = [entry for entry in document["panels"] if entry["quantity"] != SCALE]
    called = _called(document)
    strong = _groups((entry for entry in entries if entry["opacity"] >= FAINT), called)
    faint = _groups((entry for entry in entries if entry["opacity"] < FAINT), called)
    panels = [panel for group in (*strong, *faint) for panel in group]
    layers = {panel.place.layers for panel in panels if panel.place.layers}
    with_layers = len(layers) > 1
    sentences = [_("{title}.", title=title)] if title else []
    maps = sorted({entry["cmap"] for entry in entries if has_name(entry["cmap"])})
    colours = listed(maps) if maps else ""
    where = _layers(panels) if len(layers) == 1 else ""
    if not entries:
        sentences.append(_("A drawing without heatmaps."))
    elif where and colours:
        sentences.append(_("Heatmaps of {where} in {colours}.", where=where, colours=colours))
    elif where:
        sentences.append(_("Heatmaps of {where}.", where=where))
    elif colours:
        sentences.append(_("Heatmaps in {colours}.", colours=colours))
    else:
        sentences.append(_("Heatmaps."))
    sentences += arrangement(document, called)
    sentences += [_sentence(group, with_layers=with_layers) for group in strong]
    pale = [group[0].plain_name for group in faint]
    if document["mosaic"]:
        faint_names = {
            *faint_parts(document),
            *(e["part"] for e in entries if e["opacity"] < FAINT),
        }
        pale = [text for name, text in called.items() if name in faint_names]
    if pale:
        sentences.append(_("Faint: {names}.", names=semicolons(pale)))
    text = _fitted([_capitalised(sentence) for sentence in sentences])
    return _with_quotes(text, _unsaid(document))


def _called(document: Mapping[str, Any]) -> dict[str, str]:
    """Return what the parts of a mosaic are called, by their names in it; none without a mosaic.

    Matrices have a name in the picture, or that of what they show; other parts are what they say.
    """
    if document["mosaic"] is None:
        return {}
    panels = {panel["part"]: _panel(panel) for panel in document["panels"]}
    texts = own_texts(document)
    names = {}
    for part in document["mosaic"]["parts"]:
        name, text = part["name"], _without_notation(part["words"])
        if not text and name in panels:
            text = panels[name].plain_name
        if not text:
            said = _without_notation(texts.get(name, ""))
            text = _("“{text}”", text=said) if said else _("drawing “{name}”", name=name)
        names[name] = text
    counts = Counter(names.values())
    for name, text in names.items():
        # The same matrix of several heads.
        if name in panels and counts[text] > 1:
            where = _where([panels[name]], with_layers=True)
            names[name] = _("{name}{place}", name=text, place=_(" of {where}", where=where))
    return names


def _unsaid(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the texts of a picture that are not said of the parts of its mosaic yet."""
    if document["mosaic"] is None:
        return list(document["texts"])
    names = {part["name"]: part["words"] for part in document["mosaic"]["parts"]}
    said = own_texts(document)
    return [
        text
        for text in document["texts"]
        if text["part"] not in said and text["text"] not in names.get(text["part"], "")
    ]


def _groups(entries: Iterable[Mapping[str, Any]], called: Mapping[str, str]) -> list[list[_Panel]]:
    """Group the panels of a picture map by name, in order of appearance.

    One whose numbers come from nowhere has the name of its part.
    """
    groups: dict[str, list[_Panel]] = {}
    for entry in entries:
        panel = _panel(entry)
        if called and not panel.name:
            name = called.get(entry["part"], "")
            panel = replace(panel, name=name, plain_name=name)
        groups.setdefault(panel.name, []).append(panel)
    return list(groups.values())


def _panel(entry: Mapping[str, Any]) -> _Panel:
    """Read a panel from its entry in the picture map."""
    index, (rows, columns) = entry["index"], entry["shape"]
    spans = [(axis[0], axis[1]) for axis in index if not isinstance(axis, int)]
    known, place = QUANTITIES.get(entry["quantity"]), ModelPlace()
    base, _dot, layer = (entry["tensor"] or "").rpartition(".")
    kind = TENSOR_KINDS.get(base)
    names, axes = (entry["tensor"] or entry["expression"],) * 2, list[str]()
    if kind is not None:
        axes = kind.axes(len(index))
        head = None if kind.head_axis is None else index[kind.head_axis]
        place = ModelPlace((int(layer),), (head,) if isinstance(head, int) else (), kind.heads)
        name = _(kind.name)
        if entry["transposed"]:
            name = _("transposed {name}", name=name)
        names = _("{name}{place}", name=name, place=PLACE), name
    elif known is not None:
        axes = [UNITS.get(axis, COLUMN) for axis in entry["axes"]]
        place = ModelPlace.given(entry["given"])
        turned = entry["transposed"]
        names = known.words(PLACE, transposed=turned), known.words(transposed=turned)
    units = [name for axis, name in zip(index, axes, strict=False) if not isinstance(axis, int)]
    if len(spans) != 2:
        spans = [(0, rows), (0, columns)]
    elif entry["transposed"]:
        spans, units = spans[::-1], units[::-1]
    return _Panel(
        *names,
        place,
        (spans[0], spans[1]),
        (units[0], units[1]) if len(units) == 2 else None,
        (entry["vmin"], entry["vmax"]),
        _ends(entry["cmap"]),
    )


def _ends(cmap: str) -> tuple[str, str]:
    """Return the names of the first and the last colour of a colour map without a name."""
    if has_name(cmap):
        return "", ""
    first, *_between, last = cmap.split("/")
    return _colour_name(first), _colour_name(last)


def _colour_name(colour: str) -> str:
    """Return what "#RRGGBB" is called."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, saturation, value = rgb_to_hsv(red, green, blue)
    if saturation < GREYISH:
        return _("black") if value < 0.2 else _("white") if value > 0.85 else _("grey")
    return _(HUES[min(HUES, key=lambda known: abs(known - 360 * hue))])


def _sentence(group: Sequence[_Panel], *, with_layers: bool) -> str:
    """Return a sentence about the panels of one name: what, how many, how large, which scale."""
    where = _where(group, with_layers=with_layers)
    name = group[0].plain_name
    if where:
        name = group[0].name.replace(PLACE, _(" of {where}", where=where))
    # Panels that show parts of one matrix are counted as one.
    matrices: dict[Any, list[_Panel]] = {}
    for i, panel in enumerate(group):
        matrix = panel.place if panel.units else i
        matrices.setdefault(matrix, []).append(panel)
    count = sum(max(Counter(p.spans for p in panels).values()) for panels in matrices.values())
    sizes = list(dict.fromkeys(_size(panels) for panels in matrices.values()))
    scales = {panel.scale for panel in group}
    low, high = map(_number, min(scales))
    scale = _("each on its own scale")
    if len(scales) == 1:
        scale = _("{low} to {high}", low=low, high=high)
    first, last = group[0].colours
    if first:
        scale = _("{scale}, {first} to {last}", scale=scale, first=first, last=last)
    if count == 1:
        return _("{name}: {size}, {scale}.", name=name, size=sizes[0], scale=scale)
    if len(sizes) == 1:
        return ngettext(
            "{name}: {number} panel, each {size}, {scale}.",
            "{name}: {number} panels, each {size}, {scale}.",
            count,
            name=name,
            size=sizes[0],
            scale=scale,
        )
    return ngettext(
        "{name}: {number} panel, {sizes}, {scale}.",
        "{name}: {number} panels, {sizes}, {scale}.",
        count,
        name=name,
        sizes=listed(sizes),
        scale=scale,
    )


def _where(group: Sequence[_Panel], *, with_layers: bool) -> str:
    """Return the layers and heads of panels, such as "layers 0 to 4, head 2"."""
    places, kind = {panel.place for panel in group}, group[0].place.kind
    numbers = {head for place in places for head in place.heads}
    layers = {layer for place in places for layer in place.layers}
    single = {(p.layers[0], p.heads[0]) for p in places if len(p.layers) == len(p.heads) == 1}
    if len({layer for layer, _head in single}) > 1 and len(single) <= MAX_NAMED:
        return one_by_one(kind, single)
    return both(
        numbered(LAYER, layers) if layers and with_layers else "",
        numbered(kind, numbers) if numbers else "",
    )


def _layers(panels: Iterable[_Panel]) -> str:
    return numbered(LAYER, {layer for panel in panels for layer in panel.place.layers})


def _size(panels: Sequence[_Panel]) -> str:
    """Return the size of the matrix that some panels show together."""
    units = panels[0].units
    if units is None:
        rows, columns = (format_count(stop - start) for start, stop in panels[0].spans)
        return _("{rows} by {columns} cells", rows=rows, columns=columns)
    rows, columns = (
        _extent([panel.spans[axis] for panel in panels], units[axis]) for axis in (0, 1)
    )
    return _("{rows} by {columns}", rows=rows, columns=columns)


def _extent(spans: Sequence[tuple[int, int]], unit: str) -> str:
    """Return the length of an axis, and how much of it is drawn where that is not all."""
    drawn = {i for start, stop in spans for i in range(start, stop)}
    count = max(drawn) - min(drawn) + 1
    length = _counted(unit, count)
    if len(drawn) == count:
        return length
    return ngettext(
        "{length} ({number} drawn)", "{length} ({number} drawn)", len(drawn), length=length
    )


def _counted(unit: str, number: int) -> str:
    """Return a number of what one index of an axis is."""
    match unit:
        case "word":
            return ngettext("{number} word", "{number} words", number)
        case "column":
            return ngettext("{number} column", "{number} columns", number)
    return counted(unit, number)


def _number(value: float) -> str:
    """Return a number with up to three significant digits."""
    return format_exact(float(f"{value:.3g}"))


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _joined(sentences: Iterable[str]) -> str:
    return current_language().space.join(sentences)


def _fitted(sentences: Sequence[str]) -> str:
    """Join as many sentences as fit; end with :data:`MORE` if some are left out."""
    text = _joined(sentences)
    fitting = list(sentences)
    while len(text) > MAX_LENGTH:
        fitting.pop()
        text = _joined([*fitting, _(MORE)])
    return text


def _with_quotes(text: str, texts: Iterable[Mapping[str, Any]]) -> str:
    """Append the texts in the picture, each once and without formulas, as far as they fit."""

    def with_words(words: str) -> str:
        return _joined([text, _("Words: {words}.", words=words)])

    quoted = ""
    for quote in dict.fromkeys(_without_notation(entry["text"]) for entry in texts):
        if not (LETTERS.search(quote) or is_east_asian(quote)) or FORMULA.search(quote):
            continue
        longer = semicolons([quoted, quote]) if quoted else quote
        if len(with_words(longer)) > MAX_LENGTH:
            break
        quoted = longer
    room = MAX_LENGTH - len(with_words(""))
    return with_words(quoted) if quoted and room >= MIN_QUOTE_ROOM else text


def _without_notation(text: str) -> str:
    """Replace Typst's notation in a text by words that can be read aloud."""
    for notation, words in NOTATION:
        text = notation.sub(words, text)
    return " ".join(text.split())
