"""Faults of scenes that the contract has found and nobody has mended yet.

Each is expected to be there: a line here whose fault is gone fails its test, so that it is removed
with the mending.
"""

from __future__ import annotations

from tests.support.kinds import KINDS

__all__ = ["FAULTS", "JUMPS", "fault"]

BEHIND = "the new group of what fades is drawn over the frames around it, which vanish at once"

JUMPS: dict[tuple[str, str], tuple[str, str]] = {
    ("scene_heads", "all_heads_slide_in"): ("", "in 1:1 cards change places in depth"),
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

SILENT = "posters say nothing of the model and its hidden token: Poster names no tensors"
ONE_NAMED = "the note names one head beside panels of all heads"
CUT_SHORT = "the note on the hidden token is cut short before “not drawn”"
SMALL_NUMBER = "a score just below zero is white on mid-green: contrast 3.9 to 4.5"
SMALL_WORDS = "words on the cards are smaller than can be read"
EMOJI = "emoji are higher than a line and reach into the next one"
SHAPE = "the latent’s shape leaves the margin on the left"
WIDE_TITLE = "the title of a narrow wall leaves the margin"

NARROW_WALLS = ("one layer", "16 words", "24 long tokens", "no beginning token", "32 heads")

FAULTS: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    (TRUE, "mha"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "gqa"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "mqa"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "mla"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "scene_mla"): {kind: (ALL, ONE_NAMED) for kind in KINDS if kind != "one head"},
    (READ, "scene_heads"): {
        "Chinese and emoji": ("16:9 9:16", f"{EMOJI}; in 9:16 a group’s name leaves the margin"),
        "2 tokens": ("16:9", "the names of K transposed and of the pattern touch"),
        "16 words": ("16:9", "the name of a group leaves the margin"),
        "32 heads": ("4:3 1:1 9:16", f"{SMALL_WORDS}; the last head’s number leaves the margin"),
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
