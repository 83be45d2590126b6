"""Whatever the project defines is used by the project or its documentation, not by tests alone.

A definition is a function, class or constant of a module, or a method. It is used if code reads it
that runs when a module is imported, or that belongs to another definition that is used; if users
know it, from the public names of filmkit or the documentation; if a decorator hands it over; or if
a library calls it, because its class inherits something of that name. Methods are known by their
names alone: one that shares its name with another one may escape.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.checkout import PROJECT

PACKAGES = ("extract", "filmkit", "scenes")


def module_name(path: Path) -> str:
    """Dotted name of a file of the project."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")
}

# These change a function or class and hand it to nobody.
PLAIN_DECORATORS = {
    "cache",
    "cached_property",
    "classmethod",
    "contextmanager",
    "dataclass",
    "lru_cache",
    "overload",
    "property",
    "setter",
    "staticmethod",
    "total_ordering",
}

USED_OTHERWISE = {
    # Python's import system calls it, and no class of Python's has it.
    "filmkit.core.manim_settings._Finder.find_spec",
    # A program in a string calls it.
    "filmkit.render.clean_process._run",
}


class Definition(NamedTuple):
    """A definition and its code; that of a class is without its methods.

    A statement that defines nothing has no name.
    """

    module: str
    name: str
    code: list[ast.AST]
    decorators: list[ast.expr]
    owner: ast.ClassDef | None = None

    @property
    def place(self) -> str:
        """Its dotted name."""
        return ".".join([self.module, *([self.owner.name] if self.owner else []), self.name])

    def is_known_to(self, names: set[str]) -> bool:
        """Return whether it runs anyway, or is known by its name or by a decorator."""
        if self.owner and f"{self.module}.{self.owner.name}" not in names:
            return False
        special = self.name.startswith("_") and self.name.endswith("_")
        keys = {self.name, self.place, *([f".{self.name}"] if self.owner else [])}
        known = special or not self.name or not keys.isdisjoint(names)
        return known or any(
            ast.unparse(decorator).partition("(")[0].rpartition(".")[2] not in PLAIN_DECORATORS
            for decorator in self.decorators
        )

    def is_called_by_a_library(self) -> bool:
        """Return whether its class inherits something of its name from a library."""
        if self.owner is None or not self.owner.bases:
            return False
        try:
            module = importlib.import_module(self.module)
        except ImportError:  # of an optional library: nobody can tell
            return True
        inherited = getattr(module, self.owner.name).__mro__[1:]
        libraries = (c for c in inherited if c.__module__.partition(".")[0] not in PACKAGES)
        return any(self.name in vars(each) for each in libraries)


def definitions(module: str, tree: ast.Module) -> Iterator[Definition]:
    """The definitions of a module, and each of its other statements."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield Definition(module, node.name, [node], node.decorator_list)
            case ast.ClassDef():
                functions = (ast.FunctionDef, ast.AsyncFunctionDef)
                methods = [inner for inner in node.body if isinstance(inner, functions)]
                code = [inner for inner in ast.iter_child_nodes(node) if inner not in methods]
                yield Definition(module, node.name, code, node.decorator_list)
                for method in methods:
                    yield Definition(module, method.name, [method], method.decorator_list, node)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name != "__all__":
                    yield Definition(module, name, [node], [])
            case ast.Import() | ast.ImportFrom():
                pass
            case _:
                yield Definition(module, "", [node], [])


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What each name stands for that a module imports, anywhere in it."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def names_in(found: Definition, imported: Mapping[str, str]) -> Iterator[str]:
    """The names that code reads: dotted ones, ".attribute", and whatever strings may name."""
    for node in (inner for part in found.code for inner in ast.walk(part)):
        match node:
            case ast.Name(id=name):
                yield imported.get(name, f"{found.module}.{name}")
            case ast.Attribute(attr=name, ctx=ast.Load()):
                yield f".{name}"
                if isinstance(node.value, ast.Name):
                    yield f"{imported.get(node.value.id, '')}.{name}"
            case ast.Constant(value=str(text)) if re.fullmatch(r"[\w.:]+", text):
                yield text.replace(":", ".")


def unused(modules: Mapping[str, ast.Module], known: set[str]) -> list[str]:
    """Return the definitions of modules to which neither code that runs nor known names lead."""
    imported = {name: imported_names(tree) for name, tree in modules.items()}
    left = [found for name, tree in modules.items() for found in definitions(name, tree)]
    names = set(known)
    while True:
        used = {id(found) for found in left if found.is_known_to(names)}
        # Asked last, since it imports the module.
        used = used or {id(found) for found in left if found.is_called_by_a_library()}
        if not used:
            places = {found.place for found in left}
            return [place for place in sorted(places) if place.rpartition(".")[0] not in places]
        for found in left:
            if id(found) in used:
                names |= {found.place, *names_in(found, imported[found.module])}
        left = [found for found in left if id(found) not in used]


def names_that_users_know() -> set[str]:
    """The words of the public names, of the command and of code in the documentation."""
    code = [PROJECT / "filmkit" / "__init__.pyi", PROJECT / "render.py"]
    texts = [path.read_text(encoding="utf-8") for path in code]
    for page in [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]:
        texts += re.findall("```.*?```|`[^`]*`", page.read_text(encoding="utf-8"), re.DOTALL)
    return {word for text in texts for word in re.findall(r"\w+", text)} | USED_OTHERWISE


def test_every_definition_is_used() -> None:
    modules = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    assert unused(modules, names_that_users_know()) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f(): ...", ["module.f"]),
        ("def f(): return f()", ["module.f"]),
        ("def f(): return g()\ndef g(): return f()", ["module.f", "module.g"]),
        ("def f(): return g()\ndef g(): return 1\nf()", []),
        ("__all__ = ['f']\nA = 1\ndef f(): return A", ["module.A", "module.f"]),
        ("from other import f as h\ndef f(): ...\nh()", ["module.f"]),
        ("class C:\n def f(self): ...\n def g(self): self.f()\nC", ["module.C.f", "module.C.g"]),
        ("class C:\n def __len__(self): return self.f()\n def f(self): ...\nC()", []),
        ("class C:\n def __len__(self): return f()\ndef f(): ...", ["module.C", "module.f"]),
        ("@command('f')\ndef f(): ...", []),
        ("@cache\ndef f(): ...", ["module.f"]),
        ("def f(): ...\nstart('module:f')", []),
    ],
)
def test_what_nothing_leads_to_is_found(code: str, found: list[str]) -> None:
    assert unused({"module": ast.parse(code)}, set()) == found
