"""Contact sheets: how every beat of a scene ends, on one picture."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import font_source_sans_pro
from manim.utils.exceptions import EndSceneEarlyException
from PIL import Image, ImageDraw, ImageFont

from extract.trace import Trace
from filmkit.core.records import BeatRecord
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.core.theme import Theme, use_theme
from filmkit.render.cache import Cache, open_cache
from filmkit.render.errors import WorkError, explain
from filmkit.render.keys import BeatHasher
from filmkit.render.progress import Meter, make_meter
from filmkit.render.request import RenderOptions, RenderRequest, each, load_trace, report_files
from filmkit.render.runner import manim_config, write_png
from filmkit.render.traces import find_trace
from filmkit.render.workers import SPAWN, cores, obey_parent

__all__ = ["ContactSheet", "draw_sheet", "make_previews", "open_contact_sheet", "save_sheet"]

CELL = 0.75  # size of a picture on the sheet, of the size at which it is drawn
SHAPE = 16 / 10  # width to height that the sheet comes as near to as it can
# Parts of the sheet, as fractions of a picture's shorter side.
GAP = 0.09
LABEL = 0.072
HEADER = 0.15
TITLE = 0.09


@dataclass(frozen=True)
class ContactSheet:
    """Pictures of how a scene's beats end, which are drawn where they are missing.

    Attributes
    ----------
    entry
        The scene.
    pictures
        Where the picture of each beat is or belongs, in the order of the story.
    """

    entry: SceneEntry
    pictures: dict[str, Path]

    def missing(self) -> list[str]:
        """The beats that have no picture yet."""
        return [beat for beat, path in self.pictures.items() if not path.exists()]

    def draw(
        self, trace: Trace, options: RenderOptions, taken: Callable[[str], None]
    ) -> dict[str, Path]:
        """Draw what is missing, and call ``taken`` with each beat whose picture is there.

        Returns
        -------
        dict of str to Path
            The pictures of all beats.
        """
        to_do = self.missing()

        def take(record: BeatRecord, stage: Stage) -> None:
            if record.name in to_do:
                write_png(Image.fromarray(stage.snapshot()[..., :3]), self.pictures[record.name])
                to_do.remove(record.name)
                taken(record.name)
            if not to_do:
                raise EndSceneEarlyException

        if to_do:
            self.entry.load()(trace, options.settings, on_beat_end=take).render()
        return self.pictures


def open_contact_sheet(
    entry: SceneEntry, *, trace: Trace, hasher: BeatHasher, cache: Cache
) -> ContactSheet:
    """Find out where the pictures of a scene's beats are or will be.

    Parameters
    ----------
    entry
        The scene.
    trace
        The numbers.
    keyring
        Of this run.
    cache
        Where pictures are kept.
    """
    keys = hasher.beat_keys(entry, entry.load().beat_names(trace))
    pictures = {beat: cache.path(key, ".end.png") for beat, key in keys.items()}
    for path in pictures.values():
        cache.holds(path)  # counts as used now
    return ContactSheet(entry, pictures)


def draw_sheet(
    entry: SceneEntry,
    beats: Sequence[str],
    pictures: Mapping[str, Path],
    size: tuple[int, int],
    theme: Theme,
) -> Image.Image:
    """Put pictures on a sheet, each under its number and name.

    Parameters
    ----------
    entry
        The scene, whose name and title stand above.
    beats
        All names in order.
    pictures
        Of some or all beats; the others have an empty frame.
    size
        Width and height at which the pictures are drawn.
    looks
        Colours and background of the sheet.
    """
    width, height = (round(CELL * length) for length in size)
    gap, label, header = (round(part * min(width, height)) for part in (GAP, LABEL, HEADER))
    across, down = width + gap, height + label + gap

    def unlikeness(columns: int) -> float:
        rows = math.ceil(len(beats) / columns)
        shape = (columns * across + gap) / (rows * down + header + gap)
        empty = (rows * columns - len(beats)) / len(beats)
        return abs(math.log(shape / SHAPE)) + empty

    columns = min(range(1, len(beats) + 1), key=unlikeness)
    rows = math.ceil(len(beats) / columns)
    sheet = Image.new("RGB", (columns * across + gap, rows * down + header + gap), theme.background)
    pen = ImageDraw.Draw(sheet)
    line = max(1, round(gap / 30))
    title = round(TITLE * min(width, height))
    _write(pen, (gap, gap + title), sheet.width - 2 * gap, title, entry.slug, entry.title, theme)
    for index, beat in enumerate(beats):
        row, column = divmod(index, columns)
        x, y = gap + column * across, gap + header + row * down
        _write(pen, (x, y + label), width, label, f"{index + 1:02}", beat, theme)
        y += label + round(gap / 4)
        if beat in pictures:
            with Image.open(pictures[beat]) as picture:
                small = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
                sheet.paste(small, (x, y))
        pen.rectangle((x - line, y - line, x + width, y + height), outline=theme.faint, width=line)
    return sheet


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    room: int,
    size: int,
    first: str,
    second: str,
    theme: Theme,
) -> None:
    """Write two things on one line whose left end is given, as small as the room makes it."""
    fonts = [_font(weight, size) for weight in ("Semibold", "Regular")]
    space = fonts[0].getlength("  ")
    length = fonts[0].getlength(first) + space + fonts[1].getlength(second)
    if length > room:
        size = math.floor(size * room / length)
        fonts = [_font(weight, size) for weight in ("Semibold", "Regular")]
    x, y = at
    pen.text((x, y), first, theme.muted, fonts[0], anchor="ls")
    x += round(fonts[0].getlength(first) + space * size / fonts[0].size)
    pen.text((x, y), second, theme.ink, fonts[1], anchor="ls")


@lru_cache(maxsize=16)
def _font(weight: str, size: int) -> ImageFont.FreeTypeFont:
    folder = Path(font_source_sans_pro.__file__).parent / "files"
    return ImageFont.truetype(folder / f"SourceSansPro-{weight}.otf", size)


def make_previews(request: RenderRequest) -> bool:
    """Write a sheet of how all beats end for each scene; say whether all went well."""
    trace = load_trace(request)
    with (
        open_cache(request.cache, keep=request.keep_cache) as cache,
        manim_config(request.quality, verbosity=request.verbosity),
    ):
        hasher = BeatHasher(find_trace(request.trace), request.options)
        albums = each(
            request,
            request.scenes,
            lambda entry: open_contact_sheet(entry, trace=trace, hasher=hasher, cache=cache),
        )
        to_draw = [album for album in albums.values() if album.missing()]
        with (
            make_meter(
                sum(len(album.missing()) for album in to_draw), quiet=request.quiet
            ) as meter,
            _drawn(request, trace, to_draw, meter) as wait,
        ):

            def sheet(entry: SceneEntry) -> Path:
                wait(entry)
                return save_sheet(request, albums[entry], albums[entry].pictures)

            made = each(request, albums, sheet)
    report_files(request, made.values())
    return len(made) == len(request.scenes)


def save_sheet(request: RenderRequest, album: ContactSheet, pictures: Mapping[str, Path]) -> Path:
    """Write a scene's sheet of those pictures, whole or not at all."""
    path = request.out / f"{album.entry.slug}.preview.png"
    size = (request.quality.width, request.quality.height)
    with use_theme(request.theme) as theme:
        sheet = draw_sheet(album.entry, tuple(album.pictures), pictures, size, theme)
    # Packing it more tightly takes longer than drawing a beat.
    write_png(sheet, path, compress_level=2)
    return path


@contextmanager
def _drawn(
    request: RenderRequest, trace: Trace, albums: Sequence[ContactSheet], meter: Meter
) -> Iterator[Callable[[SceneEntry], None]]:
    """Draw what albums miss; what is given waits for a scene's pictures, or raises its error.

    One scene is drawn by this process: another one would take longer to start than it saves.
    """
    by_entry = {album.entry: album for album in albums}

    def draw(entry: SceneEntry) -> None:
        if entry in by_entry:
            meter.describe(entry.slug)
            by_entry[entry].draw(trace, request.options, lambda beat: meter.advance(1))

    processes = min(request.jobs or cores(), len(albums))
    if processes < 2:
        yield draw
        return
    with ProcessPoolExecutor(processes, SPAWN, obey_parent) as pool:
        drawing = {album.entry: pool.submit(_draw, request, album) for album in albums}

        def wait(entry: SceneEntry) -> None:
            if entry in drawing:
                meter.describe(entry.slug)
                drawing[entry].result()
                meter.advance(len(by_entry[entry].pictures))

        try:
            yield wait
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _draw(request: RenderRequest, album: ContactSheet) -> None:
    try:
        with manim_config(request.quality, verbosity=request.verbosity):
            album.draw(Trace.load(find_trace(request.trace)), request.options, lambda beat: None)
    except Exception as error:
        raise WorkError(explain(error, verbose=request.verbose)) from None
