"""Note what a scene uses besides the project and its libraries, while it runs.

Data that it opens, files that it looks for, folders that it lists, code of its own that it loads
and variables of the environment that it reads: each is noted with its state when it is first used,
as build systems do it. Python announces nearly all of them to audit hooks; the functions in
:data:`READERS` open files without Python's knowledge, and are made to announce them too. What other
libraries open by themselves, in C, is not seen.

A hook cannot be taken out again, so this happens in processes that do nothing else than run a scene
(:mod:`filmkit.render.clean_process`), from their start. This module imports nothing of the project.
"""

# Paths are texts, as they are announced: as objects they would cost time at every event, and the
# names of what links lead to would hide that a link has changed.

from __future__ import annotations

import logging
import os
import stat
import sys
import sysconfig
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache, wraps
from hashlib import file_digest, sha256
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = [
    "BEAT",
    "CODE",
    "FILE",
    "FONTS",
    "OWN_CODE",
    "PLACE",
    "VARIABLE",
    "WORDS",
    "changed",
    "now",
    "obstacle",
    "set_aside",
    "start",
    "uses",
]

CODE, OWN_CODE, WORDS, BEAT = "code", "own code", "words", "beat"
FILE, PLACE, VARIABLE, FONTS = "file", "place", "variable", "fonts"
"""Kinds of uses: own code is the project's, words are catalogues of translations, a beat has run,
of a place it was only asked whether something is there, and fonts are named by the package that may
hold them."""

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = tuple(f"{PROJECT / name}{os.sep}" for name in ("extract", "filmkit", "scenes"))
# Of the project's code scenes use files, and that which reads traces for them; others read what has
# no part in pictures, or is part of keys already.
FOR_SCENES = (
    PACKAGES[2],
    *(f"{PACKAGES[0]}{name}.py" for name in ("facts/published", "trace/file")),
)
LIBRARY_FOLDERS = {"site-packages", "dist-packages"}
STANDARD = ("<", *(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib")))
IMPORTERS = "<frozen importlib"
SYSTEM = ("/proc/", "/sys/", "/dev/")
SPECIAL, THERE = "special", "there"
ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
SCENE, OURS, LIBRARY = "scene", "ours", "library"
# Lines of code that are read to be printed with a warning.
QUOTING = {module.__file__ for module in (logging, traceback, warnings)}

READERS = (
    ("av", "open"),
    ("cv2", "VideoCapture"),
    ("cv2", "imread"),
    ("cv2", "imreadmulti"),
    ("PIL.ImageFont", "truetype"),
    ("safetensors", "safe_open"),
    ("safetensors.numpy", "safe_open"),
)
"""Functions of libraries that open a file, their first argument, without Python's knowledge."""

OBSTACLES = {
    "builtins.input": "asks for input",
    "os.exec": "starts another program",
    "os.posix_spawn": "starts another program",
    "os.spawn": "starts another program",
    "os.startfile": "starts another program",
    "os.system": "starts another program",
    "socket.connect": "uses the network",
    "subprocess.Popen": "starts another program",
}
"""What a scene may do that no key can cover, by the names of its events."""


_states: dict[tuple[str, str], str] = {}
_made: set[tuple[str, str]] = set()  # by the scene itself
_obstacles: list[str] = []
_aside = [os.devnull]
_thread = threading.local()


def uses() -> list[tuple[str, str, str]]:
    """Return what this process has used so far, in the order of first use.

    Each is its kind; its absolute path, or the name of a variable; and what :func:`now` returned
    when it was first used.
    """
    return [(kind, name, state) for (kind, name), state in _states.items()]


def changed(uses: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return the names of those uses that are not what they were."""
    return [name for kind, name, state in uses if now(kind, name) != state]


def obstacle() -> str:
    """Return what was done that cannot be recorded, such as "it uses the network", or ""."""
    return _obstacles[0] if _obstacles else ""


def now(kind: str, name: str) -> str:
    """Return a hash of what a file, a folder's list of names or a variable holds; "" if absent.

    Of a place it is enough to know whether something is there, and of a package its fonts count.
    """
    if kind == BEAT:
        return ""
    if kind == VARIABLE:
        value = os.environ.get(name)
        return "" if value is None else sha256(os.fsencode(value)).hexdigest()
    if kind == FONTS:
        package = find_spec(name)
        fonts = Path(package.origin).parent.glob("*.tt[cf]") if package and package.origin else ()
        hashes = [now(FILE, str(font)) for font in sorted(fonts)]
        return sha256("".join(hashes).encode()).hexdigest() if hashes else ""
    try:
        mode = os.stat(name).st_mode
        if kind == PLACE:
            return THERE
        if stat.S_ISDIR(mode):
            return sha256(os.fsencode("/".join(sorted(os.listdir(name))))).hexdigest()
        if not stat.S_ISREG(mode):
            return SPECIAL
        with open(name, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def set_aside(*paths: str | os.PathLike[str]) -> None:
    """Do not note some files, and what is in some folders; forget what was noted of them."""
    _aside.extend(map(os.path.abspath, paths))
    for kind, name in [*_states]:
        if _is_aside(name):
            del _states[kind, name]


def _is_aside(name: str) -> bool:
    return f"{name}{os.sep}".startswith(tuple(f"{path}{os.sep}" for path in _aside))


def start() -> None:
    """Begin to note what this process uses."""
    # A program of the user's own may have imported what its scenes use too.
    for name, module in [*sys.modules.items()]:
        if _owner(getattr(module, "__file__", None) or "<") == SCENE and not name.startswith("__"):
            del sys.modules[name]
    for name, function in READERS:
        module = import_module(name)
        setattr(module, function, _announcing(getattr(module, function), _open))
    plain = os.stat
    setattr(os, "stat", _announcing(plain, _look))  # noqa: B010
    for functions in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if plain in functions:
            functions.add(os.stat)
    os.environ.__class__ = _Environment
    setattr(SourceFileLoader, "path_stats", _no_bytecode(SourceFileLoader.path_stats))  # noqa: B010
    sys.addaudithook(_hear)


# Who uses it


def _asking() -> tuple[str, bool]:
    """Find out whose code asks for something: the scene's, the kit's, or "" for nobody's.

    Returns
    -------
    by
        :data:`SCENE`, :data:`OURS` or "".
    through
        Whether it asks a library, which asks for the thing.
    """
    frame: FrameType | None = sys._getframe(1)
    through = False
    while frame is not None:
        owner = _owner(frame.f_code.co_filename)
        if owner in (SCENE, OURS):
            return owner, through
        through = through or owner == LIBRARY
        frame = frame.f_back
    return "", through


@cache
def _owner(file: str) -> str:
    """Whose code a file holds; "" for that of Python, and of this module."""
    if file.startswith(PACKAGES):
        return SCENE if file.startswith(FOR_SCENES) else OURS if file != __file__ else ""
    if file in QUOTING:
        return OURS
    # The project itself may be installed too.
    if not LIBRARY_FOLDERS.isdisjoint(file.split(os.sep)):
        return LIBRARY
    return "" if file.startswith(STANDARD) else SCENE


def _object(what: str) -> None:
    by, through = _asking()
    if by == SCENE and not through:
        _obstacles.append(f"it {what}")


# What is used


def _note(kind: str, name: str) -> None:
    if (kind, name) not in _states and (kind, name) not in _made:
        _states[kind, name] = now(kind, name)


def _note_file(path: Any, kind: str = FILE) -> None:
    name = os.path.abspath(os.fsdecode(path))
    if _owner(name) in ("", LIBRARY) or _is_aside(name):
        return
    if name.startswith(SYSTEM) or now(FILE, name) == SPECIAL:
        _object(f"reads {name}")
    else:
        _note(kind, name)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if listener := LISTENERS.get(event):
        _tell(listener, *arguments)


def _tell(listener: Callable[..., None], *arguments: Any) -> None:
    """Call a listener, but not for what a listener does itself."""
    if not getattr(_thread, "busy", False):
        _thread.busy = True
        try:
            listener(*arguments)
        finally:
            _thread.busy = False


def _open(path: Any, mode: object = None, flags: int = os.O_RDONLY) -> None:
    """Note a file that is read; those that the scene makes itself are none of its inputs."""
    if not isinstance(path, str | bytes | os.PathLike):
        return
    importing = sys._getframe(3).f_code.co_filename.startswith(IMPORTERS)
    if importing and os.fsdecode(path).endswith((".py", ".pyc")):
        return  # noted when it runs
    if (flags & ACCESS) == os.O_WRONLY or flags & (os.O_TRUNC | os.O_EXCL):
        _made.add((FILE, os.path.abspath(os.fsdecode(path))))
    elif _asking()[0] != OURS:
        _note_file(path)


def _look(path: Any) -> None:
    """Note a file or folder that is looked for."""
    if isinstance(path, str | bytes | os.PathLike) and _asking() == (SCENE, False):
        _note_file(path, PLACE)


def _list(path: Any) -> None:
    importing = sys._getframe(3).f_code.co_filename.startswith(IMPORTERS)
    if not importing and not isinstance(path, int) and _asking() == (SCENE, False):
        _note_file(path or os.curdir)


def _run(code: Any) -> None:
    """Note a file of code that runs."""
    file = getattr(code, "co_filename", "<")
    if file.startswith(PACKAGES):
        _note(OWN_CODE, file)
    elif _owner(file) == SCENE and os.path.isfile(file):
        _note(CODE, os.path.abspath(file))


def _import(module: str, file: str | None, folders: list[str] | None, *more: object) -> None:
    """Note an extension module, and files that would be imported instead if they were there."""
    if file:
        _note_file(file)
    elif folders and "." not in module and _asking() == (SCENE, False):
        for folder in folders:
            names = [os.path.join(folder, module), os.path.join(folder, f"{module}.py")]
            if any(map(os.path.exists, names)):
                return
            for name in names:
                _note_file(name, PLACE)


def _read(variable: str) -> None:
    if _asking() == (SCENE, False):
        _note(VARIABLE, variable)


def _fork() -> None:
    _object("starts another process")
    if _owner(sys._getframe(3).f_code.co_filename) == SCENE:
        raise RuntimeError("two processes would go on with the scene; start one with subprocess")


def _set(package: str) -> None:
    """Note that text is set that needs the fonts of a package."""
    _note(FONTS, package)


def _play(beat: str) -> None:
    """Note that a beat runs."""
    _note(BEAT, beat)


def _object_to(what: str) -> Callable[..., None]:
    return lambda *arguments: _object(what)


LISTENERS: dict[str, Callable[..., None]] = {
    "exec": _run,
    "filmkit.beat": _play,
    "filmkit.fonts": _set,
    "import": _import,
    "open": _open,
    "os.fork": _fork,
    "os.forkpty": _fork,
    "os.listdir": _list,
    "os.scandir": _list,
    "sqlite3.connect": _open,
    **{event: _object_to(what) for event, what in OBSTACLES.items()},
}


def _announcing(function: Callable[..., Any], listener: Callable[..., None]) -> Callable[..., Any]:
    """Return a function that tells a listener its first argument before it does what it did."""

    @wraps(function)
    def announce(*arguments: Any, **options: Any) -> Any:
        if arguments:
            _tell(listener, *arguments[:1])
        return function(*arguments, **options)

    return announce


def _no_bytecode(stats: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that looks at a file of code, but at none of a scene: that is compiled.

    Python takes bytecode for that of the file if this has its size and its time in whole seconds,
    so it would miss an edit of the same length that soon follows another one.
    """

    @wraps(stats)
    def look(loader: SourceFileLoader, path: str) -> Any:
        if _owner(os.path.abspath(path)) == SCENE:
            raise FileNotFoundError(path)
        return stats(loader, path)

    return look


class _Environment(type(os.environ)):  # type: ignore[misc]
    """Notes which variables a scene reads."""

    def __getitem__(self, name: str) -> str:
        _tell(_read, name)
        return super().__getitem__(name)

    def __setitem__(self, name: str, value: str) -> None:
        _made.add((VARIABLE, name))
        super().__setitem__(name, value)

    def __iter__(self) -> Iterator[str]:
        _object("reads the whole environment")
        return super().__iter__()
