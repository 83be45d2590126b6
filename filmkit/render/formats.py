"""File formats of films and pictures, and ways to add captions.

The command line, delivery and ``doctor`` read what they need of a format.
Imports nothing heavy, so it loads fast.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CAPTIONS",
    "DEFAULT_CAPTIONS",
    "DEFAULT_FORMAT",
    "DEFAULT_STILL",
    "FILMS",
    "FORMATS",
    "STILLS",
    "OutputFormat",
    "names_of",
]


@dataclass(frozen=True)
class OutputFormat:
    """A file format.

    Attributes
    ----------
    name
        Its name on the command line.
    description
        What it is good for.
    film, still
        Whether a film and a single picture can be written in it.
    encoding, clear_encoding, master_encoding
        Names of the encodings, in :mod:`filmkit.render.movie`, of films that are joined from
        segments: with a background, with a transparent one, and in the quality of a master.
    transparent
        Whether the background can be transparent.
    caption_codec
        FFmpeg's name of the codec of a caption track inside the file; empty if it can hold none.
    audio_codec
        FFmpeg's name of the codec of its sound; empty if it can hold none.
    suffix
        What is added to a film's name; "." and the name by default.
    """

    name: str
    description: str
    film: bool = True
    still: bool = False
    encoding: str = ""
    clear_encoding: str = ""
    master_encoding: str = ""
    transparent: bool = True
    caption_codec: str = ""
    audio_codec: str = ""
    suffix: str = ""

    def file_name(self, stem: str) -> str:
        """Return the name of a file or folder in this format."""
        return stem + (self.suffix or f".{self.name}")


FORMATS: dict[str, OutputFormat] = {
    output.name: output
    for output in (
        OutputFormat(
            "mp4",
            "H.264, plays everywhere",
            encoding="MP4",
            master_encoding="MP4_MASTER",
            transparent=False,
            caption_codec="mov_text",
            audio_codec="aac",
        ),
        OutputFormat(
            "webm",
            "VP9, for browsers",
            encoding="WEBM",
            clear_encoding="WEBM_ALPHA",
            caption_codec="webvtt",
            audio_codec="libopus",
        ),
        OutputFormat(
            "mov",
            "ProRes 4444, for editors and Keynote",
            encoding="MOV",
            clear_encoding="MOV_ALPHA",
            caption_codec="mov_text",
            audio_codec="aac",
        ),
        OutputFormat("gif", "an animation without a player"),
        OutputFormat("png", "the last picture", still=True),
        OutputFormat("png-sequence", "a folder of all pictures", suffix="_frames"),
        OutputFormat("pdf", "a picture for print, with sharp text", film=False, still=True),
        OutputFormat("svg", "a picture for drawing programs", film=False, still=True),
    )
}
"""Every format by its name."""

FILMS = {name: output for name, output in FORMATS.items() if output.film}
"""Formats of films."""

STILLS = {name: output for name, output in FORMATS.items() if output.still}
"""Formats of single pictures."""

DEFAULT_FORMAT = "mp4"
DEFAULT_STILL = "png"

CAPTIONS = {
    "files": "SCENE.srt and SCENE.vtt beside the film",
    "mux": "these and a track inside the film, which players show or hide",
    "burn": "drawn into the picture, without files",
    "none": "no captions",
}
"""Ways to add captions to films: name and description."""

DEFAULT_CAPTIONS = "files"


def names_of(what: str) -> tuple[str, ...]:
    """Return the names of all formats of films that have a property, such as "transparent"."""
    return tuple(name for name, output in FILMS.items() if getattr(output, what))
