"""What each fact of the film's scenes is, computed again from the trace and from published figures.

A scene names its facts (:mod:`filmkit.core.facts`); :data:`REFERENCES` has for each name a function
of the stage and of what the fact was computed from. It takes another way than the scene: numbers
come from the trace's tensors, by the plainest arithmetic, for the layer and the head that the stage
was asked for. A name that means different things in two scenes is preceded by the scene's module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.facts.architectures import ARCHITECTURES, Architecture
from extract.facts.gpus import GPU_BYTES, H100_SXM
from extract.facts.published import gpt2_trace
from extract.facts.v2_report import DENSE_7B, MOE, V2_SAVING, QualityColumn
from extract.recompute.merged import MergedMatrix
from extract.trace import Trace
from extract.trace.contents.conversion_report import ConversionReport, Row, conversion_report
from filmkit.core.quantities import QUANTITIES
from filmkit.core.stage import Stage
from filmkit.core.token_text import printable
from filmkit.core.view import best_match

__all__ = ["REFERENCES", "Interval", "reference_of"]

Array = npt.NDArray[np.float64]
Reference = Callable[..., Any]

REFERENCES: dict[str, Reference] = {}
"""A function for each fact, by its name, or by its scene's folder and its name."""

MODELS = {arch.name: arch for arch in ARCHITECTURES}
R1, OLD, V2 = (MODELS[name] for name in ("DeepSeek-V3/R1", "DeepSeek 67B", "DeepSeek-V2"))
TESTS = ("bbh", "mmlu", "c_eval", "cmmlu")


class Interval(tuple[float, float]):
    """A range in which a number must lie that is nothing but rounding."""


def fact(*names: str) -> Callable[[Reference], Reference]:
    """Use a function for facts of these names; a decorator."""

    def add(compute: Reference) -> Reference:
        assert not set(names) & REFERENCES.keys()
        REFERENCES.update(dict.fromkeys(names, compute))
        return compute

    return add


def reference_of(stage: Stage, name: str) -> Reference | None:
    """Return the function for a fact of a scene, or None."""
    folder = type(stage).__module__.split(".")[1]
    return REFERENCES.get(f"{folder}.{name}", REFERENCES.get(name))


def again(stage: Stage, quantity: str, **given: Any) -> Array:
    """Compute a quantity of the stage's layer, at all positions."""
    return np.asarray(
        QUANTITIES[quantity].compute(stage.trace, layer=stage.layer.layer, **given), np.float64
    )


# Sizes of the model


REFERENCES.update(
    {
        "heads": lambda s: s.trace.meta.n_heads,
        "layers": lambda s: s.trace.meta.n_layers,
        "layer": lambda s: s.layer.layer,
        "width": lambda s: s.trace.get("x", s.layer.layer).shape[1],
        "drawn width": lambda s: min(128, s.trace.meta.d_model),
        "products": lambda s: s.trace.get("q", s.layer.layer).shape[2],
        "columns": lambda s: s.trace.get("z", s.layer.layer)[0].size,
        "scaling": lambda s: s.trace.meta.score_scale,
        "read tokens": lambda s: s.trace.meta.n_prompt,
        "rebuilt width": lambda s: content_width(s),
        "rebuilt keys": lambda s: 0,
        "heads.patterns": lambda s: s.trace.meta.n_heads,
        "twin_all": lambda s: patterns(gpt2_trace()).shape[0] * patterns(gpt2_trace()).shape[1],
        "patterns.total": lambda s: patterns(s.trace).shape[0] * patterns(s.trace).shape[1],
        "all": lambda s: patterns(s.trace).shape[0] * patterns(s.trace).shape[1],
        "patterns.few": lambda s: resting(s) // 8,
        "patterns.some": lambda s: resting(s) // 2,
        "word": lambda s: printable(last_word(s)),
    }
)


@fact("like_them", "sets", "heads.groups")
def kv_heads(stage: Stage) -> int:
    return stage.trace.meta.n_kv_heads


@fact("groups")
def groups(stage: Stage) -> int:
    """As many as there are between one set for all and one for every head, or else these."""
    found = sets_of_groups(stage)
    return found if found > 1 else stage.trace.meta.n_heads


def sets_of_groups(stage: Stage) -> int:
    """As many as the model has, or else up to four of equal size."""
    heads, own = stage.trace.meta.n_heads, stage.trace.meta.n_kv_heads
    if own < heads:
        return own
    return next(n for n in (4, 3, 2, 1) if heads % n == 0 and (2 * n <= heads or n == 1))


def last_word(stage: Stage) -> str:
    meta = stage.trace.meta
    follows = stage.layer.stop == meta.n_prompt < len(meta.tokens)
    return meta.tokens[stage.layer.stop - (not follows)]


# One head


@fact("query", "key", "match")
def word_of_match(stage: Stage) -> set[str]:
    return {printable(stage.layer.words[i]) for i in best_match(stage.head)}


@fact("offered")
def offered(stage: Stage) -> tuple[str, ...]:
    """The key, and the two words before the query that are nearest to it."""
    (query, key), words = best_match(stage.head), stage.layer.words
    first = int(stage.layer.draws_start)
    spelt = [
        i for i in range(first, query) if i != key and re.search(r"\w", words[i].replace("_", ""))
    ]
    return tuple(printable(words[i]) for i in sorted({key, *(spelt[-2:] or [query])}))


@fact("sentence")
def sentence(stage: Stage) -> str:
    """The words that are drawn, as they were written; the beginning token is none of them."""
    meta, layer = stage.trace.meta, stage.layer
    words = meta.tokens[1:] if meta.has_bos else meta.tokens
    drawn = slice(max(0, layer.first - meta.has_bos), layer.stop - meta.has_bos)
    return printable("".join(words[drawn]))


@fact("dot")
def dot(stage: Stage) -> float:
    query, key = matched(stage)
    return float(again(stage, "dot_products", head=stage.head.head)[query, key])


@fact("channel")
def channel_of(stage: Stage, of: str, channel: int) -> float:
    """One number of the query or the key that the film follows, as used in the scores.

    Or of the input of the word that asks.
    """
    query, key = matched(stage)
    head = stage.head.head
    if of == "key":
        head //= stage.trace.meta.n_heads // stage.trace.meta.n_kv_heads
    if of == "input":
        return float(stage.trace.get("x", stage.layer.layer)[query, channel])
    name = stage.trace.used("q" if of == "query" else "k")
    row = stage.trace.get(name, stage.layer.layer)[query if of == "query" else key, head]
    return float(row[channel])


@fact("product of")
def product_of(stage: Stage, channel: int) -> float:
    return channel_of(stage, "query", channel) * channel_of(stage, "key", channel)


@fact("together")
def together(stage: Stage, positions: tuple[int, ...]) -> int:
    """How many words the query that is followed sees, less those that stand alone."""
    return len(positions)


@fact("scale")
def scale(stage: Stage) -> float:
    """The number before which a root stands, where the scores are divided by that of the width."""
    width, factor = stage.trace.get("q", stage.layer.layer).shape[2], stage.trace.meta.score_scale
    return width if np.isclose(factor, 1 / np.sqrt(width)) else factor


@fact("score of")
def score_of(stage: Stage, key: int) -> float:
    """The score of the query that is followed with another key, before any mask."""
    scores = stage.trace.scores(stage.layer.layer, stage.head.head)
    return float(scores[matched(stage)[0], stage.layer.first + key])


@fact("scaled", "score")
def scaled(stage: Stage) -> float:
    return dot(stage) * stage.trace.meta.score_scale


@fact("attention.share")
def share(stage: Stage) -> float:
    query, key = matched(stage)
    return float(stage.trace.get("pattern", stage.layer.layer)[stage.head.head, query, key])


@fact("weight")
def weight(stage: Stage, positions: tuple[int, ...]) -> float:
    """The attention of the query that is followed to positions; to a sink if there are none."""
    row = stage.trace.get("pattern", stage.layer.layer)[stage.head.head, matched(stage)[0]]
    return float(row[list(positions)].sum() if positions else 1 - row.sum())


@fact("place")
def place(stage: Stage, of: str, steps: int = 0) -> int:
    return matched(stage)[("query", "key").index(of)] + steps


@fact("angle")
def angle(stage: Stage, pair: int) -> float:
    """By how much a pair of channels is turned between both positions, in degrees."""
    turn = stage.trace.rotation(stage.layer.layer)
    query, key = (complex(turn.cos[at, pair], turn.sin[at, pair]) for at in matched(stage))
    return abs(float(np.degrees(np.angle(query * key.conjugate()))))


@fact("true")
def distance(stage: Stage) -> int:
    query, key = matched(stage)
    return query - key


def matched(stage: Stage) -> tuple[int, int]:
    """The positions of the query and the key that the film follows."""
    query, key = best_match(stage.head)
    return stage.layer.first + query, stage.layer.first + key


# All patterns


def patterns(trace: Trace) -> Array:
    """[layer, head, query, key] of the prompt."""
    stop = trace.meta.n_prompt
    layers = range(trace.meta.n_layers)
    return np.stack([trace.get("pattern", i)[:, :stop, :stop] for i in layers]).astype(np.float64)


def habit(trace: Trace, name: str) -> Array:
    """How much each head looks one word back, or at the first token: [layer, head]."""
    if name == "previous":
        beside = np.diagonal(patterns(trace), -1, 2, 3)
        # The word before the second one is the first token, where idle attention goes.
        return beside[..., int(beside.shape[-1] > 1) :].mean(axis=-1)
    return patterns(trace)[..., 1:, 0].mean(axis=-1)


@fact("resting")
def resting(stage: Stage) -> int:
    return int(resting_of(stage).sum())


def resting_of(stage: Stage) -> npt.NDArray[np.bool_]:
    """Which heads give the first token more than half of their attention, [layer, head]."""
    return np.asarray(habit(stage.trace, "sink") > 0.5)


@fact("habit")
def strongest(stage: Stage, habit_name: str) -> float:
    return float(habit(stage.trace, habit_name).max())


@fact("twin_resting")
def resting_twins(stage: Stage) -> int:
    return int((habit(gpt2_trace(), "sink") > 0.5).sum())


@fact("gpt2")
def gpt2(stage: Stage) -> str:
    return gpt2_trace().meta.model


REFERENCES.update(
    {
        "many_layers": lambda s: R1.n_layers,
        "many_heads": lambda s: R1.n_heads,
        "many": lambda s: R1.n_layers * R1.n_heads,
    }
)


# The latent, and one shared set


@fact("cached")
def cached(stage: Stage) -> int:
    return sum(latent_widths(stage))


@fact("rank")
def rank(stage: Stage) -> int:
    return latent_widths(stage)[0]


@fact("rope")
def rope(stage: Stage) -> int:
    return latent_widths(stage)[1]


def is_mla(stage: Stage) -> bool:
    """Whether the model itself keeps latents."""
    return stage.trace.meta.attention == "mla"


def latent_widths(stage: Stage) -> tuple[int, int]:
    """Numbers of the latent, and of the rotated key beside it."""
    trace, layer = stage.trace, stage.layer.layer
    if trace.meta.attention == "mla":
        return trace.get("kv_latent", layer).shape[1], trace.get("k_rope", layer).shape[1]
    if is_converted(stage):
        return trace[f"mla.{layer}.W_DKV"].shape[1], trace[f"mla.{layer}.W_KR"].shape[1]
    return trace[f"latent.{layer}.W_DKV"].shape[1], 0


def is_converted(stage: Stage) -> bool:
    return f"mla.{stage.layer.layer}.W_DKV" in stage.trace.tensors


def content_width(stage: Stage) -> int:
    """Channels of a key that come from the latent."""
    meta = stage.trace.meta
    return meta.d_qk - (meta.rotary_dim if meta.attention == "mla" else 0)


@fact("lost_k")
def lost_keys(stage: Stage) -> float:
    return relative_error(stage, "k")


@fact("lost_v")
def lost_values(stage: Stage) -> float:
    return relative_error(stage, "v")


@fact("relative error")
def relative_error(stage: Stage, of: str) -> float:
    trace, layer, kv_head = stage.trace, stage.layer.layer, stage.head.kv_head
    tensor, rebuilt = {"k": (trace.unrotated("k"), "keys"), "v": ("v", "values")}[of]
    drawn = slice(stage.layer.first, stage.layer.stop)
    own = trace.get(tensor, layer)[drawn, kv_head].astype(np.float64)
    lost = again(stage, f"latent_{rebuilt}", kv_head=kv_head)[drawn] - own
    if any(trace.has(bias, layer) for bias in ("b_K", "b_V", "b_O")):
        own, lost = own - own.mean(axis=0), lost - lost.mean(axis=0)
    return float(np.sqrt((lost**2).sum() / (own**2).sum()))


def largest_output(stage: Stage) -> float:
    return float(np.abs(again(stage, "latent_output")).max())


@fact("rounding")
def rounding(stage: Stage) -> Interval:
    return Interval((0.0, 1e-9 * largest_output(stage)))


@fact("white")
def white(stage: Stage) -> float:
    """The largest power of ten below a thousandth of the largest output."""
    limit = largest_output(stage) / 1000
    return max(10.0**power for power in range(-30, 30) if 10.0**power <= limit)


@fact("mla.own")
def own_numbers(stage: Stage) -> int:
    trace, layer = stage.trace, stage.layer.layer
    return trace.get("k", layer)[0].size + trace.get("v", layer)[0].size


@fact("budget")
def budget(stage: Stage) -> int:
    return own_numbers(stage) // stage.trace.meta.n_kv_heads


@fact("rebuilt numbers")
def rebuilt_numbers(stage: Stage) -> int:
    trace = stage.trace
    return stage.layer.stop * trace.meta.n_kv_heads * content_width(stage)


@fact("sharing.moved")
def sharing_moves(stage: Stage) -> float:
    return moved(stage, lambda head: again(stage, "shared_pattern", head=head, sets=1))


@fact("moved in a head")
def moved_in_a_head(stage: Stage, head: int) -> float:
    own = stage.trace.get("pattern", stage.layer.layer)[head].astype(np.float64)
    apart = np.abs(again(stage, "shared_pattern", head=head, sets=1) - own)
    return float(apart[1 : stage.trace.meta.n_prompt].sum(axis=1).mean() / 2)


def side(stage: Stage, way: str, head: int) -> Array:
    """A head's pattern in a way of the duel: as stored, or computed from the layer alone."""
    trace, layer = stage.trace, stage.layer.layer
    stored = {"mean": "mqa", "best": "mqa_fitted", "latent": "mla"}[way]
    if is_converted(stage):
        q, k = (trace[f"duel.{stored}.{n}"].astype(np.float64) for n in ("q_used", "k_used"))
        scores = trace.meta.score_scale * q[:, head] @ k[:, head * k.shape[1] // q.shape[1]].T
        weights = np.tril(np.exp(scores - scores.max()))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
    if way == "best":
        x, down = (np.asarray(trace[n], np.float64) for n in (f"x.{layer}", f"shared.{layer}.W_DK"))
        up = trace[f"shared.{layer}.W_UK"].astype(np.float64)
        keys = np.einsum("pc,cr,rgd->pgd", x, down, up)
        return trace.attend(layer, trace.queries(layer), keys, trace.get("v", layer)).pattern[head]
    given = {"sets": 1} if way == "mean" else {}
    return again(stage, {"mean": "shared_pattern"}.get(way, "latent_pattern"), head=head, **given)


def side_moves(stage: Stage, way: str) -> float:
    return moved(stage, lambda head: side(stage, way, head))


REFERENCES.update(
    {
        "mean_layer": partial(side_moves, way="mean"),
        "best_layer": partial(side_moves, way="best"),
        "best_again": partial(side_moves, way="best"),
        "latent_layer": partial(side_moves, way="latent"),
        "latent_again": partial(side_moves, way="latent"),
        # Between what moves with the best shared set and with a latent: a wrong answer.
        "between": lambda s: (side_moves(s, "best") + side_moves(s, "latent")) / 2,
    }
)


@fact("all_moved", "all moved")
def all_moved(stage: Stage) -> float:
    """By the latent alone, of the layer as the last pictures show it."""
    return moved(stage, lambda head: again(stage, "latent_pattern", head=head))


def moved(stage: Stage, pattern: Callable[[int], Array]) -> float:
    """Share of the attention that goes elsewhere, over all heads and rows but the first."""
    meta, layer = stage.trace.meta, stage.layer.layer
    if meta.n_prompt < 2:
        return 0.0
    own = stage.trace.get("pattern", layer).astype(np.float64)
    rows = slice(1, meta.n_prompt)
    apart = [np.abs(pattern(head) - own[head])[rows].sum(axis=1) / 2 for head in range(len(own))]
    return float(np.mean(apart))


# The conversion of the whole model


def report(stage: Stage) -> ConversionReport:
    return conversion_report(stage.trace)


def row_of(stage: Stage, way: str) -> Row:
    """What the whole model did in a way of the duel, with nothing trained."""
    name = {"mean": "mqa", "best": "mqa_fitted", "latent": "mla"}[way]
    rows = [row for row in report(stage).ladder if row.way == name]
    return next(row for row in rows if row.numbers == budget(stage))


def whole_moves(stage: Stage, way: str) -> float:
    return float(np.mean(row_of(stage, way).moved_by_layer))


@fact("moved when trained")
def moved_when_trained(stage: Stage, way: str) -> float:
    """Of the latent by its stored patterns of all layers; of the shared set as was measured."""
    if way == "best":
        shared = report(stage).shared_set
        assert shared is not None
        assert shared.healed is not None
        return float(np.mean(shared.healed.moved_by_layer))
    trace, rows = stage.trace, slice(1, stage.trace.meta.n_prompt)
    layers = range(trace.meta.n_layers)
    pairs = ((trace[f"mla.{n}.pattern"], trace.get("pattern", n)) for n in layers)
    apart = [np.abs(made.astype(np.float64) - own)[:, rows].sum(-1) / 2 for made, own in pairs]
    return float(np.mean(apart))


REFERENCES.update(
    {
        "mean_moved": partial(whole_moves, way="mean"),
        "best_moved": partial(whole_moves, way="best"),
        "latent_moved": partial(whole_moves, way="latent"),
    }
)


@fact("moved share")
def moved_share(stage: Stage, way: str, *, all_layers: bool) -> float:
    return (whole_moves if all_layers else side_moves)(stage, way)


@fact("moved rows")
def moved_rows(stage: Stage) -> int:
    """The rows of the prompt that have more than one key."""
    return sum(1 for row in range(stage.trace.meta.n_prompt) if row)


@fact("all of the attention")
def all_attention(stage: Stage) -> float:
    return float(stage.trace.get("pattern", stage.layer.layer)[0, 0].sum())


@fact("next")
def next_word(stage: Stage) -> str:
    return re.match(r"\w+", report(stage).ladder[0].continuation.strip())[0]  # type: ignore[index]


@fact("rotation.share")
def kept_share(stage: Stage) -> float:
    layer = stage.layer.layer
    parts = (stage.trace[f"mla.{layer}.{name}"].shape[1] for name in ("c", "k_rot"))
    return sum(parts) / own_numbers(stage)


@fact("perplexity")
def more_perplexity(stage: Stage, *, healed: bool) -> float:
    by_way = {(row.way, row.healed): row.result.perplexity for row in report(stage).windows}
    return by_way["mla", healed] / by_way["model", False] - 1


@fact("worse")
def worse(stage: Stage) -> float:
    return more_perplexity(stage, healed=False)


@fact("mended")
def mended(stage: Stage) -> float:
    return more_perplexity(stage, healed=report(stage).healed is not None)


@fact("minutes")
def minutes(stage: Stage) -> float:
    return report(stage).heal_minutes


@fact("one")
def change_at_one(stage: Stage) -> float:
    return change(stage, 1)


@fact("five")
def change_at_five(stage: Stage) -> float:
    return change(stage, 5)


@fact("change")
def change(stage: Stage, distance: int) -> float:
    merged = MergedMatrix(stage.trace, stage.layer.layer, stage.head.head)
    first = merged.matrix(0)
    return float(np.sqrt(((merged.matrix(distance) - first) ** 2).sum() / (first**2).sum()))


@fact("apart")
def apart(stage: Stage, distance: int) -> int:
    return distance


@fact("part of a score")
def part_of_score(stage: Stage, part: str) -> float:
    trace, head, layer = stage.trace, stage.head.head, stage.layer.layer
    query, key = matched(stage)
    if trace.meta.attention == "mla":
        names = "scores_of_latents", "scores_of_rotated"
        parts = [QUANTITIES[name].compute(trace, layer, head) for name in names]
    else:
        parts = [trace[f"mla.{layer}.scores_{name}"][head] for name in ("latent", "rot")]
    unrotated, rotated = (float(p[query, key]) for p in parts)
    return {"unrotated": unrotated, "rotated": rotated, "sum": unrotated + rotated}[part]


@fact("slid")
def slid(stage: Stage, distance: int) -> float:
    query, key = matched(stage)
    merged = MergedMatrix(stage.trace, stage.layer.layer, stage.head.head)
    return float(merged.scores(query, key, distance + 1)[-1])


@fact("clocks")
def clocks(stage: Stage) -> int:
    return len(stage.trace.rotation(stage.layer.layer).steps)


@fact("words read")
def words_read(stage: Stage) -> int:
    return stage.layer.count + stage.layer.hides_first


# Published models


def numbers_per_token(arch: Architecture, scheme: str, groups: int | None = None) -> int:
    """Cached by one layer."""
    if scheme == "mla":
        assert arch.latent is not None
        return sum(arch.latent)
    sets = {"mha": arch.n_heads, "gqa": groups or arch.n_kv_heads, "mqa": 1}[scheme]
    return 2 * sets * arch.d_head


@fact("cached bytes")
def cached_bytes(
    stage: Stage | None,
    model: str,
    scheme: str,
    groups: int | None = None,
    tokens: int = 1,
    bits: float = 16,
) -> float:
    arch = MODELS[model]
    return numbers_per_token(arch, scheme, groups) * arch.n_layers * tokens * bits / 8


def r1_bytes(scheme: str, tokens: int = 1) -> float:
    return cached_bytes(None, R1.name, scheme, None, tokens)


def full(scheme: str) -> int:
    return int(80e9 // r1_bytes(scheme))


@fact("work")
def work(stage: Stage) -> float:
    """Multiply-adds for each number of a latent that is read, on average."""
    # The latent takes part in the scores and in the mix, the rotated key in the scores alone.
    assert R1.latent is not None
    mixed, rotated = R1.latent[:2]
    return R1.n_heads * (2 * mixed + rotated) / (mixed + rotated)


REFERENCES.update(
    {
        "question.bytes": lambda s: r1_bytes("mha"),
        "question.gigabytes": lambda s: GPU_BYTES / 1e9,
        "question.capacity": lambda s: full("mha"),
        "cache_size.heads": lambda s: R1.n_heads,
        "megabytes": lambda s: r1_bytes("mha"),
        "kilobytes": lambda s: r1_bytes("mla"),
        "times": lambda s: r1_bytes("mha") / r1_bytes("mla"),
        "cache_size.about": lambda s: r1_bytes("mha") / r1_bytes("mla"),
        "full": lambda s: full("mha"),
        "latent_full": lambda s: full("mla"),
        "ridge": lambda s: ridge(),
        "uses": lambda s: 1,  # a key is multiplied by one query, a value by one share
        "old sets": lambda s: 8,
        "old heads": lambda s: 64,
        "cache_size.few": lambda s: full("mla") / 20,
        "cache_size.some": lambda s: full("mla") / 4,
        "cache_size.many": lambda s: full("mla"),
        "sharing.percent": lambda s: 100 * sharing_moves(s),
        "sharing.few": lambda s: 10 * sharing_moves(s),
        "sharing.some": lambda s: 20 * sharing_moves(s),
        "saving": lambda s: V2_SAVING,
        "by_latent": lambda s: column_bytes(0) / column_bytes(1),
        "smaller": lambda s: old_bytes() / new_bytes(6),
        "kept by the large model": lambda s, part: {"latent": 512, "rope": 64, "both": 576}[part],
    }
)


def ridge() -> float:
    """Multiply-adds that the chip could do while it reads one number of 16 bits."""
    return H100_SXM.operations_per_second / 2 / (H100_SXM.bytes_per_second / 2)


def old_bytes() -> float:
    return cached_bytes(None, OLD.name, "gqa")


def new_bytes(bits: float) -> float:
    return cached_bytes(None, V2.name, "mla", bits=bits)


def column_of(table: Any, attention: str, size: str = "") -> QualityColumn:
    found = (c for c in table.columns if c.attention.split(",")[0] == attention)
    return next(column for column in found if column.size == size)


@fact("average")
def average(stage: Stage, attention: str) -> float:
    column = column_of(DENSE_7B, attention)
    return float(np.mean([getattr(column, test) for test in TESTS]))


REFERENCES.update(
    {
        "best": lambda s: average(s, "MHA"),
        "worst": lambda s: average(s, "MQA"),
        "better": lambda s: len(tests_won()),
        "tests": lambda s: len(wins()),
        "answer.few": lambda s: len(wins()) // 4,
        "answer.some": lambda s: len(wins()) // 2,
    }
)


def wins() -> dict[frozenset[str], bool]:
    """For each size and test whether the model with a latent did better than that with all."""
    return {
        frozenset((f"{size} models", name)): getattr(column_of(MOE, "MLA", size), test)
        > getattr(column_of(MOE, "MHA", size), test)
        for size in ("small", "large")
        for name, test in zip(("BBH", "MMLU", "C-Eval", "CMMLU"), TESTS, strict=True)
    }


def tests_won() -> set[frozenset[str]]:
    """The names of sizes and tests with which the model with a latent did better."""
    return {names for names, won in wins().items() if won}


# What one token costs in the traced model


def token_bytes(stage: Stage, heads: int) -> int:
    meta = stage.trace.meta
    return 2 * heads * (meta.d_qk + meta.d_v) * meta.n_layers


REFERENCES.update(
    {
        "kv_cache.bytes": lambda s: token_bytes(s, s.trace.meta.n_kv_heads),
        "all_heads": lambda s: R1.n_heads,
        "kv_cache.words": lambda s: s.layer.count + 1,
        "once": lambda s: s.layer.count + 1,
        "again": lambda s: sum(range(s.layer.count + 2)),
        "all_layers": lambda s: R1.n_layers,
        "all_bytes": lambda s: r1_bytes("mha"),
        "more": lambda s: r1_bytes("mha") / token_bytes(s, s.trace.meta.n_kv_heads),
    }
)


@fact("cost")
def cost(stage: Stage) -> int:
    return token_bytes(stage, stage.trace.meta.n_kv_heads)


@fact("likely")
def likely(stage: Stage, rank: int) -> float:
    return float(stage.trace["top_probs"][stage.trace.meta.n_prompt - 1, rank])


# How many numbers are kept


@fact("kept numbers")
def kept_numbers(stage: Stage, *, way: str = "", part: str = "", sets: int | None = None) -> int:
    """Of a token, in the layer: with as many sets, in a way of the duel, or parts of a latent."""
    if part:
        latent, rotated = latent_widths(stage)
        return {"latent": latent, "rope": rotated, "both": latent + rotated}[part]
    if sets is not None:
        return sets * budget(stage)
    if way == "model":
        return own_numbers(stage)
    return sum(latent_widths(stage)) if way == "latent" else budget(stage)


# Which tokens to read


def read_tokens(stage: Stage) -> int:
    """Three of the keys of the last query, or half of them."""
    return min(3, stage.layer.stop // 2)


def held(stage: Stage, way: str) -> float:
    """What so many keys hold of the last query's attention: the mean of all heads, one by one."""
    kept, _given = chosen_keys(stage, way)
    return float(kept.sum(axis=1).mean())


def chosen_keys(stage: Stage, way: str) -> tuple[Array, Array]:
    """What so many keys hold of the last query's attention, and all of it, (head, key) each."""
    query, count = stage.layer.stop - 1, read_tokens(stage)
    layers = range(stage.trace.meta.n_layers)
    rows = [stage.trace.get("pattern", layer)[:, query, : query + 1] for layer in layers]
    given = np.concatenate(rows).astype(np.float64)
    kept = np.zeros_like(given)
    for row, own in zip(given, kept, strict=True):
        chosen = {
            "last": range(len(row) - count, len(row)),
            "sink": [0, *range(len(row) - count + 1, len(row))],
            "best": sorted(range(len(row)), key=lambda key: row[key])[-count:],
        }
        for key in chosen[way]:
            own[key] = row[key]
    return kept, given


def shares_of_words(stage: Stage) -> list[float]:
    """Return the mean share of each word; what is before the first drawn one comes first."""
    query, first = stage.layer.stop - 1, stage.layer.first
    patterns = [stage.trace.get("pattern", layer) for layer in range(stage.trace.meta.n_layers)]
    mean = np.concatenate(patterns)[:, query, : query + 1].astype(np.float64).mean(axis=0)
    return [float(mean[:first].sum()), *map(float, mean[first:])]


def most_read(stage: Stage) -> str:
    """Return the word of the largest share; what is not drawn has a name of its own."""
    shares, meta = shares_of_words(stage), stage.trace.meta
    place = shares.index(max(shares))
    if place == 0:
        return "‹start›" if stage.layer.first == int(meta.has_bos) else "…"
    return printable(stage.layer.words[place - 1])


REFERENCES.update(
    {
        "sparse.n": read_tokens,
        "sparse.most": lambda s: max(shares_of_words(s)),
        "sparse.most read": most_read,
        "sparse.others": lambda s: read_tokens(s) - 1,
        **{f"sparse.{way}": partial(held, way=way) for way in ("last", "sink", "best")},
        "sparse.few": lambda s: 0.6 * held(s, "best"),
        "sparse.some": lambda s: 0.9 * held(s, "best"),
        "sparse.top_k": lambda s: 2048,
        "sparse.context": lambda s: 160 * 1024,
        "sparse.group": lambda s: 4,
        "sparse.block": lambda s: 128,
        "sparse.stored": lambda s: (512 + 64 + 128) / (512 + 64),
        "sparse.claimed at": lambda s: 10**6,
        "sparse.cache": lambda s: 0.1,
        "sparse.arithmetic": lambda s: 0.27,
    }
)


# More published figures


def column_bytes(place: int) -> float:
    """From the older model to the newer one: a latent, then fewer layers, then fewer bits."""
    assert V2.latent is not None
    latent = 2 * sum(V2.latent)
    return [
        old_bytes(),
        latent * OLD.n_layers,
        latent * V2.n_layers,
        latent * V2.n_layers * 6 / 16,
    ][place]


REFERENCES.update(
    {
        "factor": lambda s, place: column_bytes(place) / column_bytes(place + 1),
        "memory": lambda s: 80e9,
        "compared groups": lambda s: 8,
        "distance": lambda s, place: (0, 1, 5)[place],
        "steps": lambda s: place(s, "query", 10) - place(s, "query"),
        "sink": lambda s: 1 - float(attended(s).sum()),
        "shape": lambda s: min(24, s.trace.meta.d_model),
    }
)


def attended(stage: Stage) -> Array:
    row = stage.trace.get("pattern", stage.layer.layer)[stage.head.head, matched(stage)[0]]
    return np.asarray(row, np.float64)
