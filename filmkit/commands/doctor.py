"""Looks for what is wrong on this machine: ``render.py doctor``.

It loads at once, and it needs none of the libraries that it looks at: one that is missing or broken
is a finding like any other, and stops no other check.

With ``--json`` it prints one object: ``version`` of this layout (1); ``healthy``, whether there is
no fault; and ``findings``, a list of objects with

``group``, ``name``
    what was looked at, such as "libraries" and "pillow".
``state``
    "ok"; "note", which is good to know and stops nothing; or "fault".
``message``
    one line.
``command``
    what mends it, to be typed in a shell; null if nothing is to be mended.
"""

from __future__ import annotations

import json
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import click
import cloup

from filmkit.commands.options import DEFAULT_OUT, SETTINGS
from filmkit.render.cache import (
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    Cache,
    default_folder,
    default_limit,
)

__all__ = ["FAULT", "NOTE", "OK", "Finding", "doctor", "examine"]

OK, NOTE, FAULT = "ok", "note", "fault"
LAYOUT = 1  # of what --json prints

PROJECT = Path(__file__).resolve().parents[2]
OLDEST = (3, 11)  # Python; pyproject.toml says the same

# Why some versions are ruled out; pyproject.toml says which.
REASONS = {
    "manim": "the engine replaces parts of Manim that other versions do not have",
    "pillow": "Manim 0.22 cannot draw images with Pillow 13",
}

# Other people's packages that are known not to work beside Manim 0.22, up to which version.
MISFITS = {
    "llmanim": ("0.1.3", "its scenes fail with Manim 0.22"),
    "manim-editor": ("0.3.8", "pip replaces Manim by 0.13 when it installs this"),
    "manim-ml": ("0.0.24", "its scenes fail with Manim 0.22"),
    "manim-slides": ("5.7.0", "it cannot render with Manim 0.22; python render.py deck can"),
}

EXTRAS = {
    "cjk": "fonts for Chinese, Japanese and Korean",
    "cluster": "drawing on other machines, with --cluster",
    "decks": "slides for PowerPoint, Keynote and Google Slides",
    "docs": "pages about mobjects and animations, with make docs",
    "extract": "traces of other prompts and models, with python -m extract",
}

FONTS = ("font-source-sans-pro", "manimgx-fonts")  # libraries that bring them

GIGA = 1e9
SCENE_SPACE = 1.0 * GIGA  # what the longest scene takes at full HD, masters included
FILM_SPACE = 4.0 * GIGA  # what all of them take


@dataclass(frozen=True)
class Finding:
    """What one look gave.

    Attributes
    ----------
    name
        What was looked at.
    state
        One of ``OK``, ``NOTE`` and ``FAULT``.
    message
        One line.
    command
        What mends it, if anything is to be mended.
    """

    name: str
    state: str
    message: str
    command: str | None = None


@cloup.command(context_settings=SETTINGS)
@cloup.option("--json", "as_json", is_flag=True, help="For programs to read.")
@click.pass_context
def doctor(ctx: click.Context, /, *, as_json: bool) -> None:
    """Look for what is wrong on this machine, and say how to mend it.

    Exits with 1 when something is, and with 0 otherwise. It changes nothing and asks nothing.
    """
    findings = []
    group = ""
    for found in examine():
        findings.append(found)
        if not as_json:
            if found[0] != group:
                group = found[0]
                click.echo(group.capitalize())
            click.echo(_as_text(found[1]))
    faults = sum(finding.state == FAULT for _, finding in findings)
    if as_json:
        rows = [{"group": group, **asdict(finding)} for group, finding in findings]
        report = {"version": LAYOUT, "healthy": not faults, "findings": rows}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif faults:
        click.echo(f"{faults} {'fault' if faults == 1 else 'faults'}")
    else:
        click.echo("Nothing is wrong")
    ctx.exit(1 if faults else 0)


def _as_text(finding: Finding) -> str:
    state = finding.state.upper() if finding.state == FAULT else finding.state
    line = f"  {state:6} {finding.name:24} {finding.message}"
    return f"{line}\n{'':9}{finding.command}" if finding.command else line


def examine() -> Iterator[tuple[str, Finding]]:
    """Everything that is found, as soon as it is, with the group that it belongs to."""
    for group, check in CHECKS.items():
        try:
            for finding in check():
                yield group, finding
        except Exception as error:
            # What it needs is broken, which another finding says more of, or it is unforeseen.
            command = _install() if isinstance(error, ImportError) else None
            yield group, Finding(group, FAULT, f"cannot be checked ({_said(error)})", command)


# Python and what is installed


def _python() -> Iterator[Finding]:
    message = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info >= OLDEST:
        yield Finding("Python", OK, message)
    else:
        oldest = ".".join(map(str, OLDEST))
        yield Finding("Python", FAULT, f"{message}; {oldest} or newer is needed", _set_up())


def _libraries() -> Iterator[Finding]:
    for requirement in _project()["dependencies"]:
        yield _library(requirement)
    for name, (last, reason) in MISFITS.items():
        with suppress(PackageNotFoundError):
            if _fits(there := version(name), f"<={last}"):
                remove = f"{_pip('uninstall')} --yes {name}"
                yield Finding(name, NOTE, f"{there} is installed: {reason}", remove)


def _library(text: str) -> Finding:
    name = _parsed(text).name
    if wrong := _wrong(text):
        return Finding(name, FAULT, wrong, _pip("install", text))
    there = version(name)
    try:
        import_module(_module_of(name))
    except Exception as error:
        message = f"{there} cannot be loaded ({_said(error)})"
        return Finding(name, FAULT, message, _again(text, error))
    return Finding(name, OK, there)


def _wrong(text: str) -> str:
    """What is wrong with the version of a library; nothing if all is well.

    Parameters
    ----------
    text
        Name and versions, as pyproject.toml has them.
    """
    wanted = _parsed(text)
    versions = ",".join(sorted(map(str, wanted.specifier), reverse=True))
    try:
        there = version(wanted.name)
    except PackageNotFoundError:
        return f"is not installed; {versions} is needed"
    if _fits(there, versions):
        return ""
    reason = f": {REASONS[wanted.name]}" if wanted.name in REASONS else ""
    return f"{there} is installed, {versions} is needed{reason}"


def _again(text: str, error: Exception) -> str:
    """How to install a library once more that is there in the right version and does not load."""
    if isinstance(error, ModuleNotFoundError):
        return _install()
    if ".so" in str(error) or ".dylib" in str(error):
        return _set_up()
    return _pip("install", "--force-reinstall", "--no-deps", text)


def _extras() -> Iterator[Finding]:
    for extra, requirements in _project()["optional-dependencies"].items():
        if what := EXTRAS.get(extra):
            wrong = {text: said for text in requirements if (said := _wrong(text))}
            lacking = ", ".join(f"{_parsed(text).name} {said}" for text, said in wrong.items())
            if wrong:
                yield Finding(extra, NOTE, f"{what}: {lacking}", _install(extra))
            else:
                yield Finding(extra, OK, what)


# What draws and writes


def _drawing() -> Iterator[Finding]:
    yield _image()
    yield _formula()


def _image() -> Finding:
    """Draws a red image as Manim does, which fails with some versions of Pillow."""
    try:
        numpy, manim = import_module("numpy"), import_module("manim")
        red = [255, 0, 0, 255]
        with manim.tempconfig({"pixel_width": 32, "pixel_height": 18}):
            image = manim.ImageMobject(numpy.full((2, 2, 4), red, numpy.uint8))
            image.height = 4
            camera = manim.Camera()
            camera.capture_mobject(image)
            seen = camera.pixel_array[9, 16].tolist()
    except Exception as error:
        message = f"Manim cannot draw one ({_said(error)})"
    else:
        if seen == red:
            return Finding("image", OK, "Manim draws one as it should")
        message = f"Manim draws the colour {seen} instead of {red}"
    return Finding("image", FAULT, message, _pip("install", _requirement("pillow")))


def _formula() -> Finding:
    from filmkit.core.text import Symbol
    from filmkit.render.quality import DRAFT, QUALITIES
    from filmkit.render.runner import manim_config

    try:
        with manim_config(QUALITIES[DRAFT]):
            Symbol("W_Q")
    except Exception as error:
        message = f"Typst cannot set one ({_said(error)})"
        return Finding("formula", FAULT, message, _pip("install", _requirement("manim")))
    return Finding("formula", OK, "Typst sets one")


def _fonts() -> Iterator[Finding]:
    """Whether Pango takes every font file, and knows the families that words are set in."""
    from filmkit.core.fonts import FALLBACKS, font_files
    from filmkit.core.theme import current_theme

    pango = import_module("manimpango")
    lacking = []
    for path in font_files():
        try:
            taken = pango.register_font(str(path))
        except (AssertionError, RuntimeError):
            taken = False
        if not taken:
            lacking.append(path.name)
    again = _pip("install", "--force-reinstall", "--no-deps", *map(_requirement, FONTS))
    if lacking:
        yield Finding("files", FAULT, f"cannot be loaded: {', '.join(lacking)}", again)
    else:
        yield Finding("files", OK, f"{len(font_files())} can be loaded")
    known = set(pango.list_fonts())
    for family in (current_theme().font, *FALLBACKS):
        if family in known:
            yield Finding(family, OK, "is there")
        elif "CJK" in family:
            yield Finding(family, NOTE, f"is not there: {EXTRAS['cjk']}", _install("cjk"))
        else:
            yield Finding(family, FAULT, "is not there", again)


def _formats() -> Iterator[Finding]:
    """Writes a picture in every way that films and stills are written."""
    import av
    import numpy
    from PIL import Image

    from filmkit.render import movie

    def film(encoding: Any) -> None:
        with TemporaryDirectory(prefix="attention-film-") as folder:
            path = Path(folder) / f"film{encoding.suffix}"
            with movie.open_movie(path, 64, 64, 10, encoding) as film:
                film.write(numpy.zeros((64, 64, 4), numpy.uint8))

    def still(form: str) -> None:
        Image.new("RGB", (2, 2)).save(BytesIO(), form)

    def track(codec: str) -> None:
        av.Codec(codec, "w")

    ways: dict[str, tuple[str, Callable[[Any], None], Any]] = {
        "masters": ("av", film, movie.MASTER),
        "transparent masters": ("av", film, movie.MASTER_ALPHA),
        "mp4": ("av", film, movie.MP4),
        "webm": ("av", film, movie.WEBM),
        "transparent webm": ("av", film, movie.WEBM_ALPHA),
        "mov": ("av", film, movie.MOV),
        "transparent mov": ("av", film, movie.MOV_ALPHA),
        "captions in mp4 and mov": ("av", track, "mov_text"),
        "captions in webm": ("av", track, "webvtt"),
        "gif": ("pillow", still, "gif"),
        "png": ("pillow", still, "png"),
    }
    for name, (library, write, how) in ways.items():
        codec = getattr(how, "codec", how)
        try:
            write(how)
        except Exception as error:
            again = _pip("install", "--force-reinstall", "--no-deps", _requirement(library))
            yield Finding(name, FAULT, f"{codec} cannot be written ({_said(error)})", again)
        else:
            yield Finding(name, OK, codec)


# Where things are kept


def _space() -> Iterator[Finding]:
    folder = default_folder()
    elsewhere = f"export {FOLDER_VARIABLE}=FOLDER"
    emptied = "python render.py cache --clear" if any(folder.glob("*")) else elsewhere
    yield _room("cache folder", folder, elsewhere, emptied)
    yield _kept(folder)
    elsewhere = "python render.py SCENE --out FOLDER"
    yield _room("output folder", DEFAULT_OUT, elsewhere, elsewhere)


def _room(name: str, folder: Path, elsewhere: str, emptied: str) -> Finding:
    """Whether a folder, or what it would be made in, takes files, and has room for them."""
    path = folder.absolute()
    try:
        there = next(above for above in (path, *path.parents) if above.exists())
        with TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(name, FAULT, f"{folder}: {error.strerror}", elsewhere)
    message = f"{free / GIGA:.1f} GB free for {folder}"
    if free >= FILM_SPACE:
        return Finding(name, OK, message)
    scene, film = (f"{size / GIGA:.0f} GB" for size in (SCENE_SPACE, FILM_SPACE))
    message += f"; in full HD a scene takes up to {scene}, all of them {film}"
    return Finding(name, FAULT if free < SCENE_SPACE else NOTE, message, emptied)


def _kept(folder: Path) -> Finding:
    name = "cache size"
    try:
        limit = default_limit()
    except click.UsageError as error:
        return Finding(name, FAULT, error.message, f"unset {LIMIT_VARIABLE}")
    used = sum(Cache(folder, limit).sizes().values())
    message = f"{used / GIGA:.2f} of at most {limit / GIGA:.2f} GB"
    if used <= limit:
        return Finding(name, OK, message)
    return Finding(name, NOTE, f"{message}; the next run removes the rest")


def _traces() -> Iterator[Finding]:
    from extract.trace import Trace, TraceError
    from filmkit.render.traces import SHIPPED, find_trace

    for path in sorted({SHIPPED, *SHIPPED.parent.glob("*.safetensors")}):
        used = ", drawn unless --trace names another" if path == find_trace(None) else ""
        try:
            meta = Trace.load(path).meta
        except TraceError as error:
            message = str(error).removeprefix(f"{path}: ")
            yield Finding(path.name, FAULT, message, _renew(path, shipped=path == SHIPPED))
        else:
            words = f"{meta.model}, {meta.n_prompt} tokens{used}"
            yield Finding(path.name, OK, words)


def _renew(path: Path, *, shipped: bool) -> str:
    if shipped:
        return shlex.join(["git", "-C", str(path.parent), "checkout", "--", path.name])
    return shlex.join(["rm", str(path)])


def _other() -> Iterator[Finding]:
    others = "a display, LaTeX, an ffmpeg program, a browser and the network"
    yield Finding("GPU", OK, f"is not needed, and neither are {others}")


CHECKS: dict[str, Callable[[], Iterable[Finding]]] = {
    "python": _python,
    "libraries": _libraries,
    "extras": _extras,
    "drawing": _drawing,
    "fonts": _fonts,
    "formats": _formats,
    "space": _space,
    "traces": _traces,
    "other": _other,
}


# What the project asks for


@lru_cache(maxsize=1)
def _project() -> dict[str, Any]:
    import tomllib  # which a Python that is too old does not have

    with (PROJECT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


def _parsed(requirement: str) -> Any:
    from packaging.requirements import Requirement

    return Requirement(requirement)


def _requirement(name: str) -> str:
    """What pyproject.toml says of a library."""
    return next(text for text in _project()["dependencies"] if _parsed(text).name == name)


def _fits(there: str, versions: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(versions).contains(there, prereleases=True)


@lru_cache(maxsize=1)
def _modules() -> dict[str, str]:
    """The module that each library is imported by."""
    modules: dict[str, str] = {}
    for module, names in packages_distributions().items():
        for name in names:
            if not module.startswith("_"):
                modules.setdefault(name.lower(), module)
    return modules


def _module_of(library: str) -> str:
    return _modules().get(library, library.replace("-", "_"))


def _set_up() -> str:
    """How to install everything, the system's libraries too."""
    return shlex.join([_shown(PROJECT / "scripts" / "setup.sh"), "render"])


def _pip(*words: str) -> str:
    """A call of pip that works on the Python that runs this."""
    return shlex.join([_shown(Path(sys.executable)), "-m", "pip", *words])


def _install(extra: str = "") -> str:
    """How to install all that the project or one of its extras needs."""
    return _pip("install", "--editable", _shown(PROJECT) + (f"[{extra}]" if extra else ""))


def _shown(path: Path) -> str:
    """A path as it is typed in the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
