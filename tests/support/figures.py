"""Check what a scene says and shows in figures: each is a fact, true, and beside its own name.

A scene declares its facts (:mod:`filmkit.core.facts`), and :mod:`tests.support.references` computes
them again. Every other number on screen or in the narration is a fault, but for those that tell
their place: ticks of axes and colour scales, numbers of layers and heads, shapes of matrices, and
names with digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from extract.architectures import ARCHITECTURES, DENSE_7B, architecture
from extract.newer_schemes import NEWER_SCHEMES
from filmkit.core.facts import Fact
from filmkit.core.picture_map import TextItem, texts_on
from filmkit.core.stage import Stage
from filmkit.core.text import TextLine, Tick
from tests.support.references import Interval, reference_of
from tests.support.staging import MIN_PRESENCE, BeatPicture

__all__ = ["all_texts", "false_facts", "misplaced", "spelled", "stray_figures", "unexplained"]

# Thousands may be separated by commas; a full stop or comma after a number is not part of it.
FIGURE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
PLACE = re.compile(r"\b(?:layers?|heads?) \d+(?:(?:, \d+)*(?: to| and) \d+)?")
NAMES = {
    *(arch.name for arch in ARCHITECTURES),
    *(scheme.model for scheme in NEWER_SCHEMES),
    *("DeepSeek-R1", "DeepSeek-V2", "R1", "NVIDIA H100", "7B", "1.33T"),
    *("table 8", "table 9", "pp. 31-32", "Apache 2.0", "10⁹"),
    architecture("DeepSeek-V3/R1").source,
    DENSE_7B.source,
}
"""Phrases whose digits are no numbers: names of models, tables, pages and licences."""


def all_texts(picture: BeatPicture) -> list[str]:
    """Return all texts on screen at the end of a beat, also faint ones, and its narration."""
    return [*(item.text for item in picture.texts), picture.record.narration]


def spelled(value: float, *formats: str) -> set[str]:
    """Return a number in several formats, without units, such as "{:,.0f}"."""
    return {template.format(value) for template in formats}


def unexplained(
    texts: Iterable[str], allowed: Iterable[str], names: Iterable[str] = ()
) -> list[str]:
    """Return the numbers that are not allowed, each with the text in which it occurs.

    Parameters
    ----------
    texts
        What to check; see :func:`all_texts`.
    allowed
        Allowed numbers as they are written, such as "70,272".
    names
        Phrases whose digits are not checked: names of models, tables and pages of a paper.
    """
    known = set(allowed)
    # Longest first, so that "DeepSeek-V2" does not match a part of "DeepSeek-V2-Lite".
    phrases = sorted(names, key=len, reverse=True)
    name = re.compile("|".join(rf"(?<!\w){re.escape(phrase)}(?!\w)" for phrase in phrases) or r"$^")
    return [
        f"{figure} in {text!r}"
        for text in texts
        for figure in FIGURE.findall(name.sub(" ", text))
        if figure not in known
    ]


def false_facts(stage: Stage, facts: Iterable[Fact]) -> Iterator[str]:
    """Yield a line for each fact that is not what its reference computes, or that has none."""
    for fact in facts:
        reference = reference_of(stage, fact.name)
        if reference is None:
            if FIGURE.search(fact) or not isinstance(fact.value, str):
                yield f"no reference computes {fact.name!r} ({fact}) again"
            continue
        expected = reference(stage, **fact.given)
        if not _same(fact.value, expected):
            yield f"{fact.name} {fact.given or ''} is {expected}, not {fact.value} ({fact})"


def _same(value: float | str, expected: object) -> bool:
    if isinstance(expected, Interval):
        return expected[0] <= float(value) <= expected[1]
    if isinstance(expected, set):
        return value in expected
    if isinstance(value, str) or isinstance(expected, str):
        return value == expected
    return math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-9)  # type: ignore[arg-type]


def stray_figures(stage: Stage, said: str) -> Iterator[str]:
    """Yield a line for each number on screen or in what is said that is no fact."""
    meta, layer = stage.trace.meta, stage.layer
    known = {figure for fact in stage.ledger for figure in FIGURE.findall(fact)}
    sizes = {meta.n_layers, meta.n_heads, meta.n_kv_heads, meta.d_model, meta.d_qk, meta.d_v}
    sizes |= {layer.count, meta.n_heads * meta.d_v, meta.n_heads // meta.n_kv_heads}
    known |= {f"{size:,}" for size in sizes}
    names = {meta.model, meta.source.revision, *map(str.strip, meta.tokens), *NAMES}
    places = {str(i) for i in range(max(meta.n_layers, meta.n_heads))}
    shown = [
        line.text
        for mobject in stage.mobjects
        for line in mobject.family_members_with_points()
        if isinstance(line, TextLine) and not isinstance(line, Tick) and len(line.ink)
    ]
    told = [PLACE.sub(" ", text) for text in shown if text not in places]
    yield from unexplained([*told, said], known, {name for name in names if name})


def misplaced(stage: Stage) -> Iterator[str]:
    """Yield a line for each fact that stands nearer to the name of another one than to its own."""
    texts = [t for t in texts_on(stage.mobjects, stage.camera) if t.presence >= MIN_PRESENCE]
    named = [fact for fact in stage.ledger if fact.beside]
    labels = [text for text in texts if text.text in {fact.beside for fact in named}]
    for fact in named:
        word = re.compile(rf"(?<![\w.,]){re.escape(fact)}(?![\w,.]*\d)")
        figures = [t for t in texts if word.search(t.text) and t.text != fact.beside]
        if not figures or not any(label.text == fact.beside for label in labels):
            continue
        nearest = [_nearest(figure, labels) for figure in figures]
        if fact.beside not in nearest:
            yield f"{fact} of {fact.beside!r} stands beside {nearest}"


def _nearest(figure: TextItem, labels: Sequence[TextItem]) -> str:
    """Return the label whose middle is nearest to a figure's; the same line counts for more."""

    def distance(label: TextItem) -> float:
        across, down = label.box.x - figure.box.x, label.box.y - figure.box.y
        return math.hypot(across, down)

    return min(labels, key=distance).text
