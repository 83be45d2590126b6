"""What is wrong with a machine, and what mends it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import manimpango
import PIL.Image
import pytest

from filmkit.commands import cli, doctor
from filmkit.commands.doctor import FAULT, NOTE, OK, Finding
from filmkit.core import fonts, text
from filmkit.core.theme import Theme
from filmkit.render import movie, traces
from filmkit.render.cache import FOLDER_VARIABLE, LIMIT_VARIABLE
from tests.support.checkout import PROJECT
from tests.support.traces import make_trace

Look = Callable[[str], dict[str, Finding]]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder on a machine with room."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50e9))


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """What is found in one group, by name."""
    checks = dict(doctor.CHECKS)

    def look(group: str) -> dict[str, Finding]:
        monkeypatch.setattr(doctor, "CHECKS", {group: checks[group]})
        return {finding.name: finding for _, finding in doctor.examine()}

    return look


def assert_fault(finding: Finding, *words: str, command: str) -> None:
    assert finding.state == FAULT
    assert "\n" not in finding.message
    for word in words:
        assert word in finding.message
    assert command in (finding.command or "")


def pretend(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Other versions of some libraries; None is a library that is not there."""

    def pretended(name: str) -> str:
        there = versions.get(name.replace("-", "_"), "as it is")
        if there is None:
            raise PackageNotFoundError(name)
        return version(name) if there == "as it is" else there

    monkeypatch.setattr(doctor, "version", pretended)


def raises(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **options: Any) -> Any:
        raise error

    return fail


# The command


def call(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor", *options])
    return int(stop.value.code or 0), capsys.readouterr().out


def test_nothing_is_wrong_here(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = call(capsys, "--json")
    report = json.loads(out)
    assert [row for row in report["findings"] if row["state"] == FAULT] == []
    assert (code, report["version"], report["healthy"]) == (0, 1, True)
    assert {row["group"] for row in report["findings"]} == set(doctor.CHECKS)
    for row in report["findings"]:
        assert list(row) == ["group", "name", "state", "message", "command"]
        assert row["state"] != OK or row["command"] is None


def test_fault_is_said_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [Finding("a", OK, "fine"), Finding("b", NOTE, "so so"), Finding("c", FAULT, "bad")]
    monkeypatch.setattr(doctor, "CHECKS", {"things": lambda: findings})
    findings[2] = replace(findings[2], command="mend it")
    code, out = call(capsys)
    assert code == 1
    heading, *lines = out.splitlines()
    assert heading == "Things"
    assert [line.split() for line in lines] == [
        ["ok", "a", "fine"],
        ["note", "b", "so", "so"],
        ["FAULT", "c", "bad"],
        ["mend", "it"],
        ["1", "fault"],
    ]
    findings.pop()
    assert call(capsys)[0] == 0


def test_check_that_breaks_is_a_fault_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {"first": raises(ImportError("no\nsuch")), "second": lambda: [Finding("b", OK, "")]}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    (_, broken), (group, _) = doctor.examine()
    assert_fault(broken, "cannot be checked (ImportError: no such)", command="pip install")
    assert group == "second"
    monkeypatch.setattr(doctor, "CHECKS", {"first": raises(PermissionError("no"))})
    ((_, broken),) = doctor.examine()
    assert (broken.state, broken.command) == (FAULT, None)


def test_it_works_where_almost_nothing_is_installed(tmp_path: Path) -> None:
    """Only what reads the command line is there."""
    missing = "av cv2 manim manimpango numpy packaging PIL rich safetensors scipy tomllib typst"
    program = f"""
import sys
sys.modules.update(dict.fromkeys({missing.split()}))
from filmkit.commands.cli import main
main(["doctor", "--json"])
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    report = json.loads(ran.stdout)
    assert not report["healthy"]
    states = {row["name"]: row["state"] for row in report["findings"]}
    assert {states[group] for group in ("libraries", "fonts", "formats", "traces")} == {FAULT}
    assert (states["Python"], states["cache size"], states["GPU"]) == (OK, OK, OK)


def test_python_without_the_project_is_one_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-S", "render.py", "doctor"], cwd=PROJECT, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: ")
    assert ran.stderr.endswith("has no click; run make setup, then .venv/bin/python\n")


def test_help_and_readme_tell_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    helped = capsys.readouterr().out
    told = (PROJECT / "README.md").read_text().partition("## When something is wrong")[2]
    for code, meaning in cli.EXIT_CODES.items():
        assert f"{code:<5} {meaning}" in helped
        assert str(code) in told.partition("## ")[0]


# Python and what is installed


def test_old_python(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._project()["requires-python"] == ">=" + ".".join(map(str, doctor.OLDEST))
    monkeypatch.setattr(doctor, "OLDEST", (4, 0))
    assert_fault(look("python")["Python"], "4.0 or newer is needed", command="scripts/setup.sh")


def test_bad_version_says_why(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, pillow="13.0.0", numpy="1.26.4")
    found = look("libraries")
    assert_fault(
        found["pillow"],
        "13.0.0 is installed, >=11,<13 is needed: Manim 0.22 cannot draw images with Pillow 13",
        command="-m pip install 'pillow>=11,<13'",
    )
    assert_fault(found["numpy"], "1.26.4", ">=2.1", command="-m pip install 'numpy>=2.1'")
    assert found["manim"].state == OK


def test_missing_library(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, manim=None)
    command = "-m pip install 'manim[typst]>=0.22,<0.23'"
    assert_fault(look("libraries")["manim"], "is not installed", command=command)


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (ImportError("libpango-1.0.so.0: cannot open"), "scripts/setup.sh render"),
        (ModuleNotFoundError("No module named 'numpy'"), "-m pip install --editable"),
        (RuntimeError("half of it is gone"), "--force-reinstall --no-deps 'manim[typst]>="),
    ],
)
def test_library_that_does_not_load(
    look: Look, monkeypatch: pytest.MonkeyPatch, error: Exception, command: str
) -> None:
    def load(name: str) -> Any:
        if name == "manim":
            raise error
        return import_module(name)

    monkeypatch.setattr(doctor, "import_module", load)
    found = look("libraries")
    assert_fault(found["manim"], "0.22", "cannot be loaded", str(error), command=command)
    assert found["pillow"].state == OK


def test_packages_that_do_not_work_beside_manim_are_noted(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, manim_slides="5.7.0", manim_ml="99")
    found = look("libraries")
    assert found["manim-slides"].state == NOTE
    assert "cannot render with Manim 0.22" in found["manim-slides"].message
    assert "manim-ml" not in found


def test_every_extra_is_told_of() -> None:
    assert {*doctor.EXTRAS, "dev"} == set(doctor._project()["optional-dependencies"])


def test_missing_extra_is_a_note(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, distributed=None, torch="1.0")
    found = look("extras")
    assert {name for name, finding in found.items() if finding.state == NOTE} == {
        "cluster",
        "extract",
    }
    assert "distributed is not installed" in found["cluster"].message
    assert "torch 1.0 is installed, >=2.6,<3 is needed" in found["extract"].message
    assert (found["cluster"].command or "").endswith("[cluster]'")


# What draws and writes


def test_pillow_that_manim_cannot_draw_with(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = ValueError("Invalid mode for data type")
    monkeypatch.setattr(PIL.Image, "fromarray", raises(fault))
    found = look("drawing")
    command = "-m pip install 'pillow>=11,<13'"
    assert_fault(found["image"], "Manim cannot draw one", str(fault), command=command)
    assert found["formula"].state == OK


def test_image_of_another_colour(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    fromarray = PIL.Image.fromarray
    monkeypatch.setattr(PIL.Image, "fromarray", lambda array, **kw: fromarray(array // 2, **kw))
    assert_fault(look("drawing")["image"], "instead of [255, 0, 0, 255]", command="pillow")


def test_missing_typst(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_formula", raises(ModuleNotFoundError("typst")))
    assert_fault(look("drawing")["formula"], "typst", command="'manim[typst]")


def test_missing_fonts(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "Broken.ttf"
    broken.write_bytes(b"no font")
    files = [*fonts.font_files(), tmp_path / "Gone.ttf", broken]
    monkeypatch.setattr(fonts, "font_files", lambda: files)
    families = {*manimpango.list_fonts()} - {"Noto Emoji", "Noto Sans CJK SC"}
    monkeypatch.setattr(manimpango, "list_fonts", lambda: sorted(families))
    found = look("fonts")
    assert_fault(found["files"], "cannot be loaded: Gone.ttf, Broken.ttf", command="manimgx-fonts")
    assert_fault(found["Noto Emoji"], "is not there", command="manimgx-fonts")
    assert found[Theme.font].state == OK
    assert found["Noto Sans CJK SC"].state == NOTE
    assert (found["Noto Sans CJK SC"].command or "").endswith("[cjk]'")


def test_missing_codecs(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movie, "WEBM", replace(movie.WEBM, codec="libnone"))
    monkeypatch.setattr(av, "Codec", raises(ValueError("unknown")))
    PIL.Image.init()
    monkeypatch.delitem(PIL.Image.SAVE, "GIF")
    found = look("formats")
    assert_fault(found["webm"], "libnone cannot be written", command="--no-deps 'av>=15'")
    assert_fault(found["captions in webm"], "webvtt", command="av>=15")
    assert_fault(found["gif"], "gif cannot be written", command="pillow")
    assert {found[name].state for name in ("masters", "mp4", "mov", "png")} == {OK}


# Where things are kept


def test_folders_that_cannot_be_written_to(look: Look, tmp_path: Path) -> None:
    for name in ("kept", "videos"):
        (tmp_path / name).write_text("a file, not a folder")
    found = look("space")
    assert_fault(found["cache folder"], "kept: Not a directory", command=FOLDER_VARIABLE)
    assert_fault(found["output folder"], "videos: Not a directory", command="--out")


def test_little_room(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3e9))
    assert look("space")["cache folder"].state == NOTE
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0.2e9))
    assert_fault(look("space")["cache folder"], "0.2 GB free", command=f"export {FOLDER_VARIABLE}=")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.mov").write_bytes(bytes(100))
    assert_fault(look("space")["cache folder"], command="render.py cache --clear")
    assert_fault(look("space")["output folder"], "0.2 GB free", command="--out")


def test_limit_of_the_cache(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.mov").write_bytes(bytes(10**6))
    assert look("space")["cache size"].message == "0.00 of at most 10.00 GB"
    monkeypatch.setenv(LIMIT_VARIABLE, "0.0001")
    assert look("space")["cache size"].state == NOTE
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    assert_fault(look("space")["cache size"], "'much'", command=f"unset {LIMIT_VARIABLE}")


def test_traces(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shipped = tmp_path / "shipped.safetensors"
    monkeypatch.setattr(traces, "SHIPPED", shipped)
    monkeypatch.setattr(traces, "EXTRACTED", tmp_path / "own.safetensors")
    make_trace().save(tmp_path / "own.safetensors")
    whole = (tmp_path / "own.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    found = look("traces")
    assert_fault(found["shipped.safetensors"], "no such file", command="git -C")
    assert_fault(found["cut.safetensors"], "not a readable trace", command=f"rm {tmp_path}/cut")
    assert found["own.safetensors"].state == OK
    assert "made-up model" in found["own.safetensors"].message
    assert "unless --trace names another" in found["own.safetensors"].message
