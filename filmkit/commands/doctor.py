"""The command ``render.py doctor``: checks of this machine, and commands that fix what they find.

This module imports none of the libraries that it checks: one that is missing or broken becomes a
finding like any other, and every other check still runs.

``--json`` prints one object: ``version``, of this format (1); ``healthy``, true if there is no
fault; and ``findings``, a list of objects with

``group``, ``name``
    what was checked, such as "libraries" and "pillow".
``state``
    "ok"; "note", for what is worth knowing but stops nothing; or "fault".
``message``
    one line.
``command``
    a shell command that fixes it; null if there is nothing to fix.
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
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click
import cloup

from extract.support.plain_text import escaped_json
from extract.support.printing import echo
from filmkit.commands.options import CONTEXT_SETTINGS, DEFAULT_OUT, PROGRAM
from filmkit.core.project import IS_CHECKOUT, NAME, PROJECT
from filmkit.render.cache import (
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    Cache,
    default_folder,
    default_limit,
)
from filmkit.render.formats import FORMATS

__all__ = ["FAULT", "NOTE", "OK", "Finding", "doctor", "run_checks"]

OK, NOTE, FAULT = "ok", "note", "fault"
FORMAT_VERSION = 1  # of the JSON document that --json prints

CONSTRAINTS = "filmkit/constraints.txt"
MIN_PYTHON = (3, 11)  # the same as in pyproject.toml

# Why a version outside the range in pyproject.toml does not work, by library.
REASONS = {
    "manim": "this project replaces parts of Manim that other versions do not have",
    "pillow": "Manim 0.22 cannot draw images with Pillow 13",
}

EXTRAS = {
    "cjk": "fonts for Chinese, Japanese and Korean",
    "cluster": "rendering on other machines, with --cluster",
    "decks": "slides for PowerPoint, Keynote and Google Slides",
    "docs": "the documentation as a website, with make docs",
    "extract": "traces of other prompts and models, with python -m extract",
    "notebook": "live pictures in notebooks, with filmkit.widget",
    "studio": "a page that shows a scene while you edit it, with render.py studio",
    "voice": "speaking the narration, with --voice piper, or recording it",
}

FONTS = ("font-source-sans-pro", "manimgx-fonts")  # Python packages that contain the fonts

GB = 1e9  # bytes
# Disk space in full HD, with the masters that other formats than mp4 need.
SCENE_SPACE = 1.0 * GB  # of the longest scene
FILM_SPACE = 4.0 * GB  # of all scenes


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    name
        What was checked.
    state
        One of ``OK``, ``NOTE`` and ``FAULT``.
    message
        The result in one line.
    command
        A shell command that fixes it; None if there is nothing to fix.
    """

    name: str
    state: str
    message: str
    command: str | None = None


@cloup.command(context_settings=CONTEXT_SETTINGS)
@cloup.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(ctx: click.Context, /, *, as_json: bool) -> None:
    """Check this machine, and give the command that fixes each fault.

    The exit code is 1 if there is a fault and 0 otherwise. The command changes nothing and asks
    no questions.
    """
    findings = []
    last_group = ""
    for group, finding in run_checks():
        findings.append((group, finding))
        if not as_json:
            if group != last_group:
                last_group = group
                echo(group.capitalize())
            echo(_as_text(finding))
    faults = sum(finding.state == FAULT for _, finding in findings)
    if as_json:
        rows = [{"group": group, **asdict(finding)} for group, finding in findings]
        report = {"version": FORMAT_VERSION, "healthy": not faults, "findings": rows}
        echo(escaped_json(json.dumps(report, indent=2, ensure_ascii=False)))
    elif faults:
        echo(f"{faults} {'fault' if faults == 1 else 'faults'}")
    else:
        echo("No faults found")
    ctx.exit(1 if faults else 0)


def _as_text(finding: Finding) -> str:
    state = finding.state.upper() if finding.state == FAULT else finding.state
    line = f"  {state:6} {finding.name:24} {finding.message}"
    return f"{line}\n{'':9}{finding.command}" if finding.command else line


def run_checks() -> Iterator[tuple[str, Finding]]:
    """Run every check; yield each finding as soon as it is known, with its group."""
    for group, check in CHECKS.items():
        try:
            for finding in check():
                yield group, finding
        except Exception as error:
            # A library that the check needs is broken, which another finding explains, or the
            # error is unforeseen.
            command = _install() if isinstance(error, ImportError) else None
            yield group, Finding(group, FAULT, f"cannot be checked ({_one_line(error)})", command)


# Python and its packages


def _python() -> Iterator[Finding]:
    message = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info >= MIN_PYTHON:
        yield Finding("Python", OK, message)
    else:
        oldest = ".".join(map(str, MIN_PYTHON))
        yield Finding("Python", FAULT, f"{message}; {oldest} or newer is needed", _set_up())


def _libraries() -> Iterator[Finding]:
    """Check that each library has a version that works, and loads."""
    modules = {
        name.lower(): module
        for module, names in packages_distributions().items()
        for name in names
        if not module.startswith("_")
    }
    for requirement in _requirements():
        name = requirement.name
        if problem := _version_problem(requirement):
            yield Finding(name, FAULT, problem, _pip("install", _text(requirement)))
            continue
        try:
            import_module(modules.get(name, name.replace("-", "_")))
        except Exception as error:
            message = f"{version(name)} cannot be loaded ({_one_line(error)})"
            if isinstance(error, ModuleNotFoundError):
                command = _install()
            else:  # a library of the system is missing, or the installation is broken
                is_system = any(ending in str(error) for ending in (".so", ".dylib"))
                command = _set_up() if is_system else _again(name)
            yield Finding(name, FAULT, message, command)
        else:
            yield Finding(name, OK, version(name))


def _extras() -> Iterator[Finding]:
    for extra, purpose in EXTRAS.items():
        found = {each.name: _version_problem(each) for each in _requirements(extra)}
        if problems := [f"{name} {problem}" for name, problem in found.items() if problem]:
            message = f"{purpose}: {', '.join(problems)}"
            yield Finding(extra, NOTE, message, _install(extra))
        else:
            yield Finding(extra, OK, purpose)


def _version_problem(requirement: Any) -> str:
    """Return what is wrong with the installed version of a library; "" if nothing is."""
    name, needed = requirement.name, f"{_versions(requirement)} is needed"
    try:
        installed = version(name)
    except PackageNotFoundError:
        return f"is not installed; {needed}"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    reason = f": {REASONS[name]}" if name in REASONS else ""
    return f"{installed} is installed, {needed}{reason}"


def _pins() -> Iterator[Finding]:
    """Compare with the versions whose pictures the tests know."""
    constraints = PROJECT / CONSTRAINTS
    others = []
    for line in constraints.read_text(encoding="utf-8").splitlines():
        name, _, pinned = line.partition("==")
        if pinned and not line.startswith("#"):
            with suppress(PackageNotFoundError):
                if (installed := version(name)) != pinned:
                    others.append(f"{name} {installed} instead of {pinned}")
    if others:
        message = f"pictures may differ from the tested ones: {', '.join(others)}"
        yield Finding("versions", NOTE, message, _install(constraints=constraints))
    else:
        yield Finding("versions", OK, "the same as when the pictures were tested")


# Drawing and writing files


def _tried(name: str, good: str, bad: str, command: str, attempt: Callable[[], object]) -> Finding:
    """Return whether an attempt succeeds, in words for either case and a command that mends it."""
    try:
        attempt()
    except Exception as error:
        return Finding(name, FAULT, f"{bad} ({_one_line(error)})", command)
    return Finding(name, OK, good)


def _drawing() -> Iterator[Finding]:
    """Draw a red image, which fails with some versions of Pillow, and set a formula."""

    def image() -> None:
        numpy, manim = import_module("numpy"), import_module("manim")
        red = [255, 0, 0, 255]
        with manim.tempconfig({"pixel_width": 32, "pixel_height": 18}):
            mobject = manim.ImageMobject(numpy.full((2, 2, 4), red, numpy.uint8))
            mobject.height = 4
            camera = manim.Camera()
            camera.capture_mobject(mobject)
        colour = camera.pixel_array[9, 16].tolist()
        if colour != red:
            raise ValueError(f"the colour {colour} instead of {red}")

    def formula() -> None:
        from filmkit.core.text import Symbol
        from filmkit.render.quality import DRAFT, QUALITIES
        from filmkit.render.runner import manim_config

        with manim_config(QUALITIES[DRAFT]):
            Symbol("W_Q")

    pillow, manim = (_pip("install", _requirement(name)) for name in ("pillow", "manim"))
    yield _tried("image", "Manim draws images correctly", "Manim draws wrongly", pillow, image)
    yield _tried("formula", "Typst sets formulas", "Typst cannot set a formula", manim, formula)


def _fonts() -> Iterator[Finding]:
    """Check that Pango loads every font file, and knows the font families of the pictures."""
    from filmkit.core.fonts import FALLBACKS, east_asian_fonts, font_files
    from filmkit.core.theme import current_theme

    pango = import_module("manimpango")
    files, missing = [*font_files(), *east_asian_fonts()], []
    for path in files:
        try:
            loaded = pango.register_font(str(path))
        except (AssertionError, RuntimeError):
            loaded = False
        if not loaded:
            missing.append(path.name)
    known = set(pango.list_fonts())
    families = [each for each in (current_theme().font, *FALLBACKS) if "CJK" not in each]
    missing += [family for family in families if family not in known]
    if missing:
        yield Finding("fonts", FAULT, f"cannot be loaded: {', '.join(missing)}", _again(*FONTS))
    else:
        yield Finding("fonts", OK, f"all {len(files)} files can be loaded")


def _formats() -> Iterator[Finding]:
    """Write a tiny film in every encoding, and look for the codecs of captions."""
    import av
    import numpy

    from extract.support.temporary import temporary_folder
    from filmkit.render import movie
    from filmkit.render.quality import Quality

    def film(encoding: movie.Encoding) -> None:
        with temporary_folder() as folder:
            path = folder / f"film{encoding.suffix}"
            with movie.open_movie(path, Quality(64, 64, 10), encoding) as film:
                film.write(numpy.zeros((64, 64, 4), numpy.uint8))

    encodings = {"masters": movie.MASTER, "transparent masters": movie.MASTER_ALPHA}
    tracks = {}
    for name, output in FORMATS.items():
        for words, encoding in (
            (name, output.encoding),
            (f"transparent {name}", output.clear_encoding),
        ):
            if encoding:
                encodings[words] = getattr(movie, encoding)
        if output.caption_codec:
            tracks[f"captions in {name}"] = output.caption_codec
    tries: list[tuple[str, str, Callable[[], object]]]
    tries = [(name, each.codec, partial(film, each)) for name, each in encodings.items()]
    tries += [(name, codec, partial(av.Codec, codec, "w")) for name, codec in tracks.items()]
    for name, codec, attempt in tries:
        yield _tried(name, codec, f"{codec} cannot be written", _again("av"), attempt)


# Folders and disk space


def _space() -> Iterator[Finding]:
    elsewhere = f"export {FOLDER_VARIABLE}=FOLDER"
    try:
        folder = default_folder()
    except click.UsageError as error:
        yield Finding("cache folder", FAULT, error.message, elsewhere)
    else:
        free_space = f"{PROGRAM} cache --clear" if any(folder.glob("*")) else elsewhere
        yield _folder("cache folder", folder, elsewhere, free_space)
        yield _cache_size(folder)
    elsewhere = f"{PROGRAM} SCENE --out FOLDER"
    yield _folder("output folder", DEFAULT_OUT, elsewhere, elsewhere)


def _folder(name: str, folder: Path, elsewhere: str, free_space: str) -> Finding:
    """Check that a folder can be written to and has room; if it is missing, its nearest parent.

    Parameters
    ----------
    name
        Name of the finding.
    folder
        The folder to check.
    elsewhere
        Command that uses another folder instead.
    free_space
        Command for when there is too little room.
    """
    path = folder.absolute()
    try:
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
        with TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding(name, FAULT, f"{folder}: {error.strerror}", elsewhere)
    message = f"{free / GB:.1f} GB free for {folder}"
    if free >= FILM_SPACE:
        return Finding(name, OK, message)
    scene, film = (f"{size / GB:.0f} GB" for size in (SCENE_SPACE, FILM_SPACE))
    message += f"; in full HD a scene takes up to {scene}, all scenes together {film}"
    return Finding(name, FAULT if free < SCENE_SPACE else NOTE, message, free_space)


def _cache_size(folder: Path) -> Finding:
    name = "cache size"
    try:
        limit = default_limit()
    except click.UsageError as error:
        return Finding(name, FAULT, error.message, f"unset {LIMIT_VARIABLE}")
    used = sum(Cache(folder, limit).sizes().values())
    message = f"{used / GB:.2f} of at most {limit / GB:.2f} GB"
    if used <= limit:
        return Finding(name, OK, message)
    return Finding(name, NOTE, f"{message}; the next run reduces it to that")


def _traces() -> Iterator[Finding]:
    from extract.facts.published import PUBLISHED
    from extract.trace import Trace, TraceError
    from filmkit.render.traces import EXTRACTED, SHIPPED, find_trace

    for path in sorted({SHIPPED, PUBLISHED, *EXTRACTED.parent.glob("*.safetensors")}):
        used = ", used unless --trace names another" if path == find_trace(None) else ""
        try:
            meta = Trace.load(path).meta
        except TraceError as error:
            message = str(error).removeprefix(f"{path}: ")
            command = _restore_command(path, shipped=path in (SHIPPED, PUBLISHED))
            yield Finding(path.name, FAULT, message, command)
        else:
            message = f"{meta.model}, {meta.n_prompt} tokens{used}"
            yield Finding(path.name, OK, message)


def _restore_command(path: Path, *, shipped: bool) -> str:
    if shipped and not IS_CHECKOUT:
        return _pip("install", "--force-reinstall", "--no-deps", NAME)
    if shipped:
        return shlex.join(["git", "-C", str(path.parent), "checkout", "--", path.name])
    return shlex.join(["rm", str(path)])


def _not_needed() -> Iterator[Finding]:
    others = "a display, LaTeX, an ffmpeg program, a browser and the network"
    yield Finding("GPU", OK, f"is not needed, and neither are {others}")


CHECKS: dict[str, Callable[[], Iterable[Finding]]] = {
    "python": _python,
    "libraries": _libraries,
    "extras": _extras,
    "pictures": _pins,
    "drawing": _drawing,
    "fonts": _fonts,
    "formats": _formats,
    "space": _space,
    "traces": _traces,
    "other": _not_needed,
}


# Requirements of the project, and commands that install them


def _requirements(extra: str = "") -> list[Any]:
    """Return what the project needs, or what one of its extras needs besides."""
    from packaging.requirements import Requirement

    if IS_CHECKOUT:  # what is installed may be older
        project = _project()
        return [
            Requirement(text)
            for text in (
                project["optional-dependencies"][extra] if extra else project["dependencies"]
            )
        ]
    found = map(Requirement, requires(NAME) or ())
    mine = [each for each in found if ("extra" in str(each.marker or "")) == bool(extra)]
    return [each for each in mine if each.marker is None or each.marker.evaluate({"extra": extra})]


def _project() -> dict[str, Any]:
    import tomllib  # not at the top: a Python that is too old does not have it

    with (PROJECT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


def _requirement(name: str) -> str:
    """Return the requirement for a library, as pip reads it."""
    return next(_text(each) for each in _requirements() if each.name == name)


def _text(requirement: Any) -> str:
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{_versions(requirement)}"


def _versions(requirement: Any) -> str:
    """Return the range of versions, the lower end first."""
    return ",".join(sorted(map(str, requirement.specifier), reverse=True))


def _pip(*words: str) -> str:
    """Return a pip command for the Python that runs this program."""
    return shlex.join([_path_text(Path(sys.executable)), "-m", "pip", *words])


def _install(extra: str = "", constraints: Path | None = None) -> str:
    """Return a command that installs what the project, or one of its extras, needs."""
    project = ["--editable", _path_text(PROJECT)] if IS_CHECKOUT else [NAME]
    project[-1] += f"[{extra}]" if extra else ""
    return _pip("install", *(["-c", _path_text(constraints)] if constraints else []), *project)


def _again(*names: str) -> str:
    """Return a command that installs libraries once more, and nothing else."""
    return _pip("install", "--force-reinstall", "--no-deps", *map(_requirement, names))


def _set_up() -> str:
    """Return a command that installs everything, in a checkout system libraries included."""
    if not IS_CHECKOUT:
        return _pip("install", "--force-reinstall", NAME)
    return shlex.join([_path_text(PROJECT / "scripts" / "setup.sh"), "render"])


def _path_text(path: Path) -> str:
    """Return a path as text, relative to the current folder if it is inside."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
