"""Read what of a file of code can change a picture, without running it.

Words cannot: docstrings, comments, annotations, what a beat says (the arguments of ``@beat``, but
for ``when``), the title of a scene, and methods that choose words. Nor can a beat change the
pictures of those before it: each counts by itself, once it has run.

That holds for plain code. The file of a scene that looks at docstrings, narration or its title
counts with all its words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from filmkit.core.project import PROJECT

__all__ = [
    "KNOWN",
    "PACKAGES",
    "Source",
    "code_with",
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
# A text in the code that begins with the name of a module, such as "filmkit.core.view:LayerView".
NAMES_MODULE = re.compile(rf"Constant\(value='((?:{'|'.join(PACKAGES)})\.\w[^']*)'")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)
NOTHING = ast.Constant(None)
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
READS_WORDS = re.compile(
    rb"__doc__|getdoc|(?<!super\(\))\.(narration|title|variant|provenance_notes)\b"
)


@dataclass(frozen=True)
class Source:
    """What of a file of code can change a picture.

    Attributes
    ----------
    content
        A hash of all that it holds, as :func:`filmkit.render.recording.now` has it.
    code
        A hash of its code without words and beats.
    beats
        A hash of the code of each beat.
    imports
        Names of the project's modules that are imported anywhere in the file.
    """

    content: str
    code: str
    beats: Mapping[str, str]
    imports: frozenset[str]


KNOWN: dict[tuple[str, bool], Source] = {}
"""Files that were read, by a hash of their content and whether they are those of scenes."""


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
    is_scene = not is_own(file) or file.is_relative_to(PROJECT / "scenes")
    content = file.read_bytes()
    key = sha256(content).hexdigest(), is_scene
    if key not in KNOWN:
        KNOWN[key] = _read(content, *key)
    return KNOWN[key]


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
    followed = set(without)
    ahead = list(roots)
    while ahead:
        file = ahead.pop()
        if file not in found:
            found.add(file)
            modules = read_source(file).imports - followed
            followed |= modules
            ahead += filter(None, map(_file_of, modules))
    return sorted(filter(is_own, found))


def code_with(sources: Iterable[Source], beats: Collection[str]) -> str:
    """Hash all code of a scene, file by file, with those of its beats that have run."""
    return digest(
        part
        for source in sources
        for part in (source.code, *(code for n, code in source.beats.items() if n in beats))
    )


# Reading a file


def _read(content: bytes, whole: str, is_scene: bool) -> Source:
    tree, words = ast.parse(content), _Words()
    words.take_out(tree)
    code = ast.dump(tree)
    beats = {name: " ".join(map(ast.dump, methods)) for name, methods in words.beats.items()}
    named = NAMES_MODULE.findall(" ".join([code, *beats.values()]))
    if is_scene and READS_WORDS.search(content):
        code, beats = whole, {}
    hashes = {name: digest([code]) for name, code in beats.items()}
    return Source(whole, digest([code]), hashes, words.imports.union(named))


class _Words:
    """Takes words and beats out of a syntax tree, and notes what it imports."""

    def __init__(self) -> None:
        self.beats: dict[str, list[ast.stmt]] = {}
        self.imports: frozenset[str] = frozenset()

    def take_out(self, node: ast.AST, *, local: bool = False) -> None:
        """Take them out of a node, which is one of a function's or not."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports |= _imports(node)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
        elif isinstance(node, ast.AnnAssign) and local:
            node.annotation = NOTHING
        elif isinstance(node, FUNCTIONS):
            local, node.returns = True, None
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
            node.decorator_list = [_without_narration(word) for word in node.decorator_list]
        if isinstance(node, DOCUMENTED):
            node.body = node.body[ast.get_docstring(node, clean=False) is not None :]
        if isinstance(node, ast.ClassDef):
            node.body = [member for member in node.body if not self._takes(member)]
        for block in BLOCKS:
            for inner in getattr(node, block, ()):
                self.take_out(inner, local=local)

    def _takes(self, member: ast.stmt) -> bool:
        """Note the code of a beat apart from that of its class, without its narration."""
        if isinstance(member, ast.FunctionDef) and is_beat(member):
            self.take_out(member)
            self.beats.setdefault(member.name, []).append(member)
            return True
        if isinstance(member, ast.FunctionDef):
            return member.name in TELLING
        return isinstance(member, ast.Assign) and TITLE in map(ast.unparse, member.targets)


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
