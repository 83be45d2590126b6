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
    counted,
    numbered,
    one_by_one,
)
from filmkit.core.norm import SCALE, has_name
from filmkit.core.numbers import format_count, format_exact, listed
from filmkit.core.quantities import KINDS, POSITIONS, QUANTITIES, NamedNumbers, in_words
from filmkit.words.arrangement import FAINT, arrangement, own_texts, semicolons

__all__ = ["MAX_LENGTH", "alt_text"]

MAX_LENGTH = 600
"""Maximum length of an alt text, in characters."""

MIN_QUOTE_ROOM = 40  # with fewer characters left, no texts are quoted
MORE = N_("And more.")  # replaces the sentences that do not fit


WORD, COLUMN = "word", "column"
UNITS = {**dict.fromkeys(POSITIONS, WORD), **KINDS, "unit": KV_HEAD}
"""What one index of an axis is; on any other axis it is a column."""


TENSOR_KINDS = {
    tensor: NamedNumbers(name, "", tuple(axes.split()))
    for tensor, (name, axes) in {
        "x": (N_("input X"), "pos d_model"),
        "q": (N_("queries"), "pos n_heads d_qk"),
        "q_norm": (N_("normalised queries"), "pos n_heads d_qk"),
        "q_rot": (N_("rotated queries"), "pos n_heads d_qk"),
        "k": (N_("keys"), "pos n_kv_heads d_qk"),
        "k_norm": (N_("normalised keys"), "pos n_kv_heads d_qk"),
        "k_rot": (N_("rotated keys"), "pos n_kv_heads d_qk"),
        "v": (N_("values"), "pos n_kv_heads d_v"),
        "pattern": (N_("attention pattern"), "n_heads query_pos key_pos"),
        "z": (N_("mix of values Z"), "pos n_heads d_v"),
        "out": (N_("output of attention"), "pos d_model"),
        "W_Q": (N_("weights W_Q"), "d_model n_heads d_qk"),
        "W_K": (N_("weights W_K"), "d_model n_kv_heads d_qk"),
        "W_V": (N_("weights W_V"), "d_model n_kv_heads d_v"),
        "kv_latent": (N_("latent"), "pos r"),
        "k_rope": (N_("rotated key part of all heads"), "pos rotary_dim"),
    }.items()
}
"""What alt texts call the tensors of a trace, by their names without a layer."""

BODIES = {
    "slab": N_("slabs"),
    "relief": N_("rows of bars"),
    "bars": N_("towers"),
    "arc": N_("arcs of light"),
    "flow": N_("shares of a whole"),
}
"""Names of bodies in alt texts by their kinds, in the order of the sentences."""

NUMBERED = "relief", "bars"  # kinds of bodies whose largest number is told
NO_PANEL = {"shape": (1, 1), "vmin": 0.0, "vmax": 0.0, "cmap": "grey"}

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

# Only texts with a word are quoted: numbers on axes and single letters mean nothing by themselves,
# and a formula cannot be understood when a screen reader reads it aloud.
LETTERS = re.compile(r"[^\W\d_]{2}")
FORMULA = re.compile(r"[\^=]$|\^\(|[a-z]_|sqrt|\bdot\b")

ARROWS = {"r": "→", "l": "←", "b": "↓", "t": "↑"}

# Symbols in a picture's texts are in Typst's notation: what to read instead.
NOTATION = (
    (re.compile(r"\^top"), lambda match: _(" transposed")),
    (re.compile(r"_\(([^)]*)\)"), lambda match: "_" + match[1].replace(" ", "")),
    (re.compile(r"\\/"), lambda match: "/"),
    (re.compile(r" times "), lambda match: " × "),
    (re.compile(r"\barrow\.([rlbt])[.\w]*"), lambda match: ARROWS[match[1]]),
)


@dataclass(frozen=True)
class _Panel:
    """What an alt text says about a panel.

    Attributes
    ----------
    name, how
        What it shows, and how that came about, for :func:`filmkit.core.quantities.in_words`.
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
    how: str
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
    where = "" if len(layers) != 1 else numbered(LAYER, *layers)
    bodies = [body for body in document.get("bodies", ()) if body["presence"] >= FAINT]
    told = _bodies(bodies)
    if told and not entries:
        sentences.append(_("A drawing of bodies in a room."))
    elif not entries:
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
    sentences += told
    sentences += [_sentence(group, with_layers=with_layers) for group in strong]
    pale = [in_words(group[0].name, group[0].how) for group in faint]
    if document["mosaic"]:
        faint_names = {e["part"] for e in entries if e["opacity"] < FAINT}
        faint_names |= {e["name"] for e in document["mosaic"]["parts"] if e["strength"] < FAINT}
        pale = [text for name, text in called.items() if name in faint_names]
    if pale:
        sentences.append(_("Faint: {names}.", names=semicolons(pale)))
    text = _fitted([sentence[:1].upper() + sentence[1:] for sentence in sentences])
    return _with_quotes(text, _unsaid(document))


def _bodies(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each kind of bodies in a picture map, in order of appearance."""
    kinds: dict[str, list[str]] = {kind: [] for kind in BODIES}
    for entry in entries:
        words, count = entry["words"], entry["count"]
        if entry["kind"] not in kinds:
            continue
        if not words and (entry["tensor"] or entry["expression"]):
            panel = _panel({**entry, **NO_PANEL})
            words = in_words(panel.name, panel.how, panel.place.words())
        if entry["kind"] in NUMBERED and count == 1:
            words = _("{words}: {number}", words=words, number=_number(entry["largest"]))
        elif entry["kind"] in NUMBERED:
            words = ngettext(
                "{words}, {number} number, the largest {largest}",
                "{words}, {number} numbers, the largest {largest}",
                count,
                words=words or _("a row"),
                largest=_number(entry["largest"]),
            )
        if words:
            kinds[entry["kind"]].append(words)
    return [
        _("{kind}: {names}.", kind=_(BODIES[kind]), names=semicolons([*dict.fromkeys(names)]))
        for kind, names in kinds.items()
        if names
    ]


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
            text = in_words(panels[name].name, panels[name].how)
        if not text:
            said = _without_notation(texts.get(name, ""))
            text = _("“{text}”", text=said) if said else _("drawing “{name}”", name=name)
        names[name] = text
    counts = Counter(names.values())
    for name, text in names.items():
        # The same matrix of several heads.
        if name in panels and counts[text] > 1:
            names[name] = in_words(text, "", panels[name].place.words())
    return names


def _unsaid(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the texts of a picture that are not said of the parts of its mosaic yet."""
    if document["mosaic"] is None:
        on_bodies = {body["words"] for body in document.get("bodies", ())}
        return [text for text in document["texts"] if text["text"] not in on_bodies]
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
    groups: dict[tuple[str, str], list[_Panel]] = {}
    for entry in entries:
        panel = _panel(entry)
        if called and not panel.name:
            panel = replace(panel, name=called.get(entry["part"], ""))
        groups.setdefault((panel.name, panel.how), []).append(panel)
    return list(groups.values())


def _panel(entry: Mapping[str, Any]) -> _Panel:
    """Read a panel from its entry in the picture map."""
    index, (rows, columns) = entry["index"], entry["shape"]
    spans = [(axis[0], axis[1]) for axis in index if not isinstance(axis, int)]
    base, _dot, layer = (entry["tensor"] or "").rpartition(".")
    known = TENSOR_KINDS.get(base) or QUANTITIES.get(entry["quantity"])
    name, how, axes = entry["tensor"] or entry["expression"], "", list[str]()
    if known:
        name, how = known.words(transposed=entry["transposed"])
        axes = [UNITS.get(axis, COLUMN) for axis in known.axes]
    place = ModelPlace.given(entry["given"])
    if base in TENSOR_KINDS:
        heads = (each for each in zip(axes, index, strict=False) if each[0] in (HEAD, KV_HEAD))
        kind, head = next(heads, (HEAD, None))
        place = ModelPlace((int(layer),), (head,) if isinstance(head, int) else (), kind)
    units = [name for axis, name in zip(index, axes, strict=False) if not isinstance(axis, int)]
    if len(spans) != 2:
        spans = [(0, rows), (0, columns)]
    elif entry["transposed"]:
        spans, units = spans[::-1], units[::-1]
    return _Panel(
        name,
        how,
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
    name = in_words(group[0].name, group[0].how, _where(group, with_layers=with_layers))
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
    return ModelPlace((*layers,) if with_layers else (), (*numbers,), kind).words()


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
