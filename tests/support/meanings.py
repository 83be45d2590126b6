"""What the words in pictures mean: of which tensors, quantities, bodies or facts each may stand.

So panels that are exchanged, or names, or captions, are found although all numbers are true. Every
text on screen has a meaning here, but for words of the prompt and what is said over a picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from extract.facts.published import gpt2_trace
from filmkit.core.facts import Fact
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.stage import Stage
from filmkit.core.text import Number
from filmkit.core.token_text import printable
from filmkit.core.view import best_match
from filmkit.mobjects.panel import Header
from tests.support.notes import heads_of, named_places
from tests.support.on_screen import (
    MATTER,
    Block,
    Thing,
    apart,
    blocks_on,
    bodies_on,
    panels_on_screen,
    rows_on,
    sources_on,
    squares_on,
)

__all__ = ["MEANINGS", "WORDS", "Seen", "is_named", "misnamed", "misnamed_words"]

KEYS = {"k", "k_norm", "k_rot", "latent_keys", "shared_keys"}
VALUES = {"v", "latent_values", "shared_values"}

MEANINGS = {
    "input": {"x", "mla.x"},
    "queries": {"q", "q_norm", "q_rot", "rotated_on"},
    "keys": KEYS,
    "values": VALUES,
    "dot products": {"dot_products"},
    "scores": {"scores", "latent_scores", "sum_of_scores"},
    "scores of the latent": {"scores_of_latents"},
    "pattern": {
        "pattern",
        "shared_pattern",
        "latent_pattern",
    },
    "share": {"pattern"},
    "SmolLM2": {"pattern"},
    "made": {"pattern"},
    "GPT-2 small": {"pattern"},
    "head output": {"z"},
    "learned": {"W_V"},
    "latent": {"kv_latent", "latents", "mla.c"},
    "latents": {"kv_latent", "latents", "mla.c"},
    "rotated keys": {"k_rope", "mla.k_rot"},
    "rotated query": {"q_rot", "q", "converted_queries"},
    "query": {"q", "q_rot", "converted_queries"},
    "new query": {"latent_queries"},
    "weights": {"W_UK", "latent.W_UK", "mla.W_UK", "W_Q"},
    "attention": {"latent_pattern"},
    "mix of latents": {"mixed_latents"},
    "rebuilt keys": {"latent_keys"},
    "true keys": KEYS - {"latent_keys"} | {"own_keys"},
    "moved attention": {"shared_difference"},
    "mean of the sets": {"pattern", "side_pattern: mean", "side_difference: mean"},
    "best shared set": {"pattern", "side_pattern: best", "side_difference: best"},
    "one latent": {"pattern", "side_pattern: latent", "side_difference: latent"},
    "with keys": {"latent_output"},
    "without keys": {"latent_output"},
    "difference": {"difference_of_forms", "lost_keys"},
}
"""The tensors, without their layer, and the quantities of each name."""


def misnamed(cells: Heatmap) -> str:
    """Return what is wrong with the name of a heatmap, "" if it means what is shown."""
    if not cells.label:
        return ""
    meant = MEANINGS.get(cells.label)
    if meant is None:
        return f"the name {cells.label!r} is new: say in tests/support/meanings.py what it means"
    shown = _kind(cells.source)
    return "" if shown in meant else f"{shown} stands under the name {cells.label!r}"


def _kind(source: TensorSource) -> str:
    """Return a tensor's name without its layer, or a quantity, and of which way of the duel."""
    if source.tensor is None:
        way = dict(source.given).get("side")
        return f"{source.quantity}: {way}" if way else source.quantity
    return ".".join(part for part in source.tensor.split(".") if not part.isdigit())


# Words beside what they name


@dataclass(frozen=True)
class Seen:
    """A picture as its words are read in it.

    Attributes
    ----------
    stage
        The stage.
    blocks, panels, bodies, squares
        What is on screen.
    """

    stage: Stage
    blocks: list[Block]
    panels: list[Thing]
    bodies: list[Thing]
    squares: list[Thing]

    @classmethod
    def on(cls, stage: Stage) -> Seen:
        """Return what is on a stage now."""
        things = panels_on_screen(stage), bodies_on(stage), squares_on(stage)
        return cls(stage, blocks_on(stage, partial(_is_one_text, stage)), *things)


Slots = Mapping[str, str]
Condition = Callable[[Seen, Block, Slots], bool]
"""Tells whether words stand where they may, with what is written into them."""

NEARLY = 1.0  # pixels by which things are equally near


def nearest(block: Block, things: Iterable[Thing], *, over: bool = False) -> list[Thing]:
    """Return the thing that is nearest to a text, and those that are as near.

    Of a text that stands over what it names, only things below count.
    """
    far = [
        (apart(block.box, thing.outline), thing)
        for thing in things
        if not over or thing.outline[:, 1].mean() > block.box.y
    ]
    least = min((distance for distance, _thing in far), default=0.0)
    return [thing for distance, thing in far if distance <= least + NEARLY]


def panel(
    *kinds: str,
    of: Callable[[Stage, TensorSource, Slots], bool] | None = None,
    over: bool = False,
) -> Condition:
    """Of all panels the nearest is of one of these kinds, and of what is written.

    Words over panels name all of them that are as near; in the room one may hide another.
    """

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        near = nearest(block, seen.panels, over=over)
        sources = [thing.mobject.source for thing in near]  # type: ignore[attr-defined]
        fit = [
            _kind(source) in kinds and (of is None or of(seen.stage, source, slots))
            for source in sources
        ]
        return any(fit) and (all(fit) or not over)

    return holds


def body(*roles: str, among: Collection[str] = MATTER, over: bool = False) -> Condition:
    """Of all bodies of some roles, such as those that are made of something, the nearest is one."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        bodies = (thing for thing in seen.bodies if thing.role in among)
        return any(thing.role in roles for thing in nearest(block, bodies, over=over))

    return holds


def row(*kinds: str) -> Condition:
    """Of all bodies that are made of numbers the nearest is of one of these kinds."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        near = nearest(block, rows_on(seen.stage))
        return any(_kind(thing.mobject.source) in kinds for thing in near)  # type: ignore[attr-defined]

    return holds


def there(*roles: str) -> Condition:
    """Bodies of all these roles are in the picture."""
    return lambda seen, block, slots: {*roles} <= {thing.role for thing in seen.bodies}


def coloured(role: str) -> Condition:
    """It has the colour of a role, and so has a body in the picture."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        colours = {line.get_fill_color().to_hex().lower() for line in block.lines}
        there = any(thing.role == role for thing in seen.bodies)
        return there and colours == {seen.stage.theme.role(role).lower()}

    return holds


def legend(role: str) -> Condition:
    """The square before it has the colour of a role, or it stands on cells that have it."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        squares = [thing for thing in seen.squares if thing.mobject in (block.parent or ())]
        if squares:
            return [thing.role for thing in squares] == [role]
        on = (thing.mobject for thing in seen.panels if not apart(block.box, thing.outline))
        return any(isinstance(cells, Heatmap) and cells.masked.any() for cells in on)

    return holds


def figure(name: str, slot: str = "", **given: object) -> Condition:
    """A fact is written into it; or a fact, and no other of that name, belongs to it."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        facts = [fact for fact in seen.stage.ledger if fact.name == name]
        if slot:
            return any(
                fact == slots[slot] and given.items() <= fact.given.items() for fact in facts
            )
        own = [fact.given for fact in facts if fact.beside == block.text]
        return bool(own) and all(given.items() <= each.items() for each in own)

    return holds


def near(text: str, *others: str) -> Condition:
    """Of some texts one is the nearest; what is written into this one may be part of it."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        texts = {text, *others}
        found = [other for other in seen.blocks if other.text in texts]
        return bool(found) and min(found, key=lambda other: _between(block, other)).text == text

    return holds


def shows(*groups: Collection[str]) -> Condition:
    """Numbers of each group of tensors are on screen; of each group one is enough."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        kinds = {_kind(source) for source in sources_on(seen.stage)}
        return all(kinds & {*group} for group in groups)

    return holds


def both(*conditions: Condition) -> Condition:
    """All of these."""
    return lambda seen, block, slots: all(each(seen, block, slots) for each in conditions)


def either(*conditions: Condition) -> Condition:
    """One of these."""
    return lambda seen, block, slots: any(each(seen, block, slots) for each in conditions)


def free(seen: Seen, block: Block, slots: Slots) -> bool:
    """Wherever they stand, they name nothing that could be exchanged."""
    return True


def _is_of_head(stage: Stage, source: TensorSource, slots: Slots) -> bool:
    return int(slots["head"]) in heads_of(stage.trace, source)


def _is_of_heads(stage: Stage, source: TensorSource, slots: Slots) -> bool:
    """Whether the heads that are named, and no others, read keys or values."""
    text = f"heads {slots['heads']}"
    _layers, heads = named_places(text, stage.trace.meta)
    return heads == heads_of(stage.trace, source)


def owned(name: str, slot: str) -> Condition:
    """A fact is written into it, and of all texts to which such facts belong its own is nearest."""

    def holds(seen: Seen, block: Block, slots: Slots) -> bool:
        facts = [fact for fact in seen.stage.ledger if fact.name == name]
        there = [other for other in seen.blocks if other.text in {fact.beside for fact in facts}]
        own = {fact.beside for fact in facts if fact == slots[slot]}
        return bool(there) and min(there, key=partial(_lines_between, block)).text in own

    return holds


def side_of_duel(way: str) -> Condition:
    """Its panels are below it, or its figures or the words of its model belong to it."""
    kinds = "pattern", f"side_pattern: {way}", f"side_difference: {way}"
    return either(panel(*kinds, over=True), figure("moved share", way=way), figure("said", way=way))


def _at_largest(seen: Seen, block: Block, slots: Slots) -> bool:
    """Of a column of scores it stands at the row of the largest."""
    for thing in nearest(block, seen.panels):
        cells = thing.mobject
        assert isinstance(cells, Heatmap)
        if _kind(cells.source) != "latent_scores" or cells.shape[1] != 1:
            continue
        tall = seen.stage.camera.pixels(cells, cells.corners)[:, 1]
        rows = np.linspace(tall.min(), tall.max(), 2 * len(cells.values) + 1)[1::2]
        return int(np.abs(rows - block.box.y).argmin()) == int(cells.values.argmax())
    return False


def _distance(source: TensorSource) -> int:
    """How far apart the words are for which weights are merged."""
    return int(dict(source.given)["distance"])  # type: ignore[call-overload]


def _is_at_distance(stage: Stage, source: TensorSource, slots: Slots) -> bool:
    return _distance(source) == int(slots["number"])


def _has_changed(stage: Stage, source: TensorSource, slots: Slots) -> bool:
    facts = [fact for fact in stage.ledger if fact.name == "change"]
    return any(f == slots["share"] and f.given["distance"] == _distance(source) for f in facts)


def _is_apart(seen: Seen, block: Block, slots: Slots) -> bool:
    """Where no matrices are merged it says how far apart the pair stands."""
    query, key = best_match(seen.stage.head)
    return int(slots["number"]) == query - key


QUERIES = MEANINGS["queries"]
ALL_BODIES = (*MATTER, "lamps")
SPEAKERS = "query", "key", "value"
CREDITS = {
    "inspired by": "Welch Labs",
    "sizes and scores": "DeepSeek’s publications, up to V4-Pro",
    "memory and speed": "NVIDIA H100, as published",
    "other patterns": "GPT-2 small, as published",
    "code": "under the MIT licence",
    "typefaces": "Source Sans Pro, New Computer Modern",
}

WORDS: dict[str, Condition] = {
    # scene_question
    "keys": either(coloured("key"), panel("cached_keys")),
    "values": either(coloured("value"), panel("cached_values")),
    "tokens": either(body("key", "value"), figure("capacity")),
    "× {bytes}": figure("cached bytes", "bytes", scheme="mha"),
    "one GPU: {gigabytes} GB": figure("gigabytes", "gigabytes"),
    "Remember Less": free,
    "Can a model remember less and still think just as well?": free,
    # scene_attention
    "plus a bias": free,
    "next, word order is added": free,
    "partly rotated": free,
    "normalised": free,
    "less a penalty for distance": free,
    "what is far back is masked too": free,
    "capped at {low} and {high}": free,
    "A word is a row": shows({"x"}),
    "{number} numbers": figure("width", "number"),
    "Queries ask, keys answer": shows(QUERIES, KEYS),
    "“Who goes with me?”": body("query", among=SPEAKERS),
    "“I do”": body("key", among=SPEAKERS),
    "Input times weights": shows({"x"}, QUERIES),
    "Dot product": shows(QUERIES, KEYS),
    "{asked} × {answered} = {product}": both(
        figure("channel", "asked", of="query"),
        figure("channel", "answered", of="key"),
        figure("product of", "product"),
    ),
    "All dot products": shows(QUERIES, KEYS, {"dot_products"}),
    "sum": figure("dot"),
    "Scores and mask": shows({"scores"}),
    "the future": free,
    "{dot} {sign}{factor} {equals} {score}": both(
        figure("dot", "dot"), figure("scaled", "score"), figure("scale", "factor")
    ),
    "Softmax": shows({"scores"}, {"pattern"}),
    "score": row("scores"),
    "share": row("pattern"),
    "Attention": shows({"pattern"}),
    "before": free,
    "nothing": free,
    "{number} others": figure("together", "number"),
    "Mix of values": shows(VALUES, {"z"}),
    "mix": shows({"z"}),
    "One head": shows(QUERIES, VALUES),
    "asks": body("query", among=SPEAKERS),
    "answers": body("key", among=SPEAKERS),
    "gives": body("value", among=SPEAKERS),
    "The whole head": shows({"x"}, QUERIES, KEYS, VALUES, {"pattern"}, {"z"}),
    # scene_heads
    "pattern: who reads whom": shows({"pattern"}),
    "keys: how a word is found": shows(KEYS),
    "values: what it hands on": shows(VALUES),
    "A head at a glance": shows({"pattern"}, KEYS, VALUES),
    "Side by side": shows({"pattern"}),
    "{patterns}": either(
        figure("patterns", "patterns"), figure("total", "patterns"), figure("many", "patterns")
    ),
    "Output matrix": shows({"z"}, {"out"}),
    "{width} numbers for “{query}”": both(shows({"out"}), figure("width", "width")),
    # scene_patterns
    "The whole model": shows({"patterns_of_layer"}),
    "A place to rest": shows({"patterns_of_layer"}),
    "{resting} of {all}": either(
        both(figure("resting", "resting"), figure("all", "all")),
        both(figure("twin_resting", "resting"), figure("twin_all", "all")),
    ),
    "heads rest on {first}": shows({"patterns_of_layer"}),
    "GPT-2": shows({"patterns_of_layer"}),
    "heads of {gpt2}": both(shows({"patterns_of_layer"}), figure("gpt2", "gpt2")),
    "In DeepSeek-R1": shows({"repeated_patterns"}),
    # scene_kv_cache
    **dict.fromkeys(("The next word", "One token", "What is in the box?"), free),
    "One new row": there("query", "key", "value"),
    "KV cache": there("key", "value"),
    "Made once, or again and again": free,
    "The whole cache": panel("cached_keys", "cached_values"),
    "query": coloured("query"),
    "key": coloured("key"),
    "value": coloured("value"),
    "likely": figure("likely"),
    "pairs with a cache": figure("once"),
    "pairs without": figure("again"),
    "{more} × our model": figure("more", "more"),
    "{count} numbers": free,
    "our model": figure("cost"),
    "DeepSeek-R1": figure("cached bytes", scheme="mha"),
    # scene_sharing
    "head {head}": panel("pattern", "shared_difference", of=_is_of_head),
    "MHA": figure("average", attention="MHA"),
    "GQA": figure("average", attention="GQA"),
    "MQA": figure("average", attention="MQA"),
    "no sharing": near("MHA", "GQA", "MQA"),
    "groups": near("GQA", "MHA", "MQA"),
    "one set": near("MQA", "GQA", "MHA"),
    # scene_mla
    "original": panel("pattern"),
    "mean of the sets": side_of_duel("mean"),
    "best shared set": side_of_duel("best"),
    "one latent": side_of_duel("latent"),
    "{share} moved": owned("moved share", "share"),
    "layer {layer}": free,  # ends of axes of a chart made by hand
    "(only dashes)": free,
    # It stands below the product that the keys are.
    "all keys, rebuilt": panel("latent_keys", *MEANINGS["weights"], *MEANINGS["latents"]),
    "highest": _at_largest,
    "≈ {number}": both(figure("rounding", "number"), panel("difference_of_forms")),
    # scene_rotation
    "latent: no position": figure("kept numbers", part="latent"),
    "key: with position": figure("kept numbers", part="rope"),
    **dict.fromkeys(
        ("{number} place apart", "{number} places apart"),
        either(
            panel("merged_weights", of=_is_at_distance),
            both(figure("apart", "number"), _is_apart),
        ),
    ),
    "{share} changed": panel("merged_weights", of=_has_changed),
    "not turned": panel("merged_weights", of=lambda s, source, slots: _distance(source) == 0),
    **dict.fromkeys(("places apart", "as in the sentence"), free),
    "from the latent": figure("part of a score", part="unrotated"),
    "+ from the rotated key": figure("part of a score", part="rotated"),
    **dict.fromkeys(("= together", "≈ together"), figure("part of a score", part="sum")),
    "how much more unsure than the original model: shorter is better": free,
    "converted to latents, untrained": figure("perplexity", healed=False),
    "after {minutes} of training": figure("perplexity", healed=True),
    # scene_cache_size
    "{full} in {memory}": either(
        both(figure("full", "full"), body("key", "value")),
        both(figure("latent_full", "full"), body("latent")),
    ),
    "{count} times": figure("work", "count"),
    "a key that one head reads": both(figure("uses"), body("key", over=True)),
    "a latent that all heads share": both(figure("work"), body("latent", over=True)),
    "keys and values: {shared}": body("key", "value"),
    "{old_sets} for {old_heads}": both(
        figure("old sets", "old_sets"), figure("old heads", "old_heads"), body("key", "value")
    ),
    "a latent: ÷ {factor}": both(
        figure("factor", "factor", place=0), either(body("latent"), body("latent", over=True))
    ),
    "fewer layers: ÷ {factor}": both(
        figure("factor", "factor", place=1), either(body("latent"), body("latent", over=True))
    ),
    "fewer bits: ÷ {factor}": both(
        figure("factor", "factor", place=2), either(body("latent"), body("latent", over=True))
    ),
    # scene_sparse
    "a cell = a head": free,
    "not read": legend("masked"),
    "{count} tokens, one entry": either(figure("group", "count"), figure("block", "count")),
    **dict.fromkeys(("in some layers", "in other layers"), free),
    # scene_answer
    **dict.fromkeys(("large models", "small models", "tests"), free),
    **dict.fromkeys(("BBH", "MMLU", "C-Eval", "CMMLU"), free),
    **{words: near(text, *CREDITS.values()) for words, text in CREDITS.items()},
    **dict.fromkeys(CREDITS.values(), free),
    **dict.fromkeys(("model", "Apache 2.0"), free),
}
"""What words name that stand in pictures, as they are in English, with names of facts in braces.

The names of panels mean the same wherever they stand (:data:`MEANINGS`).
"""


WRITTEN = {
    "bytes": r"\d.+",
    "head": r"\d+",
    "patterns": r"[\d,]+ patterns?",
    "heads": r"\d+(?:, \d+)*(?: (?:to|and) \d+)?",
    "memory": r"[\d,]+ GB",
    "share": r"[\d.,]+%",
    **dict.fromkeys(("dot", "asked", "answered", "product", "score"), r"[−\d.,]+"),
    "sign": r"/ √|× ",
    "equals": "[=≈]",
    "operation": "[−+]",
    "old_sets": r"\d+ [^\d]+",
    **dict.fromkeys(
        ("count", "full", "factor", "more", "number", "layers", "resting", "all"), r"[\d,.]+"
    ),
}
"""How what is written into words looks, by its name; anything where nothing is said."""


def misnamed_words(seen: Seen) -> Iterator[str]:
    """Yield a line for each text in a picture that does not stand beside what it names.

    So it does for words that are new, and for figures that are facts and stand alone.
    """
    stage = seen.stage
    for block in seen.blocks:
        named = [condition(seen, block, slots) for condition, slots in _meanings_of(block.text)]
        facts = [fact for fact in stage.ledger if fact == block.text]
        if any(named) or _needs_no_name(stage, block.text) or _is_of_panel(seen, block, facts):
            continue
        if _is_word_of(seen, block):
            continue
        if isinstance(block.parent, Header) and block.text.removeprefix("= ") in MEANINGS:
            continue  # the panel below knows its name
        if isinstance(block.lines[0], Number) and not facts:
            continue  # it is counting
        if block.is_faint and (named or facts):
            continue
        if named:
            yield f"{block.text!r} does not stand beside what it names"
        elif not facts:
            yield f"{block.text!r} is new: say in tests/support/meanings.py what it names"
        elif _is_bare(block.text) and not any(_has_words(seen, fact) for fact in facts):
            yield f"{block.text!r} ({facts[0].name}) stands alone: say beside= what it belongs to"


def is_named(text: str) -> bool:
    """Whether words have a meaning, wherever they stand."""
    return any(_meanings_of(text))


def _meanings_of(text: str) -> Iterator[tuple[Condition, Slots]]:
    """Yield where a text may stand, and what is written into it."""
    if text in MEANINGS:
        yield panel(*MEANINGS[text]), {}
    for words, pattern in _patterns().items():
        if found := pattern.fullmatch(text):
            yield WORDS[words], found.groupdict()


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return a pattern for each of the words, with a group for each fact."""
    return {
        words: re.compile(
            re.sub(
                r"\\{(\w+)\\}",
                lambda slot: f"(?P<{slot[1]}>{WRITTEN.get(slot[1], '.+')})",
                re.escape(words),
            )
        )
        for words in WORDS
    }


def _is_one_text(stage: Stage, text: str) -> bool:
    """Whether several lines together are words that are known."""
    figures = (fact for fact in stage.ledger if not isinstance(fact.value, str))
    return any(_meanings_of(text)) or any(text in (fact, fact.beside) for fact in figures)


def _needs_no_name(stage: Stage, text: str) -> bool:
    """Whether a text is a sign, or a word of the prompt or one that may follow it."""
    meta = stage.trace.meta
    likely = meta.top_tokens[meta.n_prompt - 1] if meta.top_tokens else ()
    tokens = (*meta.tokens, *stage.layer.words, *likely, *gpt2_trace().meta.tokens)
    words = {printable(token).strip() for token in tokens} | {"‹start›"}
    word = text.strip(" :“”„«»,.")
    if word.startswith(meta.model):
        return True  # in the credits
    short = word.removesuffix("…")
    return (
        not any(map(str.isalnum, text))
        or word in words
        or (short != word and any(token.startswith(short) for token in words))
    )


def _is_of_panel(seen: Seen, block: Block, facts: Iterable[Fact]) -> bool:
    """Whether a figure is the number of the head whose panel is nearest, or a fact of that."""
    sources = [thing.mobject.source for thing in nearest(block, seen.panels)]  # type: ignore[attr-defined]
    heads = set[int]().union(*(heads_of(seen.stage.trace, source) for source in sources))
    own = {fact.given["head"] for fact in facts if "head" in fact.given}
    return bool(own & heads) or (block.text.isdigit() and int(block.text) in heads)


def _is_word_of(seen: Seen, block: Block) -> bool:
    """Whether a word is one of a fact of several words, near what this belongs to."""
    facts = [fact for fact in seen.stage.ledger if " " in fact and isinstance(fact.value, str)]
    there = [other for other in seen.blocks if other.text in {fact.beside for fact in facts}]
    own = {fact.beside for fact in facts if block.text.strip() in fact.split()}
    return bool(own and there) and min(there, key=partial(_lines_between, block)).text in own


def _is_bare(text: str) -> bool:
    """Whether a figure has no words of its own, but perhaps a unit."""
    return not re.search(r"[^\W\d_]{3}", text)


def _has_words(seen: Seen, fact: Fact) -> bool:
    """Whether what a fact belongs to is on screen; words at low rows may be left out."""
    there = {thing.role for thing in seen.bodies} | {block.text for block in seen.blocks}
    there |= {printable(word) for word in seen.stage.layer.words}
    return fact.beside in there


def _lines_between(one: Block, other: Block) -> tuple[float, float, float]:
    """Return how many lines texts are apart, and then how far aside and in height."""
    a, b = one.box, other.box
    over = max(0.0, a.bottom - b.top, b.bottom - a.top)
    return over // a.height, max(0.0, a.left - b.right, b.left - a.right), over


def _between(one: Block, other: Block) -> float:
    """Return the distance between two texts, in pixels."""
    a, b = one.box, other.box
    aside = max(0.0, a.left - b.right, b.left - a.right)
    over = max(0.0, a.bottom - b.top, b.bottom - a.top)
    return float(np.hypot(aside, over))
