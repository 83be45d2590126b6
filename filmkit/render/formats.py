"""Names of file formats and of ways to add captions. Imports nothing, so it loads fast."""

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
"""File formats of films: name and description."""

TRANSPARENT_FORMATS = tuple(name for name in FORMATS if name != "mp4")
"""Formats that can have a transparent background."""

DEFAULT_FORMAT = "mp4"

CAPTIONS = {
    "files": "SCENE.srt and SCENE.vtt beside the film",
    "mux": "these and a track inside the film, which players show or hide",
    "burn": "drawn into the picture, without files",
    "none": "no captions",
}
"""Ways to add captions to films: name and description."""

CAPTION_TRACK_FORMATS = ("mp4", "webm", "mov")
"""Formats whose files can hold a caption track."""

DEFAULT_CAPTIONS = "files"
