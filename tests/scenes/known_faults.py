"""Faults of scenes that the contract has found and nobody has mended yet.

Each is expected to be there: a line here whose fault is gone fails its test, so that it is removed
with the mending.
"""

from __future__ import annotations

__all__ = ["FAULTS", "JUMPS", "fault"]

JUMPS: dict[tuple[str, str], tuple[str, str]] = {
    ("scene_heads", "all_heads_slide_in"): ("", "in 1:1 cards change places in depth"),
}
"""Beats whose first frame is not the last picture of the beat before, by scene and beat.

The kind of trace that shows it in 16:9, and what is seen.
"""


READ = "test_every_picture_can_be_read"

SMALL_WORDS = "words on the cards are smaller than can be read"
EMOJI = "emoji are higher than a line and reach into the next one"

FAULTS: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    (READ, "scene_heads"): {
        "Chinese and emoji": ("16:9 9:16", f"{EMOJI}; in 9:16 a group’s name leaves the margin"),
        "2 tokens": ("16:9", "the names of K transposed and of the pattern touch"),
        "16 words": ("16:9", "the name of a group leaves the margin"),
        "32 heads": ("4:3 1:1 9:16", f"{SMALL_WORDS}; the last head’s number leaves the margin"),
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
