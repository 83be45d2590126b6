"""The check of a page names each fault in its scripts with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.check_pages import CHECKER, LINTER, faults

pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in (LINTER[0], CHECKER[3])),
    reason="oxlint and TypeScript come with scripts/setup.sh tests",
)

FIRST = """"use strict";
/** @param {{ key: number }} place */
const doubled = ({ key }) => 2 * key;
"""
SECOND = """"use strict";
const never = 1;
document.title = doubled({ key: 2 }) + nowhere;
doubled({ kee: 2 });
"""


def test_faults_have_the_places_of_their_scripts(tmp_path: Path) -> None:
    first, second = tmp_path / "first.js", tmp_path / "second.js"
    first.write_text(FIRST)
    second.write_text(SECOND)
    found = faults({"page": [first, second]})
    assert any(line.startswith(f"{second}:2:7: Variable 'never'") for line in found), found
    assert any(line.startswith(f"{second}:3:40: 'nowhere' is not") for line in found), found
    # Types go from one script to the next.
    assert any(line.startswith(f"{second}:4:11: error TS") for line in found), found
    assert not [line for line in found if str(first) in line]


def test_scripts_in_order_have_none(tmp_path: Path) -> None:
    (tmp_path / "first.js").write_text(FIRST)
    (tmp_path / "last.js").write_text("document.title = String(doubled({ key: 2 }));\n")
    assert faults({"page": [tmp_path / "first.js", tmp_path / "last.js"]}) == []
