"""Check the notes at the top of a picture, and names of heads in it, against its panels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from extract.trace import Trace
from extract.trace.contents.meta import TraceMeta
from filmkit.core.geometry import Box
from filmkit.core.model_places import KV_HEAD
from filmkit.core.norm import TensorSource
from filmkit.core.quantities import axes_of, place_of
from filmkit.core.stage import Stage
from filmkit.core.token_text import printable
from tests.support.on_screen import sources_on
from tests.support.staging import MIN_PRESENCE, BeatPicture

__all__ = ["heads_of", "named_places", "untrue_notes"]

NOT_TRACED = "not the traced model"
SEPARATOR = "  ·  "


def untrue_notes(stage: Stage, picture: BeatPicture, about: str, hidden: str) -> Iterator[str]:
    """Yield a line for each thing that the notes at the top of a picture leave out or get wrong.

    Parameters
    ----------
    stage, picture
        The scene, and what is on screen.
    about, hidden
        What is written of the note on the left, and of the one on the right.
    """
    meta = stage.trace.meta
    if not any(item.text == about and item.presence == 1 for item in picture.texts):
        yield f"the note {about!r} is not on the picture"
    # In a narrow picture they lose their ends.
    about, hidden = (
        whole if printable(whole).startswith(shown.removesuffix("…")) else shown
        for whole, shown in zip(stage.provenance_notes(), (about, hidden), strict=True)
    )
    frame = Box.of(0.0, stage.camera.pixel_width, 0.0, stage.camera.pixel_height)
    panels = [
        panel
        for panel in picture.panels
        if not panel.heatmap.source.is_scale and min(panel.box.overlap(frame)) > 0
    ]
    bodies = [source for source in sources_on(stage) if source.tensor or source.quantity]
    seen = [panel.heatmap.source for panel in panels if panel.opacity > 0] + bodies
    strong = [panel.heatmap.source for panel in panels if panel.opacity >= MIN_PRESENCE] + bodies
    if NOT_TRACED in about:
        for source in strong:
            yield f"{source} is shown beside the note {about!r}"
        return
    own, own_strong = ([s for s in sources if not s.model] for sources in (seen, strong))
    parts, only_others = about.split(SEPARATOR), bool(seen) and not own
    if (meta.model in parts[:2]) is only_others:
        yield f"the note {about!r} is wrong about the model {meta.model!r}"
    if not only_others and (parts[0] == "random weights") is not meta.random_weights:
        yield f"the note {about!r} is wrong about random weights"
    yield from (
        f"the note {about!r} does not name {source.model}"
        for source in strong
        if source.model not in about
    )
    yield from _wrong_places(stage.trace, about, own, own_strong)
    if len(own) == len(seen):
        yield from _names_of_others(stage.trace, picture, own)
    draws_first = any(0 in _positions(stage.trace, source) for source in own_strong)
    lacks_it = stage.layer.hides_first and not draws_first
    is_told, looks = "not drawn" in hidden, any(_looks(stage.trace, s) for s in own_strong)
    if own_strong and is_told is not (lacks_it and looks):
        yield f"the note {hidden!r} is wrong about the first token"


def _wrong_places(
    trace: Trace, about: str, seen: list[TensorSource], strong: list[TensorSource]
) -> Iterator[str]:
    """Yield a line for layers and heads that a note names and nothing shows, or the reverse."""
    shown = [_place(trace, source) for source in seen]
    for kind, named in zip(("layer", "head"), named_places(about, trace.meta), strict=True):
        known = {number for place in shown for number in place[kind]}
        counted = re.search(rf"(?<!all )\b(\d+) {kind}s", about)
        if counted and int(counted[1]) != len(known):
            yield f"the note {about!r} counts {kind}s that are {len(known)}"
        elif named - known and not counted:
            yield f"the note {about!r} names {kind} {min(named - known)}, which is not shown"
        for place in (_place(trace, source) for source in strong):
            # Keys and values are of several heads, one of which may be the one that is shown.
            if place[kind] and not place[kind] & named:
                yield f"the note {about!r} stands beside {kind} {min(place[kind])}"


def _names_of_others(trace: Trace, picture: BeatPicture, seen: list[TensorSource]) -> Iterator[str]:
    """Yield a line for each name of a head in a picture that shows nothing of that head."""
    places = [_place(trace, source) for source in seen]
    heads = {pair for place in places for pair in product(place["layer"], place["head"])}
    for item in picture.texts:
        named = re.fullmatch(r"layer (\d+), head (\d+)", item.text)
        if named and (int(named[1]), int(named[2])) not in heads:
            yield f"{item.text!r} is written, and no panel is of it"


def heads_of(trace: Trace, source: TensorSource) -> set[int]:
    """Return the heads that a source's numbers are of, or are read by."""
    return _place(trace, source)["head"]


def _place(trace: Trace, source: TensorSource) -> dict[str, set[int]]:
    """Return the layers and the heads that a source's numbers are of, or are read by."""
    place = place_of(trace, source)
    each = trace.meta.n_heads // trace.meta.n_kv_heads if place.kind == KV_HEAD else 1
    heads = {head * each + i for head in place.heads for i in range(each)}
    return {"layer": set(place.layers), "head": heads}


def named_places(about: str, meta: TraceMeta) -> Iterator[set[int]]:
    """Yield the layers and the heads that a note names."""
    for kind, count in (("layer", meta.n_layers), ("head", meta.n_heads)):
        # A number of heads, without their numbers, is right if it is that of all that are shown.
        every = re.search(rf"all (\d+ )?{kind}s|\d+ {kind}s", about)
        named = set(range(count)) if every else set()
        numbers = rf"{kind}s? (\d+)(?: to (\d+))?((?:, \d+)* and \d+)?"
        for first, last, more in re.findall(numbers, about):
            named |= set(range(int(first), int(last or first) + 1))
            named |= set(map(int, re.findall(r"\d+", more)))
        yield named


def _looks(trace: Trace, source: TensorSource) -> bool:
    """Return whether a source's numbers are of pairs of positions, or are of all patterns."""
    return source.quantity == "patterns_of_layer" or "key_pos" in axes_of(trace, source)


def _positions(trace: Trace, source: TensorSource) -> range:
    """Return the positions whose rows or columns a source shows; of a pattern, the keys."""
    if dict(source.given).get("first_token", False):
        return range(1)
    axes = axes_of(trace, source)
    axis = axes.index("key_pos") if "key_pos" in axes else 0
    place = source.index[axis] if axes and axes[axis] in ("pos", "key_pos") else 0
    return range(*place) if isinstance(place, tuple) else range(0)
