"""What a film can be written as. Needs nothing, so that it loads at once."""

from __future__ import annotations

__all__ = ["DEFAULT_FORMAT", "FORMATS", "TRANSPARENT_FORMATS"]

FORMATS = {
    "mp4": "H.264, plays everywhere",
    "webm": "VP9, for browsers",
    "mov": "ProRes 4444, for editors and Keynote",
    "gif": "an animation without a player",
    "png": "the last picture",
    "png-sequence": "a folder of all pictures",
}
"""Names, and what they are."""

TRANSPARENT_FORMATS = tuple(name for name in FORMATS if name != "mp4")
"""Those that can leave the background out."""

DEFAULT_FORMAT = "mp4"
