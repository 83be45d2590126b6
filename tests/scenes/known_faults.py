"""Faults of scenes that the contract has found and nobody has mended yet.

Each is expected to be there: a line here whose fault is gone fails its test, so that it is removed
with the mending.
"""

from __future__ import annotations

__all__ = ["FAULTS", "fault"]

NUMBER_ON_PANEL = "the number beside the card that stepped forward lies on its panels"

FAULTS: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    ("test_every_picture_can_be_read", "scene_heads"): {"32 heads": ("9:16", NUMBER_ON_PANEL)},
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
