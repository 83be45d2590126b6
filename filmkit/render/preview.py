"""Contact sheets: one picture that shows the last frame of every beat of a scene."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import font_source_sans_pro
from PIL import Image, ImageDraw, ImageFont

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.fonts import SIMPLIFIED_CHINESE, east_asian_fonts, is_east_asian
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.core.theme import Theme, use_theme
from filmkit.render.cache import Cache, open_cache, seal
from filmkit.render.errors import RenderError
from filmkit.render.pool import Pool
from filmkit.render.progress import make_meter
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest, for_each_scene, load_trace, report_files
from filmkit.render.runner import write_png

__all__ = ["OnPicture", "draw_pictures", "draw_sheet", "make_previews", "save_sheet"]

DRAW = "filmkit.render.preview:drawer"
END = ".end.png"
CELL = 0.75  # size of a picture on the sheet, as a fraction of the size at which it is rendered
SHAPE = 16 / 10  # preferred ratio of width to height of the sheet
# Lengths on the sheet, as fractions of the shorter side of a picture on it.
GAP = 0.09  # between pictures, and around all of them
LABEL = 0.072  # text size of a beat's name
HEADER = 0.15  # height of the strip with the title
TITLE = 0.09  # text size of the title
WEIGHTS = {"Semibold": 600, "Regular": 400}  # of the names of fonts


OnPicture = Callable[[str, Path], None]
"""Called with the name of a beat and its picture."""


def draw_pictures(
    entry: SceneEntry,
    trace: Trace,
    rehearsals: Rehearsals,
    on_picture: OnPicture,
    on_missing: Callable[[str], None] = lambda beat: None,
) -> None:
    """Draw the last picture of each beat of a scene, unless it is in the cache.

    Parameters
    ----------
    entry, trace
        The scene, and the trace.
    rehearsals
        Takes the rehearsal of the scene, if it has to be run, and makes the cache keys. Its cache
        holds the pictures; those that exist are marked as used now.
    on_picture
        Called for each beat in the order of the story.
    on_missing
        Called with the name of a beat before its picture is drawn.

    Raises
    ------
    Exception
        Any error of the scene's code.
    """
    if pictures := _known_pictures(entry, rehearsals):
        for beat, picture in pictures.items():
            on_picture(beat, picture)
        return
    cache = rehearsals.cache

    def take(record: BeatRecord, stage: Stage) -> None:
        picture = cache.path(rehearsals.keys.last_key(record), END)
        if not cache.holds(picture):
            on_missing(record.name)
            write_png(Image.fromarray(stage.snapshot(notes=True)[..., :3]), picture)
            seal(picture)
        on_picture(record.name, picture)

    rehearsals.record_here(entry, trace, take)


def _known_pictures(entry: SceneEntry, rehearsals: Rehearsals) -> dict[str, Path]:
    """Return the pictures of all beats of a scene; none unless all are in the cache."""
    known, cache = rehearsals.find(entry), rehearsals.cache
    records = known.beats if known else ()
    pictures = {r.name: cache.path(rehearsals.keys.last_key(r), END) for r in records}
    missing = [beat for beat, picture in pictures.items() if not cache.holds(picture)]
    return {} if missing else pictures


def drawer(
    request: RenderRequest, trace: Trace, cache: Cache
) -> Callable[[SceneEntry, Callable[..., None]], None]:
    """Return what draws the last pictures of a scene's beats; see :class:`Pool`.

    It tells of each, with a message "picture" that holds its ``beat`` and ``path``.
    """
    rehearsals = Rehearsals(request, cache)

    def draw(entry: SceneEntry, tell: Callable[..., None]) -> None:
        def on_picture(beat: str, path: Path) -> None:
            tell("picture", beat=beat, path=str(path))

        draw_pictures(entry, trace, rehearsals, on_picture)

    return draw


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
    load_trace(request)
    request, trace = request.with_trace()
    with open_cache(request.cache, keep=request.keep_cache, quiet=request.quiet) as cache:
        rehearsals = Rehearsals(request, cache)
        pictures = {entry: _known_pictures(entry, rehearsals) for entry in request.scenes}
        errors: dict[SceneEntry, str] = {}
        calls = {entry: (entry,) for entry in pictures if not pictures[entry]}
        with (
            make_meter(len(calls), quiet=request.quiet) as meter,
            Pool(DRAW, (request, trace, cache), calls, request) as pool,
        ):
            for entry, message in pool.results():
                match message:
                    case {"kind": "picture", "beat": beat, "path": path}:
                        pictures[entry][beat] = Path(path)
                        continue
                    case {"kind": "error", "text": text}:
                        errors[entry] = text
                meter.advance(1)

        def write_sheet(entry: SceneEntry) -> Path:
            if text := errors.get(entry):
                raise RenderError(text)
            return save_sheet(request, entry, list(pictures[entry]), pictures[entry])

        paths = for_each_scene(request, pictures, write_sheet)
    report_files(request, paths.values())
    return len(paths) == len(request.scenes)


def save_sheet(
    request: RenderRequest, entry: SceneEntry, beats: Sequence[str], pictures: Mapping[str, Path]
) -> Path:
    """Write a scene's contact sheet atomically; return its path.

    Parameters
    ----------
    request
        Output folder, size and theme.
    entry, beats
        The scene, and the names of its beats.
    pictures
        The picture of each beat that has one.

    Raises
    ------
    OutputError
        When the sheet cannot be written.
    """
    path = request.out / f"{request.file_name(entry.slug)}.preview.png"
    size = (request.quality.width, request.quality.height)
    with use_theme(request.settings.theme) as theme:
        image = draw_sheet(entry, beats, pictures, size, theme)
    # A higher compression level would take longer than drawing a beat.
    write_png(image, path, compress_level=2)
    return path
