"""Break the arithmetic on purpose, one place at a time, and see whether a test notices.

``python -m tests.trust.mutation --minutes 10`` draws changes at random from the modules of
`TARGETS`: another comparison, another operation, a number off by one.  Each changed module is
tested by itself, in a process that forks from this one, so a change takes a second and no file is
ever written; a runner that starts a process for each takes six.  Changes that no test notices are
printed.  Some of these compute the same: whoever reads them decides.
"""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.machinery
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click
import hypothesis
import pytest

_TESTS = Path(__file__).parents[1]


def _of_scenes() -> dict[str, tuple[str, ...]]:
    """Return the modules of all scenes, and their tests: the shipped trace in 16:9, then others."""
    return {
        f"scenes.{subject}.{path.stem}": (
            "scenes/test_contract.py::test_every_picture_can_be_read_and_is_true"
            f"[scene_{subject}-shipped-16:9]",
            f"scenes/{subject}",
        )
        for path in sorted((_TESTS.parent / "scenes").glob("*/*.py"))
        for subject in [path.parent.name]
        if path.stem != "__init__" and subject != "posters"
    }


def _of_conversion(*parts: str) -> tuple[str, ...]:
    """Return the tests of a conversion that have one of these parts in their names."""
    file = "extract/conversion/test_conversion.py"
    names = re.findall(r"^def (test_\w+)", (_TESTS / file).read_text(), re.MULTILINE)
    return tuple(f"{file}::{name}" for name in names if any(part in name for part in parts))


TARGETS: dict[str, tuple[str, ...]] = {
    "extract.attention.arithmetic": ("extract/attention", "extract/recompute/test_decoding.py"),
    "extract.attention.head_norm": ("extract/attention/test_head_norm.py",),
    "extract.attention.low_rank": ("extract/latent/test_fit.py",),
    "extract.attention.mla": ("extract/attention", "extract/latent/test_naive_and_absorbed.py"),
    "extract.attention.patterns": ("extract/attention/test_patterns.py",),
    "extract.attention.self_check": ("extract/models/test_parts.py",),
    "extract.conversion.convert": _of_conversion("report_survives", "rungs_come", "every_tensor"),
    "extract.conversion.evaluation": _of_conversion("judge", "ladder", "size_of_one"),
    "extract.conversion.fits": ("extract/conversion/test_fits.py",),
    "extract.conversion.healing": _of_conversion("healing_brings", "shared_set_stays"),
    "extract.conversion.model": _of_conversion("stream", "statistics", "with_its_own_layers"),
    "extract.conversion.prompt": _of_conversion("read_together"),
    "extract.facts.architectures": ("extract/facts/test_architectures.py",),
    "extract.facts.gpus": ("extract/facts/test_architectures.py",),
    "extract.facts.newer_schemes": ("extract/facts/test_architectures.py",),
    "extract.facts.published": ("extract/facts/test_published.py",),
    "extract.facts.published_check": ("extract/facts/test_published_check.py",),
    "extract.facts.v2_report": ("extract/facts/test_architectures.py",),
    "extract.latent.duel": ("extract/latent/test_duel.py",),
    "extract.latent.fit": ("extract/latent/test_fit.py",),
    "extract.latent.naive_and_absorbed": ("extract/latent/test_naive_and_absorbed.py",),
    "extract.recompute.decoding": ("extract/recompute/test_decoding.py",),
    "extract.recompute.merged": ("extract/recompute/test_merged.py",),
    "extract.recompute.reading": ("extract/recompute/test_reading.py",),
    "extract.recompute.sharing": ("extract/recompute/test_sharing.py",),
    "extract.trace.proof.conversion": ("trust/test_conversions.py",),
    "extract.trace.proof.latents": ("trust/test_traces.py",),
    "extract.trace.proof.prove": ("trust/test_traces.py",),
    "filmkit.core.facts": ("filmkit/core/test_facts.py", "scenes/test_claims.py"),
    "filmkit.core.numbers": ("filmkit/core/test_numbers.py",),
    "filmkit.core.quantities": ("filmkit/core/test_quantities.py",),
    **_of_scenes(),
}
"""Modules to change, and the tests in ``tests/`` that hold them; of a scene first its contract."""

OURS = ("extract", "filmkit", "scenes", "tests")
"""Packages that are imported anew where one of their modules is changed."""

_PATIENCE = 60.0
"""Seconds of computing after which tests that do not end count as having noticed."""

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATIONS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Add,
}


@dataclass(frozen=True)
class Mutant:
    """A changed module.

    Attributes
    ----------
    module : str
        Its dotted name.
    line : int
        Of the change, counted from 1.
    was, now : str
        The changed expression, before and after.
    tree : ast.Module
        The whole module with the change.
    """

    module: str
    line: int
    was: str
    now: str
    tree: ast.Module


def changes(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the expressions that may stand in place of one."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            yield _with(node, ops=[_COMPARISONS[type(op)]()])
        case ast.BinOp(op=op) if type(op) in _OPERATIONS:
            yield _with(node, op=_OPERATIONS[type(op)]())
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield _with(node, body=orelse, orelse=body)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)


def _with(node: ast.expr, **changed: object) -> ast.expr:
    other = copy.copy(node)
    for name, value in changed.items():
        setattr(other, name, value)
    return other


def mutants(module: str) -> list[Mutant]:
    """Return a module with each change that it allows."""
    source = (_TESTS.parent / f"{module.replace('.', '/')}.py").read_text()
    tree = ast.parse(source)
    found = []
    for node in list(_computing(tree)):
        for new in changes(node):
            own = vars(node).copy()
            line, was, now = own["lineno"], ast.unparse(node), ast.unparse(new)
            # A node becomes the other one for a moment: it need not be known where it stands.
            kind, node.__class__ = node.__class__, new.__class__
            vars(node).update(vars(new))
            whole = ast.parse(ast.unparse(tree))
            node.__class__ = kind
            vars(node).clear()
            vars(node).update(own)
            found.append(Mutant(module, line, was, now, whole))
    return found


def _computing(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that compute: no types, no messages of errors, no other texts."""
    if isinstance(node, ast.Raise | ast.JoinedStr):
        return
    if isinstance(node, ast.expr):
        yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _computing(child)


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from a tree in place of its file."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._mutant.module:
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = f"{_TESTS.parent / self._mutant.module.replace('.', '/')}.py"
        exec(compile(self._mutant.tree, module.__file__, "exec"), vars(module))


def noticed(module: str, mutant: Mutant | None = None) -> bool:
    """Return whether the tests of a module fail, with a change in it or without."""
    child = os.fork()
    if not child:
        if mutant is not None:
            # Import the module, and all that imports it, anew: now from the changed tree.
            for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
                del sys.modules[name]
            sys.meta_path.insert(0, _Loader(mutant))
        signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        # What these tests share is for pictures, and takes seconds to load.
        options = ("-x", "-q", "--noconftest", "-m", "not slow and not model", "-p", "no:xdist")
        os._exit(pytest.main([*options, *(str(_TESTS / name) for name in TARGETS[module])]))
    return os.waitpid(child, 0)[1] != 0


def run(minutes: float, seed: int, modules: Sequence[str]) -> dict[str, tuple[int, list[Mutant]]]:
    """Test changes at random until the time is over.

    Returns
    -------
    dict
        For each module how many changes were tested, and those that no test noticed.
    """
    # Loaded once, not in every process.
    for library in (
        "torch",
        "transformers.models.gpt2.modeling_gpt2",
        "rich.table",
        "safetensors",
        "manim",
        "scipy.optimize",
    ):
        with suppress(ImportError):
            import_module(library)
    hypothesis.settings.register_profile("changed", deadline=None)
    hypothesis.settings.load_profile("changed")
    until = time.monotonic() + 60 * minutes
    for module in modules:
        if noticed(module):
            raise click.ClickException(f"the tests of {module} fail without a change; mend them")
    drawn = [mutant for module in modules for mutant in mutants(module)]
    random.Random(seed).shuffle(drawn)
    tried: dict[str, tuple[int, list[Mutant]]] = {module: (0, []) for module in modules}
    for mutant in drawn:
        if time.monotonic() > until:
            break
        count, lived = tried[mutant.module]
        if not noticed(mutant.module, mutant):
            lived.append(mutant)
            click.echo(f"{mutant.module}:{mutant.line}: {mutant.was} -> {mutant.now}")
        tried[mutant.module] = count + 1, lived
    return tried


@click.command()
@click.argument("modules", nargs=-1)
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Order of the changes.")
def main(modules: tuple[str, ...], minutes: float, seed: int) -> None:
    """Change MODULES, or all of them, and print the changes that no test notices."""
    if unknown := set(modules) - TARGETS.keys():
        raise click.BadParameter(f"there is no {', '.join(unknown)}; there are {[*TARGETS]}")
    tried = run(minutes, seed, modules or [*TARGETS])
    for module, (count, lived) in tried.items():
        click.echo(f"{module}: {count - len(lived)} of {count} noticed")


if __name__ == "__main__":
    main()
