"""What a beat's pictures depend on, as one short key.

Two runs whose keys are equal draw the same pictures. A key covers the code that the beat runs, the
trace, the settings, size and frame rate, the fonts and the libraries' versions; nothing else. What
is said is no part of a picture: titles, docstrings, narration and alt texts change no key.

A beat runs the methods that set its scene up, those of the beats before it, its own, and all that
they refer to (:mod:`filmkit.render.code_index`). Beats that come later count only where one of
these calls them.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import cairo
import manimpango

from extract.published import EXTRACTED_GPT2, PUBLISHED
from filmkit.core.fonts import FONT_RULES, font_files
from filmkit.core.language import KIT_CATALOGUES, catalogue_folder, words_digest
from filmkit.core.project import PROJECT
from filmkit.core.records import ARRIVE, BeatRecord
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.code_index import EVERYTHING, CodeIndex, Piece, Place, digest
from filmkit.render.quality import frame_size
from filmkit.render.request import RenderOptions

__all__ = [
    "BeatHasher",
    "SceneCode",
    "add_scene",
    "drawing_digest",
    "scene_code",
    "source_digest",
    "surroundings",
    "translations_digest",
]

SHORT = 12  # digits of a hash that people see

STAGE: Place = ("filmkit.core.stage", "Stage")
DRAWING: tuple[Place, ...] = (
    STAGE,
    ("filmkit.render.runner", "manim_config"),
    ("filmkit.render.movie", "open_movie"),
    ("filmkit.render.movie", "MASTER"),
    ("filmkit.render.movie", "MASTER_ALPHA"),
    ("filmkit.render.movie", "to_straight_alpha"),
)
"""What takes part in the pictures of every beat, and in writing them to its master."""

BY_VALUE = frozenset({"filmkit.render.quality"})
"""Modules of which only results count, and these are part of every key as they are."""

NOTES = frozenset({"tensors", "provenance_notes"})
WORDS = NOTES | {"title", "variant", "narration", "live"}
"""Members of a scene that tell of it; they draw nothing unless a beat asks for them."""

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
    """Makes the keys for one trace and one way of rendering.

    Parameters
    ----------
    trace_file
        The numbers.
    options
        How to render.
    index
        The code; the project's own, and what stands beside a scene elsewhere, by default.
    """

    def __init__(
        self, trace_file: Path, options: RenderOptions, index: CodeIndex | None = None
    ) -> None:
        self._trace_file = trace_file
        self._options = options
        self._index = index or CodeIndex(PROJECT, without=BY_VALUE)

    def source_digest(self, entries: Iterable[SceneEntry]) -> str:
        """Hash all that keys are made from, as it is now: every file of code, and the traces.

        A process that has loaded its code and traces compares this hash with the one that the keys
        were made from: if it is the same, what it draws is what the keys say.
        """
        return source_digest(self._trace_file, self._options, entries)

    def beat_keys(
        self, entry: SceneEntry, beats: Sequence[str], *, notes: bool = False
    ) -> dict[str, str]:
        """Find the key of each beat.

        Parameters
        ----------
        entry
            The scene.
        beats
            Those that are played, in order.
        notes
            Whether the notes on where the numbers come from are part of the pictures.
        """
        scene = self._code(entry)
        told, words = NOTES if notes else (), self._words(entry, narrated=False)
        played = [tuple(beats[: i + 1]) for i in range(len(beats))]
        return {
            until[-1]: digest(
                [
                    self._pictures,
                    words,
                    entry.module,
                    entry.cls,
                    *until,
                    *scene.of_beats([*until, *told], set(beats)),
                ]
            )
            for until in played
        }

    def part_keys(
        self, entry: SceneEntry, records: Sequence[BeatRecord]
    ) -> dict[tuple[str, bool], str]:
        """Find the keys of each beat's own animations and of its tail.

        A beat's pictures depend on its words only where it waits for them; those of its tail on how
        long these take to say.

        Parameters
        ----------
        entry
            The scene.
        records
            The beats that are played, in order.

        Returns
        -------
        dict
            Keys by the names of beats and whether the tail is meant.
        """
        if entry.arrival is not None:
            return self._keys_with_arrival(entry, records)
        keys = {}
        for record, key in zip(
            records, self.beat_keys(entry, [r.name for r in records]).values(), strict=True
        ):
            own = digest([key, repr(record.marks)]) if record.marks else key
            tail = (record.tail - record.start, record.end - record.start)
            calm = self._options.settings.calm
            keys[record.name, False] = own
            keys[record.name, True] = digest(
                [own, "tail", *(f"{seconds:.6f}" for seconds in tail), repr(calm)]
            )
        return keys

    def _keys_with_arrival(
        self, entry: SceneEntry, records: Sequence[BeatRecord]
    ) -> dict[tuple[str, bool], str]:
        """Find the keys of a scene that arrives from another one.

        Its arrival depends on all that both scenes show. In the first beat of the scene there may
        still be what has arrived; all else is as if the scene were shown by itself.
        """
        keys = self.part_keys(entry.alone, [r for r in records if r.name != ARRIVE])
        arrival = digest([self._pictures, self.scene_key(entry)])
        at = next(index for index, record in enumerate(records) if record.name == ARRIVE)
        keys[ARRIVE, False] = arrival
        if at == 0:
            first = records[1].name
            keys[first, False] = digest([arrival, keys[first, False]])
        return keys

    def scene_key(self, entry: SceneEntry) -> str:
        """Find the key of all that a scene shows and says, in any of its beats."""
        own = digest(
            [
                self._scene,
                self._words(entry, narrated=True),
                entry.module,
                entry.cls,
                *self._code(entry).everything(),
            ]
        )
        if entry.arrival is None:
            return own
        handover = _texts(self._index.reach([("filmkit.core.handover", EVERYTHING)]))
        origin, last, first = entry.arrival.origin, entry.arrival.last, entry.arrival.first
        return digest([own, self.scene_key(origin.alone), last, first, *handover])

    def _code(self, entry: SceneEntry) -> SceneCode:
        add_scene(self._index, entry)
        return SceneCode(self._index, (entry.module, entry.cls))

    def _words(self, entry: SceneEntry, *, narrated: bool) -> str:
        """Hash the translations of what a scene shows, and of what it says if that is asked for."""
        add_scene(self._index, entry)
        lineage = self._index.lineage((entry.module, entry.cls))
        files = filter(None, (self._index.file(module) for module, _ in lineage))
        folders = map(catalogue_folder, files)
        return words_digest(self._options.settings.language, *folders, narrated=narrated)

    def tree_key(self) -> str:
        """Find the key of all code there is: while it is the same, so are all other keys."""
        language = self._options.settings.language
        return digest([self._scene, self._index.tree_digest(), *catalogue_digests(language)])

    @cached_property
    def encoding_key(self) -> str:
        """A short key of the code that turns masters into pieces of films."""
        return digest(_texts(self._index.reach([("filmkit.render.movie", EVERYTHING)])))[:SHORT]

    @cached_property
    def _scene(self) -> str:
        """What a scene depends on besides its code; times do not depend on size and frame rate."""
        settings, quality = self._options.settings, self._options.quality
        traces = [self._trace_file, *filter(None, [settings.compare])]
        return digest(
            [
                # How a tail moves is part of its own key.
                repr(replace(settings, compare=None, calm=False)),
                repr(frame_size(quality.width, quality.height)),
                repr(surroundings()),
                *(sha256(path.read_bytes()).hexdigest() for path in traces),
            ]
        )

    @cached_property
    def _pictures(self) -> str:
        quality = self._options.quality
        return digest([self._scene, repr((quality.width, quality.height, quality.frame_rate))])


class SceneCode:
    """The code of one scene, member by member."""

    def __init__(self, index: CodeIndex, scene: Place) -> None:
        self._index = index
        lineage = [place for place in index.lineage(scene) if place != STAGE]
        self._members: dict[str, list[tuple[str, Piece]]] = {}
        for module, name in lineage:
            for member, pieces in index.members((module, name)).items():
                self._members.setdefault(member, []).extend((module, p) for p in pieces)
        # What the stage calls by itself, for every scene.
        self._hooks = {"", "__init__", *index.members(STAGE)} - WORDS

    def of_beats(self, played: Sequence[str], beats: set[str]) -> list[str]:
        """All code that runs until the last of some beats has been played."""
        return self._code(self.members_of(played, beats), told=False)

    def members_of(self, played: Sequence[str], beats: set[str]) -> list[str]:
        """The members that run until then."""
        ahead = [*(self._hooks & self._members.keys() - beats), *played]
        taken: set[str] = set()
        while ahead:
            member = ahead.pop()
            if member not in taken and member in self._members:
                taken.add(member)
                for _, piece in self._members[member]:
                    ahead += piece.attributes - WORDS
                    # Other things have titles too: of these names only the scene's own count.
                    ahead += [word for word in WORDS if f"self.{word}" in piece.names]
        return sorted(taken)

    def everything(self) -> list[str]:
        """All code of the scene, and what it tells of itself."""
        return self._code(sorted(self._members), told=True)

    def _code(self, members: Iterable[str], *, told: bool) -> list[str]:
        code = [
            text
            for member in members
            for _, piece in self._members[member]
            for text in (member, piece.code, piece.told if told else "")
        ]
        return [*code, *_texts(self.reached(members))]

    def reached(self, members: Iterable[str]) -> dict[Place, list[Piece]]:
        """All that some members refer to, and what takes part in every picture."""
        places = set(DRAWING)
        for member in members:
            for module, piece in self._members[member]:
                places.update(self._index.references(module, piece))
        return self._index.reach(places)


def _texts(reached: dict[Place, list[Piece]]) -> list[str]:
    return [text for place in sorted(reached) for text in (*place, *_codes(reached[place]))]


def _codes(pieces: Iterable[Piece]) -> list[str]:
    return [piece.code for piece in pieces]


def catalogue_digests(language: str, *folders: Path) -> list[str]:
    """Hash each of the project's catalogues of a language, and those of some other folders."""
    own = [*PROJECT.glob("scenes/*/locale"), *dict.fromkeys(folders)]
    files = [folder / f"{language}.po" for folder in (KIT_CATALOGUES, *own)]
    return [sha256(path.read_bytes()).hexdigest() for path in sorted(files) if path.exists()]


def source_digest(trace_file: Path, options: RenderOptions, entries: Iterable[SceneEntry]) -> str:
    """Hash every file of code and the traces; see :meth:`BeatHasher.source_digest`."""
    index, folders = CodeIndex(PROJECT), []
    for entry in entries:
        add_scene(index, entry)
        folders += [catalogue_folder(entry.file)] if entry.file else []
    traces = [trace_file, *filter(None, [options.settings.compare])]
    catalogues = catalogue_digests(options.settings.language, *folders)
    traces_read = (sha256(path.read_bytes()).hexdigest() for path in traces)
    return digest([index.tree_digest(), *catalogues, *traces_read])


def add_scene(index: CodeIndex, entry: SceneEntry) -> None:
    """Make the module of a scene known to an index, wherever it is."""
    if entry.arrival is not None:
        add_scene(index, entry.arrival.origin)
    spec = None if entry.file else find_spec(entry.module)
    if file := entry.file or (spec and spec.origin):
        index.add(entry.module, Path(file))


def scene_code(entry: SceneEntry) -> tuple[list[str], dict[str, bytes]]:
    """Find all code that a scene may run, in any beat.

    Returns
    -------
    modules
        Names of the project's modules.
    files
        Content of all other files, by their path relative to the scene's own folder.
    """
    index = CodeIndex(PROJECT)
    add_scene(index, entry)
    modules = {module for module, _ in index.reach([(entry.module, EVERYTHING)])}
    folder = entry.file.resolve().parent if entry.file else PROJECT
    files = {}
    for module in modules - index.project_modules(modules):
        path = index.file(module)
        if entry.file and path:
            files[path.resolve().relative_to(folder).as_posix()] = path.read_bytes()
    if entry.file:
        for path in catalogue_folder(entry.file).glob("*.po"):
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return sorted(index.project_modules(modules)), files


def drawing_digest(modules: Iterable[str]) -> str:
    """Hash the code of some modules and of all that they run, for people to compare.

    Two machines on which it is the same draw the same pictures.
    """
    places = {(module, EVERYTHING) for module in modules}
    return digest(_texts(CodeIndex(PROJECT).reach({*DRAWING, *places})))[:SHORT]


def translations_digest(language: str) -> str:
    """Hash the project's translations into a language, for people to compare."""
    return digest(catalogue_digests(language))[:SHORT]


def surroundings() -> dict[str, str]:
    """Name what pictures depend on besides the project and the trace, with its version."""
    fonts = sha256()
    for path in (*font_files(), FONT_RULES):
        fonts.update(sha256(path.read_bytes()).digest())
    # A scene may show GPT-2 beside its trace: the user's own, or the published patterns.
    gpt2 = sha256()
    for path in (PUBLISHED, EXTRACTED_GPT2):
        gpt2.update(sha256(path.read_bytes() if path.exists() else b"").digest())
    return {
        "Python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.system()}",
        "cairo": cairo.cairo_version_string(),
        "pango": manimpango.pango_version(),
        **{name: version(name) for name in LIBRARIES},
        "the fonts": fonts.hexdigest()[:SHORT],
        "the traces of GPT-2": gpt2.hexdigest()[:SHORT],
    }
