"""Faults of scenes that the contract has found and nobody has mended yet.

Each is expected to be there: a line here whose fault is gone fails its test, so that it is removed
with the mending.
"""

from __future__ import annotations

from tests.support.kinds import KINDS, SHIPPED_KIND

__all__ = ["FAULTS", "JUMPS", "fault"]

BEHIND = "the new group of what fades is drawn over the frames around it, which vanish at once"

JUMPS: dict[tuple[str, str], tuple[str, str]] = {
    ("scene_attention", "softmax_of_a_row"): (
        "shipped",
        "the row that is taken out is drawn over the frame around its cell, which vanishes at once",
    ),
    ("scene_attention", "a_weighted_mix"): ("shipped", "the colour bar of the values goes at once"),
    ("scene_heads", "outputs_line_up"): ("shipped", "a z that leaves its card falls behind it"),
    ("scene_heads", "all_heads_slide_in"): ("", "in 1:1 cards change places in depth"),
    ("scene_kv_cache", "scores_grow"): ("shipped", BEHIND),
    ("scene_kv_cache", "one_row_of_each"): ("shipped", BEHIND),
    ("scene_kv_cache", "the_whole_cache"): (
        "32 heads",
        "of two layers that close up, the one behind is drawn over the one in front",
    ),
    ("scene_kv_cache", "a_large_model"): (
        "shipped",
        "the newest slice is drawn over the words above it",
    ),
    ("scene_mqa", "one_set_for_many"): ("shipped", "the names K and V fall behind the glass"),
    ("scene_gqa", "one_set_for_many"): ("shipped", "the names K and V fall behind the glass"),
    ("scene_mqa", "patterns_side_by_side"): ("32 heads", "a pattern falls behind its card"),
    ("scene_gqa", "patterns_side_by_side"): ("2 tokens", "a pattern falls behind its card"),
    ("scene_mla", "flatten"): ("2 tokens", "lines of the cards behind come to the front"),
    ("scene_mla", "only_the_latent_is_read"): (
        "shipped",
        "the header of the output moves up by its own height",
    ),
}
"""Beats whose first frame is not the last picture of the beat before, by scene and beat.

The kind of trace that shows it in 16:9, and what is seen.
"""


READ = "test_every_picture_can_be_read"
TRUE = "test_the_notes_at_the_top_are_true"
ALL = "16:9 4:3 1:1 9:16"
SQUARE_AND_TALL = "1:1 9:16"

ONE_NAMED = "the note names one head beside panels of all heads"
CUT_SHORT = "the note on the hidden token is cut short before “not drawn”"
SMALL_NUMBER = "a score just below zero is white on mid-green: contrast 3.9 to 4.5"
SMALL_WORDS = "words on the cards are smaller than can be read"
EMOJI = "emoji are higher than a line and reach into the next one"
SHAPE = "the latent’s shape leaves the margin on the left"

FAULTS: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    (TRUE, "scene_mla"): {kind: (ALL, ONE_NAMED) for kind in KINDS if kind != "one head"},
    (TRUE, "scene_kv_cache"): {
        kind: ("4:3", CUT_SHORT)
        for kind in KINDS
        if kind not in (SHIPPED_KIND, "true MLA", "no beginning token")
    },
    (READ, "scene_attention"): {
        "16 words": (ALL, SMALL_NUMBER),
        "grouped heads, rotary": (ALL, SMALL_NUMBER),
        "24 long tokens": (ALL, SMALL_NUMBER),
        "one head": (ALL, SMALL_NUMBER),
        "Chinese and emoji": (ALL, f"{SMALL_NUMBER}; in 9:16 {EMOJI}"),
        "32 heads": (ALL, f"{SMALL_NUMBER}; in 1:1 words of the pattern touch"),
        "one layer": ("1:1", "“less a penalty for distance” leaves the margin"),
    },
    (READ, "scene_heads"): {
        "Chinese and emoji": ("16:9 9:16", f"{EMOJI}; in 9:16 a group’s name leaves the margin"),
        "one head": (
            SQUARE_AND_TALL,
            "the words of the output lie on the z that has left its head",
        ),
        "learned positions, biases": (SQUARE_AND_TALL, SMALL_WORDS),
        "16 words": ("9:16", "words touch, and the name of a group leaves the margin"),
        "32 heads": ("4:3 1:1 9:16", f"{SMALL_WORDS}; the last head’s number leaves the margin"),
    },
    (READ, "scene_kv_cache"): {
        "16 words": ("4:3", "words at the slices of the cache touch"),
        "Chinese and emoji": ("9:16", EMOJI),
    },
    (READ, "scene_mqa"): {
        "learned positions, biases": (SQUARE_AND_TALL, SMALL_WORDS),
        "32 heads": ("9:16", SMALL_WORDS),
    },
    (READ, "scene_gqa"): {
        "learned positions, biases": (SQUARE_AND_TALL, SMALL_WORDS),
        "16 words": ("1:1", "the name of a group leaves the margin"),
        "32 heads": (SQUARE_AND_TALL, SMALL_WORDS),
    },
    (READ, "scene_mla"): {
        "2 tokens": ("16:9 4:3 1:1", SHAPE),
        "Chinese and emoji": (ALL, f"{EMOJI}; {SHAPE}"),
        "true MLA": (SQUARE_AND_TALL, "“then a norm” and the latent’s name leave the margin"),
        "24 long tokens": ("9:16", "the latent’s name lies on its panel"),
        "32 heads": (SQUARE_AND_TALL, "the latent’s name is too small or lies on its panel"),
    },
}
"""What is wrong with the pictures of a scene: by test and scene, then by kind of trace.

The shapes of picture that show it, and what is seen.
"""


def fault(check: str, slug: str, kind: str, aspect: str) -> str | None:
    """Return what is known to be wrong, or None.

    Parameters
    ----------
    check
        Name of the test.
    slug, kind, aspect
        The scene, the kind of trace and the shape of the picture.
    """
    aspects, what = FAULTS.get((check, slug), {}).get(kind, ("", ""))
    return what if aspect in aspects.split() else None
