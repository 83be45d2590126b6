"""Words that scenes say under a condition are claims, which the contract computes again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from filmkit.core.facts import claim
from filmkit.core.stage import Stage, beat
from tests.support.checkout import PROJECT
from tests.support.claims import CLAIMS, claim_is_true
from tests.support.traces import make_trace

WORDS = ("_", "N_", "ngettext")
MODULES = sorted((PROJECT / "scenes").rglob("*.py"))


def unclaimed(tree: ast.AST) -> Iterator[int]:
    """Yield the lines at which words are chosen by a condition that is no claim.

    Such words are an arm of a conditional expression; or all that an ``if`` returns, or adds to
    other words. What is written into them is a fact, which is checked as such.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.IfExp):
            yield from (arm.lineno for arm in (node.body, node.orelse) if _is_words(arm))
        if isinstance(node, ast.If):
            for arm in (node.body, node.orelse):
                match arm:
                    case [ast.Return(value=said)] | [ast.Expr(value=ast.Call(args=[said]))]:
                        if _is_words(said) and not said.keywords:  # type: ignore[union-attr]
                            yield said.lineno  # type: ignore[union-attr]


def _is_words(node: ast.AST | None) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in WORDS
    return False


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_words_under_a_condition_are_claims(module: Path) -> None:
    lines = [*unclaimed(ast.parse(module.read_text()))]
    assert lines == [], f"write claim(condition, words, otherwise): {module.name} {lines}"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("a = _('one') if x else _('two')", [1, 1]),
        ("if x:\n    notes.append(_('one'))", [2]),
        ("if x:\n    return _('one')", [2]),
        ("if x:\n    return _('{n} words', n=fact('n', 3))", []),
        ("a = claim(x, _('one'), _('two'))", []),
        ("a = _('one') if x else ''", [1]),
    ],
)
def test_such_words_are_found(code: str, found: list[int]) -> None:
    assert [*unclaimed(ast.parse(code))] == found


class Told(Stage):
    """A scene with two variants of a narration, and words under a condition."""

    chosen = "written"

    def variant(self, beat: str) -> str:
        return self.chosen

    @beat(written="And our sentence ends: so.", read="And our sentence is [read].")
    def story(self) -> None:
        claim(self.trace.meta.has_bos, "the start token", "the first word")
        self.hold()


def test_variants_and_their_opposites_are_computed_again() -> None:
    stage = Told(make_trace(n_generated=1))
    stage.render()
    noted = [(str(each), each.value, claim_is_true(stage, each)) for each in stage.ledger]
    assert noted == [
        ("the start token", True, True),
        ("the first word", False, False),
        ("And our sentence ends: so.", True, True),
        ("And our sentence is [read].", False, False),
    ]
    stage.chosen = "read"
    stage.ledger.clear()
    stage._claim_variant("story")
    assert all(claim_is_true(stage, each) is not each.value for each in stage.ledger)


def test_no_claim_is_left_over() -> None:
    """Each is part of some text of a scene, in English."""
    said = "\n".join(
        node.value
        for path in (PROJECT / "scenes").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    assert [words for words in CLAIMS if words not in said] == []
