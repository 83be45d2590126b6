"""``python -m extract`` answers bad input, closed pipes and signals well, and leaves nothing."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from extract import __main__ as command
from extract.errors import ExtractError, TraceError
from extract.support.plain_text import escaped, escaped_json
from extract.trace import Trace
from tests.support.checkout import PROJECT
from tests.support.traces import make_trace

EVIL = "evil\x1b[2J\x9b31m\x07"
"""Clears the screen, turns what follows red and rings."""

SLOW = pytest.mark.slow
"""Of a test that loads torch in a process of its own."""


def extract(
    *arguments: str | bytes | Path, cwd: Path = PROJECT, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m extract`` as a shell does."""
    settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    environment = os.environ | {"PYTHONPATH": str(PROJECT)} | settings.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "extract", *arguments],
        cwd=cwd,
        env=environment,
        text=True,
        check=False,
        timeout=300,
        **settings,
    )


def error_of(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the error line, which is the last one, after checking the exit code."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny model."""
    pytest.importorskip("torch")
    pytest.importorskip("transformer_lens")
    from tests.support.extract_models import KINDS, TOKENIZER, tiny_model

    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(KINDS["gpt2"][0]).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.safetensors"
    make_trace().save(path)
    return path


# --- Texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--prompt", "--continue"])
def test_a_prompt_that_is_not_text(option: str, tmp_path: Path) -> None:
    done = extract(option, b"a \xff b", "--out", tmp_path / "out.safetensors")
    assert error_of(done, 2) == (
        f"Invalid value for '{option}': it is not text in UTF-8; write it in that encoding"
    )
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_prompt_that_is_too_long() -> None:
    assert error_of(extract("--prompt", "a" * 60_000), 2) == (
        "Invalid value for '--prompt': it has 60,000 characters, and at most 50,000 can be traced"
    )


def test_more_tokens_than_a_trace_holds(model: Path) -> None:
    from extract.models.token_sequence import TokenSequence
    from tests.support.extract_models import KINDS, TOKENIZER, tiny_model

    loaded = tiny_model(KINDS["llama"][0])
    loaded.config.max_position_embeddings = 10**6
    with pytest.raises(ExtractError, match="tokens are more than the 2,000 that a trace holds"):
        TokenSequence.from_prompt(loaded, TOKENIZER, "a" * 3000, None, False)
    with pytest.raises(ExtractError, match="'a\\\\udcff' cannot be traced: it is not text in UTF"):
        TokenSequence.from_prompt(loaded, TOKENIZER, "a\udcff", None, False)
    assert "'--generate': 9999 is not in the range" in error_of(extract("--generate", "9999"), 2)


@pytest.mark.parametrize("name", ["m" * 5000, "a/" + "m" * 5000, "m" * 300 + ".gguf"])
def test_a_model_name_that_is_too_long(name: str, model: Path) -> None:
    line = error_of(extract("--model", name), 1)
    assert line == (
        f"{name[:57]}...: there is no such model (File name too long); name another with --model"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the model's name is empty; name one with --model"),
        ("~nobody-here/m", "~nobody-here/m: there is no such model (Could not determine home "),
    ],
)
def test_a_model_name_that_cannot_be_looked_up(name: str, message: str, model: Path) -> None:
    assert error_of(extract("--model", name), 1).startswith(message)


def test_no_name_for_the_trace() -> None:
    assert error_of(extract("--out", ""), 2) == "Invalid value for '--out': it names no file"


# --- Calibration ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a \xff b", "the calibration text cannot be read (it is not text in UTF-8)"),
        (b" \n", "the calibration text is empty; give another"),
    ],
)
@pytest.mark.parametrize("program", ["", "latent"])
def test_a_calibration_text_that_cannot_be_read(
    program: str, content: bytes, reason: str, trace: Path, tmp_path: Path
) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "out.safetensors"
    text.write_bytes(content)
    arguments = ["latent", trace] if program else ["--out", out]
    done = extract(*arguments, "--calibration", text)
    assert error_of(done, 2).startswith(f"Invalid value for '--calibration': {text}: {reason}")
    assert done.stderr.count("\n") == 1
    assert not out.exists()


# --- What reaches the terminal --------------------------------------------------------------------


def test_escape_sequences_in_names_reach_no_terminal(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / EVIL)
    out = folder / "trace.safetensors"
    shown = "evil\\x1b[2J\\x9b31m\\x07"
    result = CliRunner().invoke(
        command.main, ["--no-latent", "--model", str(folder), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert f"{shown}/trace.safetensors: {shown}, 14 tokens" in result.stdout
    meta = Trace.load(out).meta
    assert meta.model == meta.source.name == shown
    lines = [result.stdout, result.stderr]
    for arguments, code in (
        (("info", out), 0),
        (("info", out, "--json"), 0),
        (("info", folder / "none"), 1),
        (("--model", f"hub/{EVIL}"), 1),
        (("--model", f"./{EVIL}"), 1),
        ((f"--{EVIL}",), 2),
        ((EVIL,), 2),
    ):
        result = CliRunner().invoke(command.main, [*map(str, arguments)])
        assert result.exit_code == code, result.output
        assert shown in result.output or code == 0
        lines += [result.stdout, result.stderr]
    # The program's own progress bars may go back to the beginning of a line.
    allowed = str.maketrans("", "", "\n\r")
    assert all(line.translate(allowed).isprintable() for line in lines)


def test_tokens_in_json_are_escaped_as_json_does_it(tmp_path: Path) -> None:
    import json

    path = tmp_path / "trace.safetensors"
    words = ["\x1b[2J", "\x9b31m", " a\u202eb", "\n", "\U0001f600"]
    make_trace(n_tokens=5, words=words).save(path)
    for arguments in (("info", path), ("info", path, "--json")):
        done = extract(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.replace("\n", "").isprintable()
    assert json.loads(done.stdout)["tokens"][1:] == words


def test_errors_are_one_safe_line() -> None:
    for kind in (ExtractError, TraceError):
        assert str(kind(f"{EVIL}: no\nsuch file")) == f"{escaped(EVIL)}: no such file"
    assert escaped("a\u200db, naïve 中文") == "a\u200db, naïve 中文"
    assert escaped_json('["\x7f"]\n') == '["\\u007f"]\n'


# --- Places ---------------------------------------------------------------------------------------


def test_a_current_folder_that_is_deleted(model: Path, trace: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = (
        f"import os, runpy, sys; os.rmdir({str(gone)!r}); sys.argv[0] = 'extract'; "
        "runpy.run_module('extract', run_name='__main__')"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        gone.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=gone,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=False,
        )

    out = tmp_path / "out.safetensors"
    for place in (str(out), "out.safetensors"):
        done = run("--model", str(model), "--no-latent", "--out", place)
        assert error_of(done, 1) == "the current folder no longer exists; change to another"
    assert run("info", str(trace)).returncode == 0
    assert error_of(run("info", "none"), 1).startswith("none: there is no such file; make it with")


@SLOW
@pytest.mark.parametrize("folder", ["/nowhere", "/dev/full"])
def test_no_temporary_folder_is_needed(folder: str, model: Path, tmp_path: Path) -> None:
    """So that a full one does not matter."""
    out = tmp_path / "out.safetensors"
    done = extract("--model", model, "--no-latent", "--out", out, env={"TMPDIR": folder})
    assert done.returncode == 0, done.stderr


def unread(*arguments: str | Path, stderr: int) -> None:
    """Run ``python -m extract ... | true``: the job is done, and nothing is said of it."""
    reader, writer = os.pipe()
    os.close(reader)
    done = extract(*arguments, stdout=writer, stderr=stderr)
    os.close(writer)
    assert done.returncode == 0
    assert "Error" not in (done.stderr or "")


@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT], ids=["apart", "too"])
def test_output_that_nobody_reads(stderr: int, trace: Path) -> None:
    unread("info", trace, stderr=stderr)
    unread("cache", stderr=stderr)


@pytest.mark.slow
def test_an_extraction_that_nobody_watches(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    unread("--model", model, "--no-latent", "--out", out, stderr=subprocess.STDOUT)
    assert Trace.load(out).meta.model == "tiny"


def test_output_that_cannot_be_written(trace: Path) -> None:
    for arguments in (("info", trace), ("cache",)):
        with Path("/dev/full").open("w") as full:
            done = extract(*arguments, stdout=full)
        assert error_of(done, 1) == "No space left on device; make room on that disk and run again"


# --- Mistakes and faults --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "file"), "file: Permission denied"),
        (MemoryError(), "there is not enough memory; trace a smaller model or a shorter prompt"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
            "there is not enough memory; trace a smaller model or a shorter prompt",
        ),
        (KeyError("q"), "KeyError: 'q' (a mistake in the program; --verbose before the command "),
    ],
)
def test_other_errors_are_one_line_too(
    error: Exception, message: str, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(command.Trace, "load", fail)
    for options in ((), ("--verbose",)):
        result = CliRunner().invoke(command.main, [*options, "info", str(trace)])
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith(f"Error: {message}")
        assert ("Traceback" in result.stderr) == bool(options)


# --- Signals --------------------------------------------------------------------------------------


def hear_hangups() -> None:
    """Let a program get the signal of a closed terminal, even if ``nohup`` runs the tests."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


WHILE_SAVING = """
import os, pathlib, runpy, time, signal

def fsync(descriptor):
    if any(pathlib.Path({folder!r}).glob(".*.part")):
        {action}

os.fsync = fsync
runpy.run_module("extract", run_name="__main__")
"""


def while_saving(name: str, model: Path, out: Path, **options: Any) -> Any:
    """Extract, and send a signal while the trace is written."""
    action = f"signal.raise_signal(signal.{name})"
    return subprocess.run(
        [
            *(sys.executable, "-c", WHILE_SAVING.format(folder=str(out.parent), action=action)),
            *("--model", model, "--no-latent", "--out", out),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        **({"preexec_fn": hear_hangups} | options),
    )


@pytest.mark.parametrize(
    "name", ["SIGHUP", *(pytest.param(name, marks=SLOW) for name in ("SIGTERM", "SIGINT"))]
)
def test_a_signal_leaves_no_half_file(name: str, model: Path, tmp_path: Path) -> None:
    done = while_saving(name, model, tmp_path / "out.safetensors")
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "Interrupted: unfinished files were removed"
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_nohup_goes_on(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    assert while_saving("SIGHUP", model, out, **ignore).returncode == 0
    assert out.is_file()


@pytest.mark.slow
def test_a_terminal_that_is_closed_leaves_nothing(model: Path, tmp_path: Path) -> None:
    """The signal comes, and nothing can be written to the terminal any more."""
    ours, theirs = pty.openpty()
    waiting = tmp_path / "waiting"
    folder = tmp_path / "traces"
    action = f"pathlib.Path({str(waiting)!r}).touch(), time.sleep(300)"
    program = WHILE_SAVING.format(folder=str(folder), action=action)
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", program),
            *("--model", model, "--no-latent", "--out", folder / "out.safetensors"),
        ],
        cwd=PROJECT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: (hear_hangups(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    deadline = time.monotonic() + 300
    while not waiting.exists() and time.monotonic() < deadline:
        try:
            os.read(ours, 1 << 16)  # or the terminal would be full, and the program wait for us
        except BlockingIOError:
            time.sleep(0.05)
    assert any(folder.glob(".*.part"))
    os.close(ours)
    assert process.wait(timeout=60) == 130
    assert not list(folder.iterdir())


def test_a_signal_during_a_finaliser_is_neither_lost_nor_printed() -> None:
    """Python ignores an exception in ``__del__``."""
    script = """
import signal, time
from extract.support.interrupts import interrupt_on_signals

class Deleted:
    def __del__(self):
        signal.raise_signal(signal.SIGHUP)

interrupt_on_signals()
try:
    Deleted()
    time.sleep(100)
except KeyboardInterrupt:
    print("stopped")
"""
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=hear_hangups,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "stopped\n", "")
