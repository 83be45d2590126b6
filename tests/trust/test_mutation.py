"""Changes on purpose are made as they should be; see :mod:`tests.trust.mutation`."""

from __future__ import annotations

import ast

import pytest

from tests.support.checkout import PROJECT
from tests.trust.mutation import changes, mutants, noticed


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("a < b", ["a <= b"]),
        ("a + b", ["a - b"]),
        ("not a", ["a"]),
        ("a or b", ["a and b"]),
        ("a if b else c", ["c if b else a"]),
        ("3", ["4"]),
        ("True", ["False"]),
        ("'3'", []),
    ],
)
def test_an_expression_is_changed(was: str, now: list[str]) -> None:
    assert [ast.unparse(one) for one in changes(ast.parse(was, mode="eval").body)] == now


def test_every_change_is_one_change_of_the_module() -> None:
    module = "extract.attention.head_norm"
    source = PROJECT / f"{module.replace('.', '/')}.py"
    own = ast.unparse(ast.parse(source.read_text()))
    found = mutants(module)
    assert found
    for mutant in found:
        changed = ast.unparse(mutant.tree)
        assert changed != own
        assert abs(len(changed) - len(own)) < 200


@pytest.mark.slow
def test_a_change_is_noticed_and_none_is_not() -> None:
    module = "extract.attention.head_norm"
    assert not noticed(module)
    (forgotten,) = (one for one in mutants(module) if one.was == "values / size")
    assert noticed(module, forgotten)
