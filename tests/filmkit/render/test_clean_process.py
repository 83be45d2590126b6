"""Run a function in a process of its own, which has its libraries from a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from filmkit.render.clean_process import HAS_SERVER, clean_process

LOAD_ALL = """
import json, sys
from pathlib import Path
before = set(sys.modules)
import filmkit.render.rehearsals, filmkit.render.workers, filmkit.render.preview
from scenes.registry import SCENES
for entry in SCENES:
    entry.load()
own = {"extract", "filmkit", "scenes", *sys.stdlib_module_names}
names = {name.partition(".")[0] for name in sys.modules.keys() - before}
Path(file).write_text(json.dumps(sorted(names - own)))
"""


@pytest.mark.skipif(not HAS_SERVER, reason="processes of this system load libraries themselves")
def test_the_server_has_loaded_all_libraries_that_scenes_need(tmp_path: Path) -> None:
    """What it has not, every process that rehearses or draws would load again."""
    file = tmp_path / "loaded.json"
    process = clean_process("builtins:exec", LOAD_ALL, {"file": str(file)})
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert json.loads(file.read_text()) == []
