"""What pictures depend on, as short keys.

A part of a beat is known by what its camera is given to draw (:mod:`filmkit.core.display`), by the
code that draws it, the libraries, the fonts and the size. So an edit draws again what it changes,
and nothing else: how a scene came to what it shows is no part of a key.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version

import cairo
import manimpango

from filmkit.core.beat_records import BeatRecord
from filmkit.core.fonts import FONT_RULES, font_files
from filmkit.core.project import PROJECT
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.digests import digest, file_hash, project_digest
from filmkit.render.quality import frame_size
from filmkit.render.request import RenderRequest

__all__ = ["LOADED", "SHORT", "Keys", "surroundings"]

SHORT = 12  # digits of a hash that people see

DRAWING = tuple(
    PROJECT / "filmkit" / name
    for name in (
        "core/camera.py",
        "core/display.py",
        "core/light.py",
        "core/raster.py",
        "core/renderer.py",
        "render/manim_config.py",
        "render/movie.py",
    )
)
"""What turns what is on stage into pictures, and writes these into files."""

LIBRARIES = (
    "av",
    "babel",
    "cmap",
    "isosurfaces",
    "manim",
    "manimpango",
    "mapbox-earcut",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pycairo",
    "scipy",
    "skia-pathops",
    "svgelements",
    "typst",
    "uniseg",
)


class Keys:
    """Makes the keys for one request.

    Parameters
    ----------
    request
        The trace, and how to render.
    """

    def __init__(self, request: RenderRequest) -> None:
        self.request = request

    def rehearsal_key(self, entry: SceneEntry, *, hashed: bool) -> str:
        """Return the key of a rehearsal of one of the project's scenes.

        It covers all of the project, whatever of it the scene uses. Which frames there are to be
        hashed depends on the quality; the times do not.
        """
        request = self.request
        quality = request.quality
        return digest(
            repr(replace(request.settings, compare=None)),
            repr(quality if hashed else frame_size(quality.width, quality.height)),
            repr(self._surroundings),
            self._project,
            request.content or file_hash(request.trace_file),
            *map(file_hash, request.trace_files[1:]),
            repr(entry),
            repr(sorted(request.speech_of(entry).items())),
        )

    def part_key(self, seen: str) -> str:
        """Return the key of a part's frames, given a rehearsal's key of what is drawn in them."""
        return digest(self._drawing, seen)

    def last_key(self, record: BeatRecord) -> str:
        """Return the key of the last picture of a beat, with the notes at its top."""
        return digest(self._drawing, record.last)

    @cached_property
    def drawing(self) -> str:
        """A hash of the code that draws, as it is now."""
        return _drawing_digest()

    @cached_property
    def _project(self) -> str:
        return self.request.code or project_digest()

    @cached_property
    def _surroundings(self) -> dict[str, str]:
        return surroundings()

    @cached_property
    def _drawing(self) -> str:
        return digest(self.drawing, repr(self._surroundings), repr(self.request.quality))


def _drawing_digest() -> str:
    return digest(*map(file_hash, DRAWING))


LOADED = _drawing_digest()
"""A hash of the code that draws, as this process has loaded it just now."""


def surroundings() -> dict[str, str]:
    """Name what pictures depend on besides the project and the trace, with its version."""
    fonts = sha256()
    for path in (*font_files(), FONT_RULES):
        fonts.update(sha256(path.read_bytes()).digest())
    return {
        "Python": platform.python_version() + " -O" * sys.flags.optimize,
        "machine": f"{platform.machine()} {platform.system()}",
        "cairo": cairo.cairo_version_string(),
        "pango": manimpango.pango_version(),
        **{name: version(name) for name in LIBRARIES},
        "the fonts": fonts.hexdigest()[:SHORT],
    }
