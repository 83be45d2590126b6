"""Compute the claims of the scenes again: what must be true where they say it.

Each is found by words that it says, all of them or those that matter. Every variant of a narration
is a claim, and so is every text that depends on a condition (:mod:`filmkit.core.facts`): of what is
said the claim must be true, and of what could have been said instead it must be false.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from filmkit.core.facts import Fact
from filmkit.core.stage import Stage
from tests.support.references import (
    budget,
    groups,
    held,
    is_converted,
    is_mla,
    latent_widths,
    next_word,
    report,
    resting,
    row_of,
    side_moves,
    whole_moves,
)

__all__ = ["CLAIMS", "claim_is_true"]

Claim = Callable[..., bool]


def has_own(stage: Stage, beat: str) -> bool:
    """Whether the model was trained with as many sets of keys and values as a beat shows."""
    meta = stage.trace.meta
    shown = {"a_set_for_every_head": meta.n_heads, "one_set_for_all": 1}
    return meta.n_kv_heads == shown.get(beat, groups(stage))


def follows_prompt(stage: Stage) -> bool:
    """Whether the first word that is not drawn was generated, and is not part of the prompt."""
    meta = stage.trace.meta
    return stage.layer.stop == meta.n_prompt and len(meta.tokens) > meta.n_prompt


def is_likeliest(stage: Stage) -> bool:
    """Whether the token after the prompt is the one that the model finds likeliest."""
    after = stage.trace.meta.n_prompt
    return int(stage.trace["top_ids"][after - 1, 0]) == stage.trace.meta.token_ids[after]


def decodes_alike(stage: Stage) -> bool:
    """Whether new words look at keys that were made before as the model did in one pass."""
    layer, meta = stage.layer.layer, stage.trace.meta
    for head in range(meta.n_heads):
        scores = stage.trace.scores(layer, head)
        for position in range(meta.n_prompt, len(meta.tokens)):
            row = stage.trace.get("pattern", layer)[head, position].astype(float)
            seen = row > 0
            weights = np.exp(scores[position, seen] - scores[position, seen].max())
            if not np.allclose(weights / weights.sum(), row[seen] / row.sum(), atol=1e-3):
                return False
    return True


def shares(stage: Stage) -> bool:
    """Whether some heads read the same keys and values."""
    return stage.trace.meta.n_kv_heads < stage.trace.meta.n_heads


def has_bias(stage: Stage, letter: str) -> bool:
    return f"b_{letter}.{stage.layer.layer}" in stage.trace.tensors


def is_biased(stage: Stage) -> bool:
    return any(name.startswith("b_O.") for name in stage.trace.tensors)


def rests(stage: Stage) -> bool:
    """Whether the first token holds more than the one for which it is traded."""
    return held(stage, "sink") > held(stage, "last")


def says_it_alone(stage: Stage) -> bool:
    """Whether only the latent lets the model go on with its own next word."""
    word = str(next_word(stage))
    said = [row_of(stage, way).continuation.strip() for way in ("mean", "best", "latent")]
    return [text.startswith(word) for text in said] == [False, False, True]


def says_it_converted(stage: Stage) -> bool:
    """Whether the model goes on as before when all of it is converted, and trained if it is."""
    made = report(stage).healed or report(stage).stored
    return made.continuation.strip().startswith(str(next_word(stage)))


def is_equal(stage: Stage) -> bool:
    """Whether what is kept with a latent has as many numbers as one shared set."""
    return budget(stage) == sum(latent_widths(stage))


def duel_is_equal(stage: Stage) -> bool:
    """Whether all sides of the duel keep as many numbers; of a converted model they do."""
    return is_converted(stage) or is_equal(stage)


def latent_moves_least(stage: Stage, moves: Callable[[Stage, str], float]) -> bool:
    """Whether less attention moves with the latent than with either shared set."""
    return moves(stage, "latent") < min(moves(stage, "mean"), moves(stage, "best"))


def has_rope(stage: Stage) -> bool:
    """Whether a rotated key is kept beside the latent."""
    return latent_widths(stage)[1] > 0


def has_window(stage: Stage) -> bool:
    return 0 < stage.trace.window(stage.layer.layer) < stage.layer.count


def is_partly_rotated(stage: Stage) -> bool:
    return stage.trace.meta.rotary_dim < stage.trace.meta.d_qk


def starts_sentence(stage: Stage) -> bool:
    """Whether what is not drawn is the beginning token alone, if anything."""
    return stage.layer.first == int(stage.trace.meta.has_bos)


CLAIMS: dict[str, Claim] = {
    # scene_question and scene_answer
    "It weighs many words, and adds one": lambda s, beat: (
        follows_prompt(s) and not s.trace.meta.continued
    ),
    "weighs what could come next. Here it is": lambda s, beat: (
        follows_prompt(s) and s.trace.meta.continued
    ),
    "and then adds the [next] one": lambda s, beat: not follows_prompt(s),
    "our sentence ends": lambda s, beat: follows_prompt(s),
    "our sentence is [read]": lambda s, beat: not follows_prompt(s),
    # scene_attention
    "numbers, and so is a token called “start”": lambda s, beat: s.trace.meta.has_bos,
    "each word is a row of {width} numbers.": lambda s, beat: not s.trace.meta.has_bos,
    "Each row becomes a query and a key": lambda s, beat: not is_mla(s),
    "By way of a short latent": lambda s, beat: is_mla(s),
    "Keep them as they are": lambda s: s.trace.meta.score_scale == 1,
    "plus a bias": has_bias,
    "normalised": lambda s: s.trace.meta.qk_norm is not None,
    "partly rotated": is_partly_rotated,
    "next, word order is added": lambda s: not is_partly_rotated(s),
    "less a penalty for distance": lambda s: bool(s.trace.position_bias(s.layer.layer).any()),
    "what is far back is masked too": has_window,
    # scene_heads
    "neighbours have equal keys and values": lambda s, beat: not is_mla(s) and shares(s),
    "and finds by its own keys": lambda s, beat: is_mla(s) or not shares(s),
    # scene_patterns
    "the start token": lambda s: s.trace.meta.has_bos,
    "the first word": lambda s: not s.trace.meta.has_bos,
    "most of their attention: [": lambda s, beat: resting(s) >= 8,
    "most of their attention?": lambda s, beat: resting(s) < 8,
    # scene_kv_cache
    "the same ones again": decodes_alike,
    "all of them again": lambda s: not decodes_alike(s),
    "is given": lambda s: s.trace.meta.continued,
    "is chosen": is_likeliest,
    "follows": lambda s: not is_likeliest(s),
    # scene_sharing
    "multi-head attention, if every head had its own": lambda s: shares(s),
    "for every head": lambda s: not shares(s),
    "This model was trained like that": has_own,
    "some neighbours have the same ones": lambda s, beat: not has_own(s, beat),
    "share the mean of what they had": lambda s, beat: not has_own(s, beat),
    "One set for all heads, the mean": lambda s, beat: not has_own(s, beat),
    # scene_mla
    "{rank} numbers, and {rope} for its place, as many as one set has": lambda s, beat: (
        not is_mla(s) and has_rope(s) and is_equal(s)
    ),
    "{rank} numbers, and {rope} for its place. [From]": lambda s, beat: (
        not is_mla(s) and has_rope(s) and not is_equal(s)
    ),
    "{rank} numbers, as many as one set has": lambda s, beat: (
        not is_mla(s) and not has_rope(s) and is_equal(s)
    ),
    "fitted to all of them: {rank} numbers. [From]": lambda s, beat: (
        not is_mla(s) and not has_rope(s) and not is_equal(s)
    ),
    "this model keeps one small latent": lambda s, beat: is_mla(s),
    "Each keeps {budget} numbers": lambda s, beat: duel_is_equal(s),
    "and the latent, with {cached}": lambda s, beat: not duel_is_equal(s),
    "one latent of the same size": lambda s, beat: duel_is_equal(s),
    "How much does one latent move": lambda s, beat: not duel_is_equal(s),
    "The same budget": lambda s: duel_is_equal(s),
    "Three ways to keep less": lambda s: not duel_is_equal(s),
    "numbers for each token: which keeps": lambda s: duel_is_equal(s),
    "with a latent: which keeps": lambda s: not duel_is_equal(s),
    "every layer converted, nothing trained": lambda s: is_converted(s),
    "this layer alone, nothing trained": lambda s: not is_converted(s),
    "A latent shifts attention less": lambda s: latent_moves_least(s, side_moves),
    "How much moves": lambda s: not latent_moves_least(s, side_moves),
    "The latent keeps most": lambda s: latent_moves_least(s, whole_moves),
    "How much it moves": lambda s: not latent_moves_least(s, whole_moves),
    "a rotated key is kept too": lambda s: has_rope(s),
    "latent</latent>, and only that is kept": lambda s: not has_rope(s),
    "without their mean row": lambda s: any(has_bias(s, letter) for letter in "KVO"),
    "read one <latent>latent</latent> and one": lambda s: has_rope(s),
    "read one <latent>latent</latent>; no": lambda s: not has_rope(s),
    "keeps of a token: a <latent>latent</latent> and a": lambda s: has_rope(s),
    "keeps of a token: one <latent>latent</latent> for": lambda s: not has_rope(s),
    "latents are normalised": lambda s: is_mla(s),
    "the last channels of K": lambda s: is_mla(s) and has_rope(s),
    "position has one rotated key beside them": lambda s: has_rope(s) and not is_mla(s),
    "the beginning token is one of them": lambda s: s.trace.meta.has_bos,
    "without their biases": lambda s: has_bias(s, "K") or has_bias(s, "V"),
    "(only dashes)": lambda s, way: set(row_of(s, way).continuation.strip()) == {"-"},
    "asks in its own way. Against the model's own": lambda s, beat: not is_mla(s),
    "All heads read the same latent": lambda s, beat: is_mla(s),
    "Before, each row of X became keys": lambda s, beat: not is_mla(s),
    "latent, and only that is kept.": lambda s, beat: not has_rope(s),
    "and that is kept, beside one rotated key": lambda s, beat: has_rope(s),
    "with one rotated key": lambda s, beat: is_mla(s),
    "and the scores are the same": lambda s, beat: not has_rope(s),
    "beside them the one rotated key": lambda s, beat: has_rope(s),
    "With one latent: {next}": lambda s, beat: says_it_alone(s),
    "with one latent, like this": lambda s, beat: not says_it_alone(s),
    # scene_rotation
    "” in the converted model": lambda s: is_converted(s),
    "” in this model": lambda s: not is_converted(s),
    "not turned": lambda s, distance: distance == 0,
    " changed": lambda s, distance: distance > 0,
    "model still [says] {next}": lambda s, beat: says_it_converted(s),
    "this is what the converted": lambda s, beat: not says_it_converted(s),
    "DeepSeek's way out": lambda s, beat: not is_mla(s),
    "The way out: one [rotated] key of {rope} numbers": lambda s, beat: is_mla(s),
    "of [training], {mended}": lambda s, beat: report(s).healed is not None,
    "is [{worse}] higher.": lambda s, beat: report(s).healed is None,
    # posters and scene_sparse
    "one <latent>latent</latent> and a <key>rotated key</key>": lambda s: has_rope(s),
    "one <latent>latent</latent>: ": lambda s: not has_rope(s),
    "hypothetical (dim: repeated)": lambda s: s.trace.meta.n_kv_heads < s.trace.meta.n_heads,
    "the latent is fitted, not trained": lambda s: not is_mla(s) and not is_converted(s),
    "where heads rest": lambda s, beat: rests(s),
    "for the first: {sink}": lambda s, beat: not rests(s),
    "‹start›": starts_sentence,
    "…": lambda s: not starts_sentence(s),
}
"""What must be true, by all words of a claim or by those that matter, as they are in English."""


def claim_is_true(stage: Stage, claim: Fact) -> bool | None:
    """Return whether a claim is true, computed again; None if it says nothing that is known."""
    found = [CLAIMS[claim]] if claim in CLAIMS else [CLAIMS[w] for w in CLAIMS if w in claim]
    return all(bool(true(stage, **claim.given)) for true in found) if found else None
