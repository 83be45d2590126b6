"""Where a line of text can be broken."""

from __future__ import annotations

import pytest

from filmkit.core.line_breaks import break_units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("one two", ["one ", "two"]),
        ("", []),
        ("over 19 % of it", ["over ", "19 % ", "of ", "it"]),
        ("9 × 64 cells", ["9 × ", "64 ", "cells"]),
        ("a key — or none", ["a ", "key — ", "or ", "none"]),
        # French: the blanks inside quotation marks and before double marks are no-break spaces.
        (
            "le mot «\u00a0clé\u00a0»\u00a0: 12\u202f345,6\u00a0%\u202f; oui",
            ["le ", "mot ", "«\u00a0clé\u00a0»\u00a0: ", "12\u202f345,6\u00a0%\u202f; ", "oui"],
        ),
        # Chinese: between characters, but not inside words, nor in front of marks.
        ("由潜在向量得到的键。", ["由", "潜在向量", "得到", "的", "键。"]),
        ("查询、键和值", ["查询、", "键", "和", "值"]),
        ("（见上）", ["（见", "上）"]),
        ("他说“好”。", ["他", "说", "“好”。"]),
        ("好——那就这样", ["好——", "那", "就", "这样"]),
        ("占 33%。", ["占 ", "33%。"]),
        # A number stays with what is counted.
        ("第 3 个头的 9 个词元", ["第 3 个头", "的 ", "9 个", "词元"]),
        ("用 DeepSeek-R1 时", ["用 ", "DeepSeek-R1 ", "时"]),
        ("W_Q 的值", ["W_Q ", "的", "值"]),
        ("東京タワー。", ["東", "京", "タ", "ワー。"]),
    ],
)
def test_a_line_is_broken_where_its_script_allows_it(text: str, units: list[str]) -> None:
    assert break_units(text) == units
    assert "".join(units) == text
