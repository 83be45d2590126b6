"""What a film can be written as. Needs nothing, so that it loads at once."""

from __future__ import annotations

__all__ = [
    "CAPTIONS",
    "CAPTION_TRACK_FORMATS",
    "DEFAULT_CAPTIONS",
    "DEFAULT_FORMAT",
    "FORMATS",
    "TRANSPARENT_FORMATS",
]

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

CAPTIONS = {
    "files": "SCENE.srt and SCENE.vtt beside the film",
    "mux": "these and a track inside the film, which players show or hide",
    "burn": "drawn into the picture, without files",
    "none": "no captions",
}
"""Where captions go."""

CAPTION_TRACK_FORMATS = ("mp4", "webm", "mov")
"""Those whose files can hold a track of captions."""

DEFAULT_CAPTIONS = "files"
