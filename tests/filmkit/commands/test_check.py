"""The command check: what it measures of scenes, as a table and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from filmkit.commands.check import MEASURES
from tests.support.calling import Calling, assert_one_line, calling
from tests.support.traces import make_trace

__all__ = ["calling"]  # the fixture

SCENE = '''
from filmkit import Appear, Heatmap, Label, Stage, beat


class Mine(Stage):
    @beat
    def opening(self):
        """A panel."""
        self.play(Appear(Heatmap([[1, 2], [3, 4]])))

    @beat
    def overlapping(self):
        """Two words."""
        self.add(*(Label(word, size=0.04).shift([0, 3.2, 0]) for word in ("one", "other")))
        self.hold(4)
'''
FAULT = "texts 'one' and 'other' overlap"
FAULTLESS = SCENE.replace("[0, 3.2, 0]", "[5 * (word == 'other'), 3.2, 0]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SCENE)
    (tmp_path / "faultless.py").write_text(FAULTLESS)
    return tmp_path


def test_a_table_has_a_line_for_each_beat_and_its_faults_below(
    calling: Calling, folder: Path
) -> None:
    done = calling("check", "mine.py", "--quiet", folder=folder)
    assert (done.returncode, done.stderr) == (1, "")
    head, titles, opening, overlapping, fault = done.stdout.splitlines()
    assert re.fullmatch(
        r"mine: still \d+% of the time, at most 4\.\d s; nothing new for \d\.\d s at most; "
        r"1 pieces of text \(median; at most 2\); fills \d+% of the frame \(median\)",
        head,
    )
    assert titles.split() == ["length", "letters/s", "still", "same", "headlines", "texts", "fill"]
    assert re.fullmatch(r"  opening +1\.\d s +\d+\.\d  0\.\d s  \d\.\d s +0 +0 +\d+%", opening)
    assert re.fullmatch(
        r"  overlapping +\d\.\d s +\d+\.\d  4\.\d s  \d\.\d s +0 +2 +\d+%", overlapping
    )
    assert fault == f"    {FAULT}"
    assert not any((folder / name).exists() for name in ("videos", "cache"))


def test_json_holds_the_same_numbers(calling: Calling, folder: Path) -> None:
    done = calling("check", "mine.py", "faultless.py", "--json", folder=folder)
    assert done.returncode == 1
    first, second = json.loads(done.stdout)
    assert (first["scene"], second["scene"]) == ("mine", "faultless")
    assert set(first) == {"scene", "beats", *MEASURES}
    opening, overlapping = first["beats"]
    assert set(opening) == {
        *("name", "seconds", "letters_a_second", "still_seconds", "still_share", "fill"),
        *("faults", "small", "idle_seconds", "texts", "headlines"),
    }
    assert (opening["name"], overlapping["name"]) == ("opening", "overlapping")
    assert (opening["faults"], overlapping["faults"]) == ([], [FAULT])
    assert [each["faults"] for each in second["beats"]] == [[], []]
    assert opening["letters_a_second"] == pytest.approx(8 / opening["seconds"], abs=0.001)
    assert first["still_seconds"] == overlapping["still_seconds"] >= 3
    # A table says the same.
    done = calling("check", "mine.py", folder=folder)
    assert re.findall(r"^mine: (\d+) %, 0:\d\d left$", done.stderr, re.M) == ["50", "100"]
    table = done.stdout
    assert f"{opening['seconds']:.1f} s" in table
    (percent,) = re.findall(r"fills (\d+)% of the frame", table)
    assert int(percent) == pytest.approx(100 * first["fill"], abs=0.6)


def test_without_a_fault_it_succeeds_and_a_fault_may_be_of_one_aspect(
    calling: Calling, folder: Path
) -> None:
    assert calling("check", "faultless.py", folder=folder).returncode == 0
    done = calling("check", "faultless.py", "--aspect", "9:16", folder=folder)
    assert done.returncode == 1
    assert "text 'other' is " in done.stdout
    assert "of the frame beyond the safe margin at the right" in done.stdout


def test_what_a_mosaic_has_too_little_room_for_is_named_and_is_no_fault(
    calling: Calling, folder: Path
) -> None:
    show = 'self.show(". Kt\\nQ scores\\nz pattern")'
    (folder / "crowded.py").write_text(SCENE.replace("self.hold(4)", f"self.clear(); {show}"))
    make_trace(d_head=64).save(folder / "trace.safetensors")
    done = calling("check", "crowded.py", "--trace", "trace.safetensors", folder=folder)
    assert done.returncode == 0, done
    *_, small, words, texts = done.stdout.splitlines()
    assert re.fullmatch(
        r"    cells of channel in Kt Q z are 0\.2\d % of the frame; "
        r"from 0\.33 % on they can be told apart",
        small,
    )
    assert words == "    no room for the words above Kt"
    assert texts.startswith("    text under 3.3 % of the frame, for the last row: ")


def test_a_mistake_in_one_scene_is_one_line_and_the_others_are_measured(
    calling: Calling, folder: Path
) -> None:
    (folder / "wrong.py").write_text(SCENE.replace('"""A panel."""', '"""A {panle}."""'))
    done = calling("check", "wrong.py", "faultless.py", "--quiet", folder=folder)
    assert done.stdout.startswith("faultless: ")
    assert_one_line(
        done,
        1,
        "wrong: wrong.py line 6, in beat opening: there is no fact {panle}; there are model",
    )


@pytest.mark.parametrize("arguments", [("--json",), ("scene_mla", "--all")])
def test_either_scenes_or_all_are_named(
    arguments: tuple[str, ...], calling: Calling, tmp_path: Path
) -> None:
    done = calling("check", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert "name scenes or give --all" in done.stderr
