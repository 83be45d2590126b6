"""Read what of a file of code can change a picture, without running it.

Words cannot: docstrings, comments, annotations, what a beat says (the arguments of ``@beat``, but
for ``when``), the title of a scene, and methods that choose words. Nor can a beat change the
pictures of those before it: each beat counts by itself, unless other code names it.

That holds for plain code. A file of the user's own that looks at docstrings or narration counts
with all its words; in one that finds things by names which it makes up, every beat counts for all.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import CodeType

from filmkit.core.project import PROJECT

__all__ = [
    "PACKAGES",
    "Source",
    "code_until",
    "digest",
    "is_beat",
    "is_own",
    "reached",
    "read_source",
]

PACKAGES = ("extract", "filmkit", "scenes")
"""The project's own packages."""

NARRATION, WHEN, TITLE = "beat", "when", "title"
TELLING = ("provenance_notes", "variant")  # methods of a scene that choose words
DOTTED_PACKAGES = tuple(f"{name}." for name in PACKAGES)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NOTHING = ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
READS_WORDS = re.compile(rb"__doc__|getdoc|\.narration\b")
MAKES_NAMES = re.compile(
    rb"\b(getattr|getmembers|attrgetter|methodcaller|vars|globals|locals|eval|exec|__dict__)\b"
)


@dataclass(frozen=True)
class Source:
    """What of a file of code can change a picture.

    Attributes
    ----------
    code
        A hash of its code without words and beats.
    names
        All names that this code mentions.
    beats
        A hash of the code of each beat, and of each method that chooses words, and the names that
        it mentions.
    imports
        Names of the project's modules that are imported anywhere in the file.
    """

    code: str
    names: frozenset[str]
    beats: Mapping[str, tuple[str, frozenset[str]]]
    imports: frozenset[str]


def digest(parts: Iterable[str]) -> str:
    """Hash texts, in their order."""
    whole = sha256()
    for part in parts:
        whole.update(f"{len(part)}:".encode())
        whole.update(part.encode(errors="surrogatepass"))
    return whole.hexdigest()


def is_beat(method: ast.FunctionDef) -> bool:
    """Return whether a method is marked with ``@beat``."""
    return any(map(_narrates, method.decorator_list))


def is_own(file: Path) -> bool:
    """Return whether a file is part of the project."""
    return any(file.is_relative_to(PROJECT / package) for package in PACKAGES)


def read_source(file: Path) -> Source:
    """Read a file of code.

    Raises
    ------
    SyntaxError
        If it is not valid Python.
    OSError
        If it cannot be read.
    """
    source = _read(file.read_bytes(), plain=is_own(file))
    is_scene = not is_own(file) or file.is_relative_to(PROJECT / "scenes")
    return source if is_scene else replace(source, names=frozenset())


def reached(roots: Iterable[Path], without: Collection[str] = ()) -> list[Path]:
    """Follow imports from some files to all files of the project that they lead to.

    Parameters
    ----------
    roots
        Files of code. Those that are the project's are part of the result.
    without
        Modules that are not followed.
    """
    found: set[Path] = set()
    ahead = list(roots)
    while ahead:
        file = ahead.pop()
        if file not in found:
            found.add(file)
            modules = read_source(file).imports.difference(without)
            ahead += filter(None, map(_file_of, modules))
    return sorted(filter(is_own, found))


def beats_until(sources: Sequence[Source], played: Iterable[str]) -> set[str]:
    """Return which beats run until some have been played: these, and those that code names.

    Parameters
    ----------
    sources
        All code of a scene, file by file.
    played
        Names of the beats that are played until then, and this one.
    """
    beats = {name for source in sources for name in source.beats}
    ahead = {*played, *(name for source in sources for name in source.names)} & beats
    taken: set[str] = set()
    while ahead:
        name = ahead.pop()
        taken.add(name)
        for source in sources:
            _, mentioned = source.beats.get(name, ("", frozenset()))
            ahead |= (mentioned & beats) - taken
    return taken


def code_until(sources: Sequence[Source], played: Iterable[str]) -> str:
    """Hash the code that runs until the last of some beats has been played; see `beats_until`."""
    beats = sorted(beats_until(sources, played))
    pieces = [source.beats[name][0] for source in sources for name in beats if name in source.beats]
    return digest([*(source.code for source in sources), *pieces])


# Reading a file


@lru_cache(maxsize=1024)
def _read(content: bytes, *, plain: bool) -> Source:
    """Read a file of code; ``plain`` if it is known to find nothing by names that it makes up."""
    tree, words = ast.parse(content), _Words()
    words.take_out(tree)
    code, names = _compiled(tree)
    beats = {name: _compiled(ast.Module(methods, [])) for name, methods in words.beats.items()}
    if TITLE in names.union(*(mentioned for _, mentioned in beats.values())):
        code = digest([code, *words.titles])
    imports = words.imports | {name for name in names if name.startswith(DOTTED_PACKAGES)}
    if not plain and READS_WORDS.search(content):
        code, beats = sha256(content).hexdigest(), {}
    elif not plain and MAKES_NAMES.search(content):
        code, beats = digest([code, *(code for code, _ in beats.values())]), {}
    return Source(code, names, beats, frozenset(imports))


class _Words:
    """Takes words and beats out of a syntax tree, and notes what it imports."""

    def __init__(self) -> None:
        self.beats: dict[str, list[ast.stmt]] = {}
        self.titles: list[str] = []
        self.imports: set[str] = set()

    def take_out(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports |= _imports(node)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = [NOTHING]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
            signature = node.args
            every = [*signature.posonlyargs, *signature.args, *signature.kwonlyargs]
            for argument in filter(None, [*every, signature.vararg, signature.kwarg]):
                argument.annotation = None
            node.decorator_list = [_without_narration(word) for word in node.decorator_list]
        if isinstance(node, DOCUMENTED):
            node.body = node.body[ast.get_docstring(node, clean=False) is not None :]
        if isinstance(node, ast.ClassDef):
            node.body = [member for member in node.body if not self._takes(member)]
        for block in BLOCKS:
            for inner in getattr(node, block, ()):
                self.take_out(inner)
        if isinstance(node, DOCUMENTED) and not node.body:
            node.body = [NOTHING]

    def _takes(self, member: ast.stmt) -> bool:
        """Keep a member of a class apart, if it is a beat or the title."""
        if isinstance(member, ast.FunctionDef) and (is_beat(member) or member.name in TELLING):
            self.take_out(member)
            self.beats.setdefault(member.name, []).append(member)
            return True
        if isinstance(member, ast.Assign) and TITLE in map(ast.unparse, member.targets):
            self.titles.append(ast.unparse(member))
            return True
        return False


def _narrates(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "attr", getattr(called, "id", "")) == NARRATION


def _without_narration(decorator: ast.expr) -> ast.expr:
    if not (isinstance(decorator, ast.Call) and _narrates(decorator)):
        return decorator
    decorator.keywords = [word for word in decorator.keywords if word.arg in (WHEN, None)]
    return decorator if decorator.keywords else decorator.func


def _imports(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Return which of the project's modules an import names; it may name what is in them, too."""
    if isinstance(node, ast.Import):
        names = {alias.name for alias in node.names}
    else:
        module = "." * node.level + (node.module or "")
        names = {module, *(f"{module}.{alias.name}" for alias in node.names)}
    public = _public_names()
    if "filmkit" in names:
        # Each public name is loaded from its module when it is used.
        names |= {public.get(name, "") for name in names} if len(names) > 1 else {*public.values()}
    return {name for name in names if name.startswith(DOTTED_PACKAGES)}


@lru_cache(maxsize=1)
def _public_names() -> dict[str, str]:
    """Return the module of each public name, such as "filmkit.Appear"."""
    stub = ast.parse((PROJECT / "filmkit" / "__init__.pyi").read_bytes())
    return {
        f"filmkit.{alias.name}": f"filmkit.{node.module}"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _file_of(module: str) -> Path | None:
    path = PROJECT.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _compiled(tree: ast.Module) -> tuple[str, frozenset[str]]:
    """Return a hash of what Python makes of a syntax tree, and all names in it.

    Texts that name modules of the project are among these: they may be imported by them.
    """
    parts: list[str] = []
    names: set[str] = set()
    ahead = [compile(tree, "", "exec", dont_inherit=True)]
    while ahead:
        code = ahead.pop()
        parts += [code.co_code.hex(), code.co_exceptiontable.hex()]
        parts += map(repr, [code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars])
        counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        parts.append(repr(counts))
        names.update(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                ahead.append(constant)
            else:
                # Python has no order for what is in a set.
                is_set = isinstance(constant, frozenset)
                parts.append(repr(sorted(map(repr, constant))) if is_set else repr(constant))
                if isinstance(constant, str) and constant.startswith(DOTTED_PACKAGES):
                    names.add(constant)
    return digest(parts), frozenset(names)
