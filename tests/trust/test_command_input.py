"""Whatever is typed, and wherever: one clear line, the right exit code, no code of others run."""

from __future__ import annotations

import ast
import errno
import json
import runpy
import signal
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path

import click
import pytest
from _pytest.mark.structures import ParameterSet

from extract.support.plain_text import escaped
from filmkit.commands import options
from filmkit.commands.new import literal, write_scene
from filmkit.commands.options import run
from filmkit.core.text import text_width
from filmkit.render.cache import LIMIT_VARIABLE, default_limit
from filmkit.render.errors import explain
from filmkit.render.progress import BarMeter
from tests.support.calling import (
    RENDER,
    SCENE,
    Calling,
    assert_one_line,
    call,
    calling,
    on_terminal,
    shell,
)
from tests.support.checkout import SHIPPED, copy_project, run_python
from tests.support.damages import TraceFile
from tests.support.traces import make_trace

__all__ = ["calling"]

CRASH = "ctypes.string_at(0)", "signal SIGSEGV"

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202e"

SCENE_WITH_WORDS = SCENE.replace("A square.", "A square of {model}, which reads {prompt}.")


def slow(*values: str) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.slow)


def fill(folder: Path) -> Path:
    """Write a scene, mine.py, and a trace, mine.safetensors, into a folder."""
    (folder / "mine.py").write_text(SCENE)
    make_trace(n_tokens=3).save(folder / "mine.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose scene is in its cache, so that programs can list it without Manim."""
    folder = fill(tmp_path_factory.mktemp("listed"))
    assert call("--list", "mine.py", folder=folder).returncode == 0
    return folder


# Control characters


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trace whose tokens hold escape sequences, and a scene that says them.

    Beside it is a file in whose metadata the model's name does, which is refused.
    """
    folder = tmp_path_factory.mktemp("hostile")
    words = [f"a{HOSTILE}", " b", " c"]
    make_trace(n_tokens=3, has_bos=False, words=words).save(folder / "trace.safetensors")
    named = TraceFile.read(folder / "trace.safetensors")
    named.meta["model"] = f"model{HOSTILE}"
    named.write_sealed(folder / "named.safetensors")
    (folder / "mine.py").write_text(SCENE_WITH_WORDS)
    (folder / "\x1b[31m.py").write_text("class Nothing: pass")
    return folder


CONTROLLED = [
    ("script mine.py --trace trace.safetensors", r"reads a\x1b\]0"),
    ("script mine.py --trace trace.safetensors --json", r"reads a\u001b]0"),
    ("script mine.py --trace named.safetensors", r"model\x1b]0"),
    ("--list mine.py --trace trace.safetensors --beat \x1b[31m", "mine"),
    ("scene_heads --trace named.safetensors", r"model\x1b]0"),
    ("scene_heads --trace \x1b[31m", r"\x1b[31m: there is no such file"),
    ("scene_\x1b[31m", r"there is no scene 'scene_\x1b[31m'"),
    ("mine.py --still \x1b[31m", r"'\x1b[31m'"),
    ("\x1b[31m.py", r"\x1b[31m.py holds no scene"),
    ("mine.py --cluster \x1b[31m", r"'\x1b[31m'"),
    ("new scene_\x1b[31m", r"'scene_\x1b[31m'"),
    ("\x1b[31m.py --verbose --list", r"\x1b[31m.py holds no scene"),
]


@pytest.mark.parametrize(("words", "printed"), CONTROLLED)
def test_no_escape_sequence_is_printed(
    hostile: Path, calling: Calling, words: str, printed: str
) -> None:
    done = calling(*words.split(), folder=hostile)
    for text in (done.stdout, done.stderr):
        assert "".join(map(escaped, text.split("\n"))) == text.replace("\n", "")
    assert printed in done.stdout + done.stderr


def test_nor_to_a_terminal(hostile: Path) -> None:
    words, printed = CONTROLLED[2]
    code, out = on_terminal(*RENDER, *words.split(), folder=hostile)
    assert code == 1
    assert printed.encode() in out
    assert b"\x1b" not in out


def test_a_script_in_a_file_is_as_safe(hostile: Path, calling: Calling, tmp_path: Path) -> None:
    words = ("script", "mine.py", "--trace", "trace.safetensors", "--out")
    assert calling(*words, tmp_path / "script.md", folder=hostile).returncode == 0
    assert "\x1b" not in (tmp_path / "script.md").read_text()
    assert calling(*words, tmp_path / "script.json", "--json", folder=hostile).returncode == 0
    text = (tmp_path / "script.json").read_text()
    assert escaped(text.replace("\n", "")) == text.replace("\n", "")
    assert HOSTILE in json.loads(text)[0]["beats"][0]["narration"]


def test_the_bar_shows_names_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    console = Console(force_terminal=True, width=80, color_system=None)
    with BarMeter(2, console) as meter:
        meter.describe("[/red]\x1b]0;owned\x07")
        meter.advance(1)
    out = capfd.readouterr().out
    assert r"[/red]\x1b]0;owned" in out
    assert "\x1b]0" not in out


def test_a_traceback_has_none_either(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError(HOSTILE)
    except RuntimeError as error:
        explain(error, verbose=True)
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert "\x1b" not in err


@pytest.mark.parametrize("option", ["--trace", "--compare"])
@pytest.mark.parametrize("words", [["--list"], ["--still", "all"], ["--preview"]])
def test_a_trace_that_does_not_exist(
    folder: Path, calling: Calling, option: str, words: list[str]
) -> None:
    done = calling("scene_heads", *words, option, folder / "missing", folder=folder)
    assert_one_line(done, 1, f"{folder / 'missing'}: there is no such file")


# The cache's limit


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e400", "many"])
def test_a_limit_that_is_no_size(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, value)
    with pytest.raises(click.UsageError, match=f"{LIMIT_VARIABLE} is '{value}', which is not"):
        default_limit()


def test_a_limit_that_is_no_size_is_one_line(folder: Path, calling: Calling) -> None:
    changes = {LIMIT_VARIABLE: "nan"}
    for words in (["cache"], ["mine.py", "--quality", "draft"], ["--list", "mine.py"]):
        assert_one_line(calling(*words, folder=folder, **changes), 2, "such as 10")


@pytest.mark.parametrize(("value", "limit"), [("0", 0), ("0.5", 500_000_000), ("", 10**10)])
def test_a_limit_that_is_one(value: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, value)
    assert default_limit() == limit


# Folders that are gone, full or forbidden


@pytest.mark.parametrize("words", ["--list", "cache", "doctor", "new scene_one", "mine.py"])
def test_a_current_folder_that_is_gone(tmp_path: Path, words: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd gone && rmdir ../gone && $RENDER {words}; echo $? > ../code"
    _, out, err = shell(f"({script})", folder=tmp_path)
    assert (tmp_path / "code").read_text() == "1\n"
    assert out == ""
    assert err == "Error: the current folder does not exist any more: change to another one\n"


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(options, "gettempdir", refuse)
    with pytest.raises(click.ClickException, match="set TMPDIR to one that can be written"):
        run(lambda request: True, verbose=False)


@pytest.mark.slow
def test_a_folder_for_temporary_files_that_is_not_there(folder: Path) -> None:
    missing = str(folder / "missing")
    done = call("mine.py", "--still", "all", "--quiet", folder=folder, TMPDIR=missing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Cairo writes as much as there is room for, and does not tell.
    file = tmp_path / "line.svg"
    monkeypatch.setattr("filmkit.core.text._scratch_file", lambda: nullcontext(file))
    monkeypatch.setattr(
        "manimpango.text2svg",
        lambda *_: file.write_text("<svg xmlns='http://www.w3.org/2000/svg'><g>"),
    )
    with pytest.raises(OSError, match="No space left on device") as caught:
        text_width("a line that nothing has drawn yet")
    line = explain(caught.value, verbose=False)
    assert line == (
        f"cannot use {file}: No space left on device; make room on that disk and run again"
    )


def test_a_folder_that_may_not_be_used() -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/locked/file")
    assert explain(error, verbose=False) == "cannot use /locked/file: Permission denied"


@pytest.mark.parametrize("words", ["cache", slow("mine.py --still all")])
def test_no_home(folder: Path, words: str) -> None:
    script = (
        "import os, pwd, runpy, sys\n"
        "def getpwuid(number): raise KeyError(number)\n"
        "pwd.getpwuid = getpwuid\n"
        f"sys.argv[1:] = {words.split()}\n"
        f"runpy.run_path({str(RENDER[1])!r}, run_name='__main__')\n"
    )
    (folder / "program.py").write_text(script)
    changes = {"HOME": None, "XDG_CACHE_HOME": None, "ATTENTION_FILM_CACHE": None}
    done = call(folder=folder, module="program", **changes)
    if "--still" in words:  # stills need no cache
        assert done.returncode == 0, done.stderr
    else:
        assert_one_line(done, 2, "there is no home folder: set HOME, or ATTENTION_FILM_CACHE")
    assert not (folder / "~").exists()


# Output that nobody reads, or that is full


def faults(err: str) -> list[str]:
    """Return the lines of stderr but the one that says which trace is shown."""
    return [line for line in err.splitlines() if not line.startswith("pictures from ")]


@pytest.mark.parametrize(
    ("words", "reader"),
    [
        ("--list mine.py", "true"),
        ("script mine.py --out /proc/self/fd/1", "true"),
        slow("--help", "true"),  # by click
        slow("doctor", "head -1"),  # line by line, as it finds them
    ],
)
def test_a_reader_that_stops_is_no_fault(listed: Path, words: str, reader: str) -> None:
    codes, _, err = shell(f"$RENDER {words} | {reader}", folder=listed)
    assert codes[0] in ((0, 1) if words == "doctor" else (0,))
    assert faults(err) == []


@pytest.mark.parametrize(
    "words", ["--list mine.py", "cache", slow("--help"), slow("script mine.py")]
)
def test_an_output_that_is_full(listed: Path, words: str) -> None:
    codes, _, err = shell(f"$RENDER {words} > /dev/full", folder=listed)
    (line,) = faults(err)
    assert codes == [1]
    assert "No space left on device; make room" in line


def test_messages_that_cannot_be_printed_end_no_job(listed: Path) -> None:
    codes, out, _ = shell("$RENDER --list mine.py 2> /dev/full", folder=listed)
    assert codes == [0]
    assert out.startswith("mine  Mine")


# Manim's configuration


UNREADABLE = "no section\n"


@pytest.mark.parametrize(
    ("words", "text", "printed"),
    [
        ("mine.py --quality draft --quiet", UNREADABLE, ""),
        slow("--list mine.py", UNREADABLE, "mine  Mine"),
        slow(
            "mine.py --quality draft --quiet", "[CLI]\nframe_rate = many\nplugins = nothing\n", ""
        ),
    ],
)
def test_a_manim_configuration_is_not_read(
    folder: Path, words: str, text: str, printed: str
) -> None:
    (folder / "manim.cfg").write_text(text)
    done = call(*words.split(), folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(printed)


@pytest.mark.slow
def test_nor_by_the_check_of_this_machine(folder: Path) -> None:
    (folder / "manim.cfg").write_text(UNREADABLE)
    findings = json.loads(call("doctor", "--json", folder=folder).stdout)["findings"]
    assert {f["state"] for f in findings if f["group"] in ("libraries", "drawing")} <= {
        "ok",
        "note",
    }


@pytest.mark.slow
def test_nor_while_watching(folder: Path) -> None:
    (folder / "manim.cfg").write_text(UNREADABLE)
    program = subprocess.Popen(
        [*RENDER, "mine.py", "--watch", "--preview", "--no-cache"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sheet, deadline = folder / "videos" / "mine.preview.png", time.monotonic() + 300
    while not sheet.exists() and program.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    drawn = sheet.exists()
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert drawn, err
    assert program.returncode == 130
    assert err.splitlines()[-1] == "Interrupted: unfinished files were removed"


# Options


def test_a_scene_that_ends_the_program(folder: Path, calling: Calling) -> None:
    (folder / "mine.py").write_text(f"import sys\nsys.exit(0)\n{SCENE}")
    done = calling("--list", "mine.py", folder=folder)
    assert_one_line(done, 1, "mine.py line 2: SystemExit(0) would end the program; take it out")


@pytest.mark.parametrize(
    "words",
    [
        "mine.py --still all",
        *(slow("check mine.py"), slow("worksheet mine.py"), slow("deck mine.py --for pdf")),
    ],
)
@pytest.mark.parametrize(
    ("ends", "how"),
    [("os._exit(0)", "exit code 0"), pytest.param(*CRASH, marks=pytest.mark.slow)],
)
def test_a_scene_that_ends_its_process(folder: Path, words: str, ends: str, how: str) -> None:
    ending = f"import ctypes, os; {ends}; self.wait(0.2)"
    asked = SCENE.replace("@beat", '@beat(ask="What is it?")').replace("self.wait(0.2)", ending)
    (folder / "mine.py").write_text(asked)
    done = call(*words.split(), "--quiet", folder=folder)
    assert_one_line(done, 1, f"in beat only: its process ended early ({how})")


def test_a_scene_that_goes_elsewhere_and_looks_at_its_folder(folder: Path) -> None:
    """The picture is the same in each process, and the film is where it was asked for."""
    looks = 'os.chdir("/"); self.add(Label(" ".join(sorted(os.listdir(HERE))))); self.wait(0.2)'
    begins = "import os\n\nfrom filmkit import Label\n\nHERE = os.path.dirname(__file__)\n"
    (folder / "mine.py").write_text(begins + SCENE.replace("self.wait(0.2)", looks))
    done = call("mine.py", "--quality", "draft", "--quiet", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "videos" / "mine.mp4").exists()


@pytest.mark.parametrize("option", ["--still", "--beat"])
def test_a_beat_without_a_name_is_refused(folder: Path, calling: Calling, option: str) -> None:
    done = calling("mine.py", option, "", folder=folder)
    assert_one_line(done, 2, option, "name a beat, or give all; --list shows the beats")
    assert not (folder / "videos").exists()


@pytest.mark.parametrize("option", [["--watch"], ["--preview"], ["--still", "all"]])
def test_what_a_cluster_does_not_draw_is_refused(
    folder: Path, calling: Calling, option: list[str]
) -> None:
    done = calling("mine.py", *option, "--cluster", "tcp://127.0.0.1:1", folder=folder)
    assert_one_line(done, 2, "mutually exclusive", "--cluster", option[0])


# New scenes


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("checkout"))


TITLES = [
    'Say "hello"',
    "It's \\n no line\\",
    '"""',
    "'\"'\"",
    "${name} {model} %s",
    "Why?",
    "Ein Kopf für 猫",
]

NAMES = ["scene_none", "scene_true", "scene_group", "scene_exception", f"scene_{24 * 'a'}"]


@pytest.fixture(scope="module")
def written(checkout: Path) -> dict[str, str | None]:
    """Scenes with each name and with each title, in the checkout."""
    titles = dict.fromkeys(NAMES) | {f"scene_title_{i}": t for i, t in enumerate(TITLES)}
    for name, title in titles.items():
        write_scene(checkout, name, title)
    return titles


def test_titles_and_names_are_written_as_they_are(
    checkout: Path, written: dict[str, str | None]
) -> None:
    known = runpy.run_path(str(checkout / "scenes" / "registry.py"))["SCENES"]
    assert [entry.slug for entry in known][-len(written) :] == [*written]
    for entry in known[-len(written) :]:
        assert written[entry.slug] in (None, entry.title)
        folder = entry.slug.removeprefix("scene_")
        code = (checkout / "scenes" / folder / f"{entry.slug}.py").read_text()
        assert entry.cls in [
            node.name for node in ast.parse(code).body if isinstance(node, ast.ClassDef)
        ]
        ast.parse((checkout / "tests" / "scenes" / folder / f"test_{entry.slug}.py").read_text())
    for check in (("check",), ("format", "--check")):
        style = run_python(checkout, "-m", "ruff", *check, "scenes", "tests/scenes")
        assert style.returncode == 0, style.stdout


@pytest.mark.slow
def test_and_the_scenes_run(checkout: Path, written: dict[str, str | None]) -> None:
    listed = run_python(checkout, "render.py", "--list", "--json", *written)
    assert listed.returncode == 0, listed.stderr
    records = json.loads(listed.stdout)
    assert [record["name"] for record in records] == [*written]
    assert [record["title"] for record in records][len(NAMES) :] == TITLES


@pytest.mark.parametrize(
    ("name", "title", "words"),
    [
        ("scene_class", None, "Python cannot import a folder called class"),
        ("scene_import", None, "such as scene_the_import"),
        ("scene_registry", None, "scenes/registry.py already exists"),
        ("scene_posters", None, "scenes/posters already exists"),
        ("scene_mla", None, "scene_mla already exists"),
        ("cache", None, "cannot be the name of a scene"),
        ("scene_" + 234 * "a", None, "up to 24 lower-case letters"),
        ("scene_good", "two\nlines", "the title must be one line"),
        ("scene_good", "\x1b[31m", "the title must be one line"),
        ("scene_good", 240 * "a", "at most 60"),
    ],
)
def test_names_and_titles_that_are_refused(name: str, title: str | None, words: str) -> None:
    project = SHIPPED.parents[2]
    before = (project / "scenes" / "registry.py").read_bytes()
    with pytest.raises(click.UsageError, match=words):
        write_scene(project, name, title)
    assert (project / "scenes" / "registry.py").read_bytes() == before


def test_a_disk_that_is_full_leaves_the_list_as_it_was(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filmkit.commands import new

    def write(path: Path, text: str) -> None:
        if path.name == "registry.py":
            raise OSError(errno.ENOSPC, "No space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr(new, "write_text", write)
    with pytest.raises(OSError, match="No space left"):
        write_scene(checkout, "scene_late")
    assert not (checkout / "scenes" / "late").exists()
    assert not (checkout / "tests" / "scenes" / "late").exists()


@pytest.mark.parametrize("text", [*TITLES, "\\", "'", '"'])
def test_a_string_as_code_is_that_string(text: str) -> None:
    assert eval(literal(text)) == text
