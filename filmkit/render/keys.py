"""What a beat's pictures depend on, as one short key.

Two runs whose keys are equal draw the same pictures. A key covers the trace, the settings, size and
frame rate, the fonts, the libraries' versions, and what has been used until the beat has ended: the
project's code that its scene imports, and what the scene was seen to use while it was rehearsed
(:mod:`filmkit.render.recording`). What is said is no part of a picture: titles, docstrings and
narration change no key (:mod:`filmkit.render.source_code`).
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import cairo
import manimpango

from filmkit.core.beat_records import ARRIVE, Rehearsal, Use
from filmkit.core.fonts import FONT_RULES, font_files
from filmkit.core.language import DEFAULT_LANGUAGE, KIT_CATALOGUES, catalogue_folder, words_digest
from filmkit.core.project import PROJECT
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.quality import frame_size
from filmkit.render.recording import BEAT, CODE, FILE, FONTS, OWN_CODE, PLACE, VARIABLE, WORDS, now
from filmkit.render.request import RenderRequest
from filmkit.render.source_code import code_with, digest, is_own, reached, read_source

__all__ = [
    "BeatHasher",
    "Drawn",
    "project_digest",
    "read_ahead",
    "surroundings",
    "translations_digest",
]

SHORT = 12  # digits of a hash that people see

DRAWING = tuple(
    PROJECT / "filmkit" / name
    for name in ("core/stage.py", "render/manim_config.py", "render/movie.py")
)
"""What takes part in the pictures of every beat, and in writing them to its master."""

ARRIVING = PROJECT / "filmkit" / "core" / "arrival.py"

BY_VALUE = frozenset({"filmkit.render.quality"})
"""Modules whose code is in no key, as every key has the results: the size and rate of frames."""

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


class BeatHasher:
    """Makes the keys for one request.

    Parameters
    ----------
    request
        The trace, and how to render.

    Attributes
    ----------
    traces
        The trace as it was read, and the one that it is compared with if any.
    """

    def __init__(self, request: RenderRequest) -> None:
        contents = request.content, ""
        self.traces: list[Use] = [
            (FILE, str(file), content or now(FILE, str(file)))
            for file, content in zip(request.trace_files, contents, strict=False)
        ]
        self.request = request

    def rehearsal_key(self, entry: SceneEntry) -> str:
        """Find the key by which a scene's rehearsal is stored, whatever its code is."""
        speech = self.request.speech_of(entry)
        # From where a scene is run decides which files and modules its code finds.
        place = [] if is_own(_file(entry)) else [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
        return digest([self._scene, repr(entry), repr(sorted(speech.items())), *place])

    def picture_key(self, entry: SceneEntry, played: Sequence[str], code: str, *words: str) -> str:
        """Find the key of a beat.

        Parameters
        ----------
        entry
            The scene.
        played
            Names of the beats that are played until then, and its own.
        code
            What they use; see :attr:`filmkit.core.beat_records.BeatRecord.code`.
        *words
            Those on its pictures that are found nowhere in the code: of a question, and the notes
            at the top, if they are part of these.
        """
        return digest([self._pictures, entry.module, entry.cls, *played, code, *words])

    def picture_keys(
        self, entry: SceneEntry, rehearsal: Rehearsal, *, notes: bool = False
    ) -> dict[str, str]:
        """Find the key of each beat of a scene that has been rehearsed.

        Parameters
        ----------
        entry, rehearsal
            The scene.
        notes
            Whether the notes on where the numbers come from are part of the pictures.
        """
        played = [record.name for record in rehearsal.beats]
        return {
            record.name: self.picture_key(
                entry,
                played[: i + 1],
                record.code,
                *record.written,
                *(record.notes if notes else ()),
            )
            for i, record in enumerate(rehearsal.beats)
        }

    def part_keys(
        self, entry: SceneEntry, rehearsal: Rehearsal, alone: Rehearsal
    ) -> dict[tuple[str, bool], str]:
        """Find the keys of each beat's own animations and of its tail.

        A beat's pictures depend on its words only where it waits for them; those of its tail on how
        long these take to say. The arrival from another scene depends on all that both scenes show.
        In the first beat after it there may still be what has arrived; all else is as if the scene
        were shown by itself. A beat begins with the words of its question.

        Parameters
        ----------
        entry, rehearsal
            The scene.
        alone
            Its rehearsal by itself; the same unless it arrives from another scene.

        Returns
        -------
        dict
            Keys by the names of beats and whether the tail is meant.
        """
        keys = {}
        written: tuple[str, ...] = ()
        for record, key in zip(
            alone.beats, self.picture_keys(entry.alone, alone).values(), strict=True
        ):
            own = digest([key, repr(record.marks)]) if record.marks else key
            tail = (record.tail - record.start, record.end - record.start)
            calm = self.request.settings.calm
            keys[record.name, False] = digest([own, *written]) if written else own
            written = record.written
            keys[record.name, True] = digest(
                [own, "tail", *(f"{seconds:.6f}" for seconds in tail), repr(calm)]
            )
        if entry.arrival is not None:
            origin, names = entry.arrival.origin, [record.name for record in rehearsal.beats]
            where = (origin.module, origin.cls, entry.arrival.last, entry.module, entry.cls)
            chapter = repr(entry.arrival.chapter)
            code = rehearsal.beats[-1].code
            arrival = digest([self._pictures, *where, chapter, *names, code, entry.shown_title])
            keys[ARRIVE, False] = arrival
            if names[0] == ARRIVE:
                keys[names[1], False] = digest([arrival, keys[names[1], False]])
        return keys

    @cached_property
    def encoding_key(self) -> str:
        """A short key of the code that turns masters into pieces of films."""
        return read_source(PROJECT / "filmkit" / "render" / "movie.py").code[:SHORT]

    @cached_property
    def _scene(self) -> str:
        """What a scene depends on besides what it uses; times do not depend on size and speed."""
        settings, quality = self.request.settings, self.request.quality
        return digest(
            [
                # How a tail moves is part of its own key.
                repr(replace(settings, compare=None, calm=False)),
                repr(frame_size(quality.width, quality.height)),
                repr(surroundings()),
                *(state for _, _, state in self.traces),
            ]
        )

    @cached_property
    def _pictures(self) -> str:
        quality = self.request.quality
        return digest([self._scene, repr((quality.width, quality.height, quality.frame_rate))])


def _file(entry: SceneEntry) -> Path:
    return entry.source_file.resolve()


def _scene_code(entry: SceneEntry, uses: Iterable[Use]) -> list[Path]:
    """Return the files of a scene's own code; those of two scenes if it arrives from another."""
    files = [_file(entry)]
    if entry.arrival is not None:
        files += [_file(entry.arrival.origin), ARRIVING]
    files += [Path(name) for kind, name, _ in uses if kind == CODE]
    return list(dict.fromkeys(files))


def read_ahead(entries: Iterable[SceneEntry]) -> None:
    """Read the code of scenes here, once for all processes that :class:`Apart` starts for them.

    What cannot be read is left for those to tell.
    """
    for entry in entries:
        with suppress(OSError, SyntaxError):
            reached([*DRAWING, *_scene_code(entry, ())], without=BY_VALUE)


class Drawn:
    """What a scene has used up to the end of a beat, as far as it can change pictures.

    Parameters
    ----------
    entry
        The scene.
    language
        Code of the language.

    Attributes
    ----------
    code
        States of all code that was read, by file.
    uses
        The project's code and the catalogues of words among it, once :meth:`after` was called.
    """

    def __init__(self, entry: SceneEntry, language: str) -> None:
        self._entry = entry
        self._language = language
        self._seen: list[Use] | None = None
        self.code: dict[str, str] = {}
        self.uses: list[Use] = []

    def after(self, uses: Iterable[Use]) -> str:
        """Return :attr:`BeatRecord.code` of a beat, after which some things have been used."""
        used = [use for use in uses if use[0] != OWN_CODE]
        beats = {name for kind, name, _ in used if kind == BEAT}
        seen = [use for use in used if use[0] != BEAT]
        if seen != self._seen:  # most beats use nothing new
            self._seen = seen
            self._read(seen)
        return digest([*self._rest, code_with(self._sources, beats)])

    def _read(self, uses: Iterable[Use]) -> None:
        entry_file = _file(self._entry)
        folder = PROJECT if is_own(entry_file) else entry_file.parent
        scene = _scene_code(self._entry, uses)
        files = reached([*DRAWING, *scene], without=BY_VALUE)
        files += [file for file in scene if not is_own(file)]
        self._sources = [read_source(file) for file in files]
        self.code = {
            str(file): source.content for file, source in zip(files, self._sources, strict=True)
        }
        catalogues = _catalogues(scene)
        translated = [*catalogues, KIT_CATALOGUES] if self._language != DEFAULT_LANGUAGE else []
        words = [str(folder / f"{self._language}.po") for folder in translated]
        self.uses = [
            *((OWN_CODE, name, state) for name, state in self.code.items() if is_own(Path(name))),
            *((WORDS, file, now(WORDS, file)) for file in words),
        ]
        self._rest = [
            *(_place(file, PROJECT if is_own(file) else folder) for file in files),
            words_digest(self._language, *catalogues, narrated=False),
            # What was looked for and not there has drawn nothing.
            *(
                text
                for kind, name, state in uses
                if kind in (FILE, PLACE, VARIABLE, FONTS) and state
                for text in (kind, _place(Path(name), folder), state)
            ),
        ]


def _catalogues(code: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(map(catalogue_folder, code)))


def _place(file: Path, folder: Path) -> str:
    """Return where a file is, as seen from a folder that may be moved with it."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix() if file.is_absolute() else str(file)
    except ValueError:  # on another drive of Windows
        return file.as_posix()


def project_digest(places: Iterable[str]) -> str:
    """Hash some files of the project's code, for people to compare.

    Two machines on which it is the same draw the same pictures.

    Parameters
    ----------
    places
        Where they are in the project.
    """
    parts: list[str] = []
    for place in sorted(places):
        source = read_source(PROJECT / place)
        parts += [place, source.code, *source.beats.values()]
    return digest(parts)[:SHORT]


def translations_digest(language: str) -> str:
    """Hash the project's translations into a language, for people to compare."""
    files = [KIT_CATALOGUES / f"{language}.po", *PROJECT.glob(f"scenes/*/locale/{language}.po")]
    return digest(now(WORDS, str(file)) for file in sorted(files))[:SHORT]


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
