"""Find the code that a piece of the project runs, definition by definition, without running it.

A definition is a function, a class or a constant at the top level of a module. What it refers to
is read from its syntax tree: names of its own module, imported names, and attributes of imported
modules. Following these from a few roots finds everything that can take part in a picture, and
leaves out whatever else the same files hold.

Docstrings, comments, blanks and annotations count for nothing, and neither does a call of
``import_module``: what is loaded by its name is followed by no one. Of a class that has beats each
method counts by itself, so that a change of one beat can be told from a change of the next.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

__all__ = ["EVERYTHING", "CodeIndex", "Piece", "Place", "digest"]

PACKAGES = ("extract", "filmkit", "scenes")
"""The project's own packages; of all others their versions count."""

LIBRARY_FOLDERS = ("site-packages", "dist-packages")

NARRATION, WHEN = "beat", "when"
"""The decorator whose arguments are what a beat says, and the one that is not."""

Place = tuple[str, str]
"""A module's dotted name and the name of a definition in it."""

ON_IMPORT = "<on import>"
"""Stands for what a module does when it is loaded, other than defining something."""

EVERYTHING = "*"
"""Stands for all that a module defines."""


@dataclass(frozen=True)
class Piece:
    """A piece of code and what it refers to.

    Attributes
    ----------
    code
        Its syntax tree in words, without docstrings and annotations.
    told
        What it says of itself: its docstring, and the narration of a beat.
    names
        Dotted names that it reads, as far as they are written out, such as "np.ones" or "theme".
    attributes
        Names of all attributes that it asks of anything.
    """

    code: str
    told: str
    names: frozenset[str]
    attributes: frozenset[str]


@dataclass
class _Module:
    """What a file holds.

    ``imports`` says what each imported name stands for, wherever in the file it is imported;
    ``members`` has a piece for each member of each class.
    """

    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    bases: dict[str, list[str]] = field(default_factory=dict)
    members: dict[str, dict[str, list[Piece]]] = field(default_factory=dict)


class CodeIndex:
    """The code of the project, and of folders beside a scene that lives elsewhere.

    Parameters
    ----------
    root
        Folder that holds the project's packages.
    without
        Modules that are not followed.
    """

    def __init__(self, root: Path, without: Collection[str] = ()) -> None:
        self._root = root
        self._without = frozenset(without)
        self._files: dict[str, Path] = {}
        self._folders: list[Path] = []
        self._modules: dict[str, _Module | None] = {}
        self._targets: dict[Place, list[Place]] = {}

    # Modules

    def file(self, module: str) -> Path | None:
        """Find the file of a module of the project; None for a library's."""
        if module in self._files:
            return self._files[module]
        parts = module.split(".")
        for folder in [self._root] if parts[0] in PACKAGES else self._folders:
            path = folder.joinpath(*parts)
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    return file
        return None

    def add(self, module: str, file: Path) -> None:
        """Make a module known that lives elsewhere, such as a scene of the user's own.

        Modules that are imported from the same folder are followed too, unless it is one in which
        libraries are installed.
        """
        if module.partition(".")[0] in PACKAGES or module in self._files:
            return
        self._files[module] = file
        folder = file.resolve().parents[module.count(".")]
        if folder.name not in LIBRARY_FOLDERS:
            self._folders.append(folder)

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            file = None if name in self._without else self.file(name)
            self._modules[name] = _read(file, name) if file else None
        return self._modules[name]

    def _resolve(self, module: str, dotted: str) -> Iterator[Place]:
        """What a dotted name in a module stands for, if it is the project's."""
        first, *rest = dotted.split(".")
        here = self._module(module)
        if here is None:
            return
        if first in here.pieces:
            yield module, first
            return
        if first in here.imports:
            yield from self._find([*here.imports[first].split("."), *rest])
            return
        for star in here.stars:
            there = self._module(star)
            if there and first in there.pieces:
                yield star, first

    def _find(self, parts: Sequence[str]) -> Iterator[Place]:
        """The definition that a dotted path from the top of all modules leads to."""
        for length in range(len(parts), 0, -1):
            name = ".".join(parts[:length])
            module = self._module(name)
            if module is None:
                continue
            if length == len(parts):
                yield name, EVERYTHING
            elif parts[length] in module.pieces:
                yield name, parts[length]
            elif parts[length] in module.imports:
                yield from self._find(
                    [*module.imports[parts[length]].split("."), *parts[length + 1 :]]
                )
            return

    def project_modules(self, modules: Iterable[str]) -> set[str]:
        """Select the modules that belong to the project's own packages."""
        return {module for module in modules if module.partition(".")[0] in PACKAGES}

    def tree_digest(self) -> str:
        """Hash every file of code that may be followed, whether or not anything uses it."""
        folders = [*self._folders, *(self._root / package for package in PACKAGES)]
        texts = []
        for folder in folders:
            # Of a folder beside a scene only the folder itself: it may be the user's home.
            files = folder.glob("*.py") if folder in self._folders else folder.rglob("*.py")
            for path in sorted(files):
                texts += [path.relative_to(folder).as_posix(), _text(path)]
        return digest([*texts, *map(_text, self._files.values())])

    # What is reached

    def reach(self, places: Iterable[Place]) -> dict[Place, list[Piece]]:
        """Follow definitions to all that they refer to, directly or through others.

        Parameters
        ----------
        places
            Where to begin.

        Returns
        -------
        dict
            The pieces of each definition that is reached.
        """
        found: set[Place] = set()
        ahead = list(places)
        while ahead:
            place = ahead.pop()
            if place not in found:
                found.add(place)
                ahead += self._next(place)
        pieces = {place: self._pieces(place) for place in found}
        return {place: those for place, those in pieces.items() if those}

    def references(self, module: str, piece: Piece) -> Iterator[Place]:
        """Find the definitions that a piece of a module refers to itself."""
        for dotted in piece.names:
            yield from self._resolve(module, dotted)

    def _pieces(self, place: Place) -> list[Piece]:
        module = self._module(place[0])
        return module.pieces.get(place[1], []) if module else []

    def _next(self, place: Place) -> list[Place]:
        if place not in self._targets:
            name, definition = place
            module = self._module(name)
            if module is None:
                targets = []
            elif definition == EVERYTHING:
                targets = [(name, other) for other in (*module.pieces, ON_IMPORT)]
            else:
                targets = [(name, ON_IMPORT)]
                for piece in self._pieces(place):
                    targets += self.references(name, piece)
            self._targets[place] = targets
        return self._targets[place]

    # Classes

    def lineage(self, place: Place) -> list[Place]:
        """A class and the project's classes that it is built on, itself first."""
        found: list[Place] = []
        ahead = [place]
        while ahead:
            current = ahead.pop(0)
            if current in found:
                continue
            found.append(current)
            module = self._module(current[0])
            for base in module.bases.get(current[1], ()) if module else ():
                ahead += self._resolve(current[0], base)
        return found

    def classes(self, module: str) -> list[str]:
        """Return the names of the classes that a module defines, in order."""
        found = self._module(module)
        return list(found.bases) if found else []

    def members(self, place: Place) -> dict[str, list[Piece]]:
        """The members that a class defines itself, by name; "" is what is above them."""
        module = self._module(place[0])
        return module.members.get(place[1], {}) if module else {}


def digest(parts: Iterable[str]) -> str:
    """Hash texts, in their order."""
    whole = sha256()
    for part in parts:
        whole.update(f"{len(part)}:".encode())
        whole.update(part.encode())
    return whole.hexdigest()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


# Reading a file


def _read(file: Path, name: str) -> _Module:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    # A package that loads its names when they are used lists them in a stub.
    stub = file.with_suffix(".pyi")
    listed = stub.read_bytes() if stub.is_file() else b""
    return _parse(file.read_bytes(), str(file), package, listed)


@lru_cache(maxsize=1024)
def _parse(code: bytes, file: str, package: str, stub: bytes) -> _Module:
    module = _Module()
    for node in ast.parse(stub).body:
        _note_imports(module, node, package)
    for node in ast.parse(code, filename=file).body:
        _note_imports(module, node, package)
        _define(module, node)
    return module


def _define(module: _Module, node: ast.stmt) -> None:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        return
    if _is_docstring([node]):
        return
    piece = _piece(node)
    if isinstance(node, ast.ClassDef):
        module.bases[node.name] = [dotted for base in node.bases if (dotted := _dotted(base))]
        module.members[node.name] = _members(node)
    names = _bound(node)
    # Names that are listed for others are no code that runs.
    for name in names - {"__all__"} if names else {ON_IMPORT}:
        module.pieces.setdefault(name, []).append(piece)


def _members(node: ast.ClassDef) -> dict[str, list[Piece]]:
    head = ast.Module([*map(ast.Expr, (*node.bases, *node.decorator_list))], [])
    members = {"": [_piece(head)]}
    for member in node.body:
        if _is_docstring([member]):
            continue
        for name in _bound(member) or {""}:
            members.setdefault(name, []).append(_piece(member))
    return members


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement gives something."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Expr | ast.Delete | ast.AugAssign):
        return set()
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    }


def _note_imports(module: _Module, node: ast.stmt, package: str) -> None:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            for alias in inner.names:
                local = alias.asname or alias.name.partition(".")[0]
                module.imports[local] = alias.name if alias.asname else local
        elif isinstance(inner, ast.ImportFrom):
            source = inner.module or ""
            if inner.level:
                above = package.split(".")[: len(package.split(".")) - inner.level + 1]
                source = ".".join([*above, *filter(None, [inner.module])])
            for alias in inner.names:
                if alias.name == "*":
                    module.stars.append(source)
                else:
                    module.imports[alias.asname or alias.name] = f"{source}.{alias.name}"


def _is_type_checking(test: ast.expr) -> bool:
    return _dotted(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _piece(node: ast.AST) -> Piece:
    reader = _Reader()
    reader.read(node)
    told = "\n".join(reader.told)
    return Piece("".join(reader.code), told, frozenset(reader.names), frozenset(reader.attributes))


class _Reader:
    """Goes through a syntax tree once and notes what a piece of code is made of."""

    # Types of arguments and results are never evaluated; those of fields may be read by decorators.
    UNREAD = frozenset({"returns", "type_comment", "ctx", "kind"})

    def __init__(self) -> None:
        self.code: list[str] = []
        self.told: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def read(self, node: object) -> None:
        if isinstance(node, ast.AST):
            self.code.append(f"{type(node).__name__}(")
            if isinstance(node, ast.Attribute):
                self.attributes.add(node.attr)
            if dotted := _dotted(node):
                if not isinstance(getattr(node, "ctx", None), ast.Store):
                    self.names.add(dotted)
                self.attributes.update(dotted.split(".")[1:])
                self.code.append(dotted)
            else:
                for name, value in ast.iter_fields(node):
                    self._read_field(node, name, value)
            self.code.append(")")
        elif isinstance(node, list):
            self.code.append("[")
            for inner in node:
                self.read(inner)
            self.code.append("]")
        else:
            self.code.append(f"{node!r},")

    def _read_field(self, node: ast.AST, name: str, value: Any) -> None:
        if name in self.UNREAD or (name == "annotation" and isinstance(node, ast.arg)):
            return
        self.code.append(f"{name}=")
        if name == "annotation":
            self.code.append(ast.dump(value))
        elif name == "decorator_list":
            self.read([self._without_narration(decorator) for decorator in value])
        elif name == "body" and isinstance(value, list) and _is_docstring(value[:1]):
            self.told.append(value[0].value.value)
            self.read(value[1:])
        else:
            self.read(value)

    def _without_narration(self, decorator: ast.expr) -> ast.expr:
        if not (isinstance(decorator, ast.Call) and _dotted(decorator.func) == NARRATION):
            return decorator
        self.told += [ast.dump(word) for word in decorator.keywords if word.arg != WHEN]
        kept = [word for word in decorator.keywords if word.arg == WHEN]
        return ast.Call(decorator.func, decorator.args, kept) if kept else decorator.func


def _dotted(node: ast.AST) -> str:
    """A name or a chain of attributes of one, as it is written; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _is_docstring(nodes: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for node in nodes
    )
