"""Contact sheets: one picture that shows the last frame of every beat of a scene."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import font_source_sans_pro
from manim.utils.exceptions import EndSceneEarlyException
from PIL import Image, ImageDraw, ImageFont

from extract.trace import Trace
from filmkit.core.fonts import SIMPLIFIED_CHINESE, east_asian_fonts, is_east_asian
from filmkit.core.records import BeatRecord
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.core.theme import Theme, use_theme
from filmkit.render.cache import Cache, is_sealed, open_cache, seal
from filmkit.render.errors import RenderError, explain
from filmkit.render.keys import BeatHasher
from filmkit.render.progress import Meter, make_meter
from filmkit.render.request import (
    RenderOptions,
    RenderRequest,
    for_each_scene,
    load_trace,
    report_files,
)
from filmkit.render.runner import manim_config, write_png
from filmkit.render.traces import find_trace
from filmkit.render.workers import (
    SPAWN,
    core_count,
    load_all,
    require_unchanged,
    stop_with_parent,
)

__all__ = ["ContactSheet", "draw_sheet", "make_previews", "open_contact_sheet", "save_sheet"]

CELL = 0.75  # size of a picture on the sheet, as a fraction of the size at which it is rendered
SHAPE = 16 / 10  # preferred ratio of width to height of the sheet
# Lengths on the sheet, as fractions of the shorter side of a picture on it.
GAP = 0.09  # between pictures, and around all of them
LABEL = 0.072  # text size of a beat's name
HEADER = 0.15  # height of the strip with the title
TITLE = 0.09  # text size of the title
WEIGHTS = {"Semibold": 600, "Regular": 400}  # of the names of fonts


@dataclass(frozen=True)
class ContactSheet:
    """The last frames of a scene's beats, as picture files in the cache.

    Attributes
    ----------
    entry
        The scene.
    pictures
        Path of the picture of each beat, existing or not, in the order of the story.
    """

    entry: SceneEntry
    pictures: dict[str, Path]

    def missing(self) -> list[str]:
        """Return the names of the beats whose picture does not exist yet."""
        return [beat for beat, path in self.pictures.items() if not is_sealed(path)]

    def draw(
        self,
        stage: type[Stage],
        trace: Trace,
        options: RenderOptions,
        on_drawn: Callable[[str], None],
    ) -> dict[str, Path]:
        """Draw the missing pictures.

        Parameters
        ----------
        stage
            The scene's class, as it was when the cache keys were made.
        trace
            The trace.
        options
            How to render.
        on_drawn
            Called with the name of each beat after its picture has been drawn.

        Returns
        -------
        dict of str to Path
            The pictures of all beats.
        """
        to_do = self.missing()

        def take(record: BeatRecord, stage: Stage) -> None:
            if record.name in to_do:
                path = self.pictures[record.name]
                write_png(Image.fromarray(stage.snapshot(notes=True)[..., :3]), path)
                seal(path)
                to_do.remove(record.name)
                on_drawn(record.name)
            if not to_do:
                raise EndSceneEarlyException

        if to_do:
            stage(trace, options.settings, on_beat_end=take).render()
        return self.pictures


def open_contact_sheet(
    entry: SceneEntry, *, trace: Trace, hasher: BeatHasher, cache: Cache
) -> ContactSheet:
    """Return a scene's contact sheet, with the cache paths of its pictures.

    Parameters
    ----------
    entry
        The scene.
    trace
        The trace.
    hasher
        Computes the cache keys.
    cache
        The cache that holds the pictures; those that exist are marked as used now.
    """
    keys = hasher.beat_keys(entry, entry.load().beat_names(trace), notes=True)
    pictures = {beat: cache.path(key, ".end.png") for beat, key in keys.items()}
    for path in pictures.values():
        cache.holds(path)  # marks an existing file as used now
    return ContactSheet(entry, pictures)


def draw_sheet(
    entry: SceneEntry,
    beats: Sequence[str],
    pictures: Mapping[str, Path],
    size: tuple[int, int],
    theme: Theme,
) -> Image.Image:
    """Draw a contact sheet: the picture of each beat below the beat's number and name.

    Parameters
    ----------
    entry
        The scene; its name and title stand at the top.
    beats
        Names of all beats, in order.
    pictures
        Pictures of some or all beats. A beat without one gets an empty frame.
    size
        Width and height of the pictures in pixels.
    theme
        Colours of the sheet.
    """
    width, height = (round(CELL * length) for length in size)
    gap, label, header = (round(part * min(width, height)) for part in (GAP, LABEL, HEADER))
    across, down = width + gap, height + label + gap

    def badness(columns: int) -> float:
        """Rate a number of columns by the shape of the sheet and the share of empty cells."""
        rows = math.ceil(len(beats) / columns)
        shape = (columns * across + gap) / (rows * down + header + gap)
        empty = (rows * columns - len(beats)) / len(beats)
        return abs(math.log(shape / SHAPE)) + empty

    columns = min(range(1, len(beats) + 1), key=badness)
    rows = math.ceil(len(beats) / columns)
    sheet = Image.new("RGB", (columns * across + gap, rows * down + header + gap), theme.background)
    pen = ImageDraw.Draw(sheet)
    line = max(1, round(gap / 30))
    title = round(TITLE * min(width, height))
    _write(
        pen, (gap, gap + title), sheet.width - 2 * gap, title, entry.slug, entry.shown_title, theme
    )
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
    start: tuple[int, int],
    width: int,
    size: int,
    first: str,
    second: str,
    theme: Theme,
) -> None:
    """Write a bold and a regular text on one line, shrunk to fit.

    Parameters
    ----------
    pen
        Draws on the sheet.
    start
        Left end of the baseline, (x, y) in pixels.
    width
        Maximum width of the line, in pixels.
    size
        Text size in pixels, if it fits.
    first, second
        The bold text and the regular one.
    theme
        Colours of the texts.
    """
    scripts = [("Semibold", is_east_asian(first)), ("Regular", is_east_asian(second))]
    fonts = [_font(weight, size, east_asian=script) for weight, script in scripts]
    space = fonts[0].getlength("  ")
    length = fonts[0].getlength(first) + space + fonts[1].getlength(second)
    if length > width:
        size = math.floor(size * width / length)
        fonts = [_font(weight, size, east_asian=script) for weight, script in scripts]
    x, y = start
    pen.text((x, y), first, theme.muted, fonts[0], anchor="ls")
    x += round(fonts[0].getlength(first) + space * size / fonts[0].size)
    pen.text((x, y), second, theme.ink, fonts[1], anchor="ls")


@lru_cache(maxsize=16)
def _font(weight: str, size: int, *, east_asian: bool) -> ImageFont.FreeTypeFont:
    if east_asian and (files := east_asian_fonts()):
        font = ImageFont.truetype(files[0], size, index=SIMPLIFIED_CHINESE)
        font.set_variation_by_axes([WEIGHTS[weight]])
        return font
    folder = Path(font_source_sans_pro.__file__).parent / "files"
    return ImageFont.truetype(folder / f"SourceSansPro-{weight}.otf", size)


def make_previews(request: RenderRequest) -> bool:
    """Write a contact sheet of each scene; return whether all succeeded."""
    trace = load_trace(request)
    with (
        open_cache(request.cache, keep=request.keep_cache, quiet=request.quiet) as cache,
        manim_config(request.quality, verbosity=request.verbosity),
    ):
        trace_file = find_trace(request.trace)
        hasher = BeatHasher(trace_file, request.options)
        digest = hasher.source_digest(request.scenes)
        contact_sheets = for_each_scene(
            request,
            request.scenes,
            lambda entry: open_contact_sheet(entry, trace=trace, hasher=hasher, cache=cache),
        )
        stages = load_all(request.scenes)
        require_unchanged(digest, trace_file, request.options, request.scenes)
        to_draw = [sheet for sheet in contact_sheets.values() if sheet.missing()]
        with (
            make_meter(
                sum(len(sheet.missing()) for sheet in to_draw), quiet=request.quiet
            ) as meter,
            _drawing(request, trace, to_draw, stages, digest, meter) as wait,
        ):

            def write_sheet(entry: SceneEntry) -> Path:
                wait(entry)
                return save_sheet(request, contact_sheets[entry], contact_sheets[entry].pictures)

            paths = for_each_scene(request, contact_sheets, write_sheet)
    report_files(request, paths.values())
    return len(paths) == len(request.scenes)


def save_sheet(
    request: RenderRequest, contact_sheet: ContactSheet, pictures: Mapping[str, Path]
) -> Path:
    """Write a scene's contact sheet atomically; return its path.

    Parameters
    ----------
    request
        Output folder, size and theme.
    contact_sheet
        The scene and its beats.
    pictures
        The picture of each beat that has one.

    Raises
    ------
    OutputError
        When the sheet cannot be written.
    """
    entry = contact_sheet.entry
    path = request.out / f"{request.options.file_name(entry.slug)}.preview.png"
    size = (request.quality.width, request.quality.height)
    with use_theme(request.theme) as theme:
        image = draw_sheet(entry, tuple(contact_sheet.pictures), pictures, size, theme)
    # A higher compression level would take longer than drawing a beat.
    write_png(image, path, compress_level=2)
    return path


@contextmanager
def _drawing(
    request: RenderRequest,
    trace: Trace,
    sheets: Sequence[ContactSheet],
    stages: Mapping[SceneEntry, type[Stage]],
    digest: str,
    meter: Meter,
) -> Iterator[Callable[[SceneEntry], None]]:
    """Draw the missing pictures of contact sheets during a ``with`` block, in several processes.

    A single scene is drawn by this process: starting another one would take longer than it saves.

    Yields
    ------
    Callable
        Waits until the pictures of a scene exist, or raises the scene's error.
    """
    by_entry = {sheet.entry: sheet for sheet in sheets}

    def draw(entry: SceneEntry) -> None:
        if entry in by_entry:
            meter.describe(entry.slug)
            by_entry[entry].draw(
                stages[entry], trace, request.options, lambda beat: meter.advance(1)
            )

    processes = min(request.jobs or core_count(), len(sheets))
    if processes < 2:
        yield draw
        return
    with ProcessPoolExecutor(processes, SPAWN, stop_with_parent) as pool:
        futures = {sheet.entry: pool.submit(_draw, request, sheet, digest) for sheet in sheets}

        def wait(entry: SceneEntry) -> None:
            if entry in futures:
                meter.describe(entry.slug)
                try:
                    futures[entry].result()
                except BrokenProcessPool:
                    # A process was killed, and the others with it: this one draws what is left.
                    draw(entry)
                    return
                meter.advance(len(by_entry[entry].pictures))

        try:
            yield wait
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _draw(request: RenderRequest, sheet: ContactSheet, digest: str) -> None:
    """Draw a contact sheet's missing pictures in a process of the pool."""
    try:
        with manim_config(request.quality, verbosity=request.verbosity):
            trace_file = find_trace(request.trace)
            trace = Trace.load(trace_file)
            stages = load_all([sheet.entry])
            require_unchanged(digest, trace_file, request.options, request.scenes)
            sheet.draw(stages[sheet.entry], trace, request.options, lambda beat: None)
    except Exception as error:
        raise RenderError(explain(error, verbose=request.verbose)) from None
