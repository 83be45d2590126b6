"""Faults of scenes that the contract has found and nobody has mended yet.

Each is expected to be there: a line here whose fault is gone fails its test, so that it is removed
with the mending.
"""

from __future__ import annotations

from tests.support.kinds import KINDS

__all__ = ["FAULTS", "JUMPS", "fault"]

JUMPS: dict[tuple[str, str], tuple[str, str]] = {
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
EMOJI = "emoji are higher than a line and reach into the next one"
SHAPE = "the latent’s shape leaves the margin on the left"
NUMBER_ON_PANEL = "the number beside the card that stepped forward lies on its panels"

FAULTS: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    (TRUE, "mha"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "gqa"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "mqa"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "mla"): dict.fromkeys(KINDS, (ALL, SILENT)),
    (TRUE, "scene_mla"): {kind: (ALL, ONE_NAMED) for kind in KINDS if kind != "one head"},
    (READ, "scene_heads"): {"32 heads": ("9:16", NUMBER_ON_PANEL)},
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
