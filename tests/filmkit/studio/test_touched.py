"""Which beat an edit touches is found out before anything is drawn."""

from __future__ import annotations

from pathlib import Path

from filmkit.commands.scene_files import find_scene
from filmkit.studio.touched import TouchedBeats
from tests.support.filming import render_request
from tests.support.studio import SCENE
from tests.support.traces import make_trace

BEATS = ["queries", "pattern_moves", "the_end"]


def test_the_first_beat_that_an_edit_touches_is_found(tmp_path: Path) -> None:
    file, trace_file = tmp_path / "mine.py", tmp_path / "trace.safetensors"
    file.write_text(SCENE)
    make_trace().save(trace_file)
    request = render_request((find_scene(str(file)),), trace_file, tmp_path)
    touched = TouchedBeats(request)

    def after(old: str, new: str) -> str | None:
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        return touched.first(BEATS)

    assert touched.first(BEATS) is None  # nothing to compare with yet
    assert touched.first(BEATS) is None
    assert after("1.0 * RIGHT", "2.0 * RIGHT") == "pattern_moves"
    assert after("A pattern moves.", "A pattern goes.") is None  # words draw nothing
    assert after("self.wait(0.4)", "self.wait(0.6)") == "the_end"
    assert after("class Mine", "class Mine(") is None  # no code any more
    assert after("class Mine(", "class Mine") is None
    assert after("import RIGHT", "import RIGHT, UP") is None
    make_trace(seed=3).save(trace_file)
    assert touched.first(BEATS) == "queries"
