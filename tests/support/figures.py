"""Check what a scene says and shows in figures: each is a fact, true, and beside its own name.

A scene declares its facts (:mod:`filmkit.core.facts`), and :mod:`tests.support.references` computes
them again. Every other number on screen or in the narration is a fault, but for those that tell
their place: ticks of axes and colour scales, numbers of layers and heads, shapes of matrices, and
names with digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import numpy as np
from manim import Mobject
from scipy.optimize import linear_sum_assignment

from extract.facts.architectures import ARCHITECTURES, architecture
from extract.facts.newer_schemes import NEWER_SCHEMES
from extract.facts.v2_report import DENSE_7B
from filmkit.core.facts import Fact
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.stage import Stage
from filmkit.core.text import TextLine, Tick
from tests.support.claims import claim_is_true
from tests.support.meanings import Seen
from tests.support.references import Interval, groups, reference_of
from tests.support.staging import BeatPicture

__all__ = ["all_texts", "false_facts", "misplaced", "stray_figures", "unexplained"]

# Thousands may be separated by commas; a full stop or comma after a number is not part of it.
FIGURE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
PLACE = re.compile(r"\b(?:layers?|heads?) \d+(?:(?:, \d+)*(?: to| and) \d+)?")
NAMES = {
    *(arch.name for arch in ARCHITECTURES),
    *(scheme.model for scheme in NEWER_SCHEMES),
    *("DeepSeek-R1", "DeepSeek-V2", "R1", "NVIDIA H100", "7B", "1.33T"),
    *("table 8", "table 9", "pp. 31-32", "Apache 2.0", "10⁹"),
    *("2 ×", "2 bytes", "16 bits", "weights of 8 bits", "8 groups", "distance 0", "at 0"),
    architecture("DeepSeek-V3/R1").source,
    DENSE_7B.source,
}
"""Phrases whose digits are no facts: names of models, tables, pages and licences, and constants."""


def all_texts(picture: BeatPicture) -> list[str]:
    """Return all texts on screen at the end of a beat, also faint ones, and its narration."""
    return [*(item.text for item in picture.texts), picture.record.narration]


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
    """Yield a line for each fact that is not what its reference computes, or that has none.

    So it does for claims that are false where they are said, or true where they are not.
    """
    for fact in facts:
        if isinstance(fact.value, bool):
            truth = claim_is_true(stage, fact)
            if truth is None:
                yield f"no claim in tests/support/claims.py is part of {str(fact)!r}"
            elif truth is not fact.value:
                yield f"it is {truth}, not {fact.value}, that {str(fact)!r} {fact.given or ''}"
            continue
        reference = reference_of(stage, fact.name)
        if reference is None:
            if FIGURE.search(fact) or not isinstance(fact.value, str):
                yield f"no reference computes {fact.name!r} ({fact}) again"
            continue
        expected = reference(stage, **fact.given)
        if not _same(fact.value, expected):
            yield f"{fact.name} {fact.given or ''} is {expected}, not {fact.value} ({fact})"


def _same(value: float | str | tuple[str, ...], expected: object) -> bool:
    if isinstance(expected, Interval):
        return expected[0] <= float(value) <= expected[1]
    if isinstance(expected, set):
        return value in expected
    if isinstance(value, (str, tuple)) or isinstance(expected, (str, tuple)):
        return value == expected
    return math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-9)  # type: ignore[arg-type]


def stray_figures(stage: Stage, said: str) -> Iterator[str]:
    """Yield a line for each number on screen or in what is said that is no fact."""
    meta, layer = stage.trace.meta, stage.layer
    facts = [fact for fact in stage.ledger if not isinstance(fact.value, bool)]
    known = {figure for fact in facts for figure in FIGURE.findall(fact)}
    sizes = {side for array in stage.trace.tensors.values() for side in array.shape}
    sizes |= {meta.n_layers, meta.n_kv_heads, meta.n_heads // meta.n_kv_heads, layer.count}
    sizes |= {groups(stage), meta.n_heads // groups(stage), meta.n_heads * meta.d_v}
    sizes |= {side for mobject in stage.mobjects for side in _sides(mobject)}
    known |= {f"{size:,}" for size in sizes}
    likely = (token for tokens in meta.top_tokens or () for token in tokens)
    names = {meta.model, meta.source.revision, *NAMES}
    words = {token.strip() for token in (*meta.tokens, *likely)}
    names |= {word for word in words if any(map(str.isalpha, word))}
    known |= words
    places = {str(i) for i in range(max(meta.n_layers, meta.n_heads))}
    shown = [
        line.text
        for mobject in stage.mobjects
        for line in mobject.family_members_with_points()
        if isinstance(line, TextLine) and not isinstance(line, Tick) and len(line.ink)
    ]
    told = [PLACE.sub(" ", text) for text in shown if text not in places]
    yield from unexplained([*told, said], known, {name for name in names if name})


def _sides(mobject: Mobject) -> Iterator[int]:
    """Yield the numbers of rows and columns of all heatmaps in a mobject."""
    for part in mobject.get_family():
        if isinstance(part, Heatmap):
            yield from part.shape


def misplaced(stage: Stage) -> Iterator[str]:
    """Yield a line for facts of a name that do not stand beside the words that they belong to.

    Of all ways to give each figure on screen one of these words, or of the bodies that facts belong
    to, the own ones must be as near as any: two figures, or two words, that are exchanged are
    farther apart.
    """
    seen = Seen.on(stage)
    bodies = [
        (thing.role, Box.between(thing.outline.min(axis=0), thing.outline.max(axis=0)))
        for thing in seen.bodies
    ]
    texts = [(block.text, block.box) for block in seen.blocks if not block.is_faint]
    named = {(fact.name, str(fact), fact.beside): fact for fact in stage.ledger if fact.beside}
    for name in {fact.name for fact in named.values()}:
        facts, figures, words = [], [], []
        for fact in named.values():
            token = re.compile(rf"(?<![\w.,]){re.escape(fact)}(?![\w,.]*\d)")
            own = [box for name_of, box in (*texts, *bodies) if name_of == fact.beside]
            shown = [box for text, box in texts if token.search(text) and text != fact.beside]
            if fact.name == name and own and shown:
                facts.append(fact)
                figures.append(shown)
                # Words may stand on screen more than once.
                words.append(min(own, key=lambda word: _apart(shown, word)))
        apart = np.array([[_apart(these, word) for word in words] for these in figures])
        if len(facts) > 1:
            rows, columns = linear_sum_assignment(apart)
            if apart[rows, columns].sum() < np.trace(apart) - 1e-6:
                near = [f"{facts[i]} at {facts[j].beside!r}" for i, j in enumerate(columns)]
                yield f"{name}: {', '.join(near)}"


def _apart(figures: Iterable[Box], word: Box) -> float:
    """Return the distance of a word from the nearest of some figures, in pixels."""
    return min(math.hypot(box.x - word.x, box.y - word.y) for box in figures)
