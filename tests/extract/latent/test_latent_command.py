"""Test ``python -m extract latent`` and ``cache``: their output, files and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from extract.__main__ import main
from extract.trace import Trace
from extract.trace.contents.latents import fitted_latent, latent_report
from tests.support.traces import make_trace


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def last_line(result: Result) -> str:
    return result.stderr.splitlines()[-1]


# --- cache ----------------------------------------------------------------------------------------


def test_cache_prints_every_model() -> None:
    result = run("cache")
    assert result.exit_code == 0
    for words in ("GPT-2 small", "3,997,696", "70,272", "56.89x", "one token", "16 bits"):
        assert words in result.stdout


def test_cache_of_one_model_as_json() -> None:
    result = run("cache", "--arch", "deepseek-v2", "--context", 1000, "--bits", 6, "--json")
    (row,) = json.loads(result.stdout)
    assert (row["model"], row["own"], row["own_elements"]) == (
        "DeepSeek-V2",
        25_920_000,
        34_560_000,
    )


@pytest.mark.parametrize(
    "arguments",
    [("--arch", "GPT-5"), ("--context", "0"), ("--bits", "0"), ("--bits", "many")],
    ids=" ".join,
)
def test_a_usage_error_of_cache_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = run("cache", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")


def test_cache_names_the_models_it_knows() -> None:
    assert "there are GPT-2 small, " in run("cache", "--arch", "GPT-5").stderr


# --- latent, without a model ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name the model of this trace (made-up) with --model"),
        (("--layer", 2), "there is no layer 2; this model has 0 to 1"),
        (("--rank", 33), "a latent of layer 1 can have a rank of 1 to 32, not 33"),
        (
            ("--model", "missing.gguf"),
            "missing.gguf: there is no such file; name another with --model",
        ),
    ],
    ids=["source", "layer", "rank", "model"],
)
def test_a_latent_that_cannot_be_fitted_exits_with_1(
    tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace().save(file)
    before = file.read_bytes()
    result = run("latent", file, *arguments)
    assert result.exit_code == 1
    assert last_line(result) == f"Error: {message}"
    assert file.read_bytes() == before


def test_fitting_is_refused_for_a_model_trained_with_a_latent(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace(positions="rotary", mla=True).save(file)
    result = run("latent", file, "--model", "missing.gguf")
    assert result.exit_code == 1
    assert last_line(result) == (
        "Error: made-up model has latents of its own (multi-head latent attention): "
        "there is none to fit, and none is needed"
    )


def test_a_calibration_text_that_is_not_there_exits_with_2(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace().save(file)
    assert run("latent", file, "--calibration", tmp_path / "none.txt").exit_code == 2


# --- latent, with a tiny model --------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny model, as ``save_pretrained`` writes it."""
    pytest.importorskip("torch")
    pytest.importorskip("transformer_lens")
    from tests.support.extract_models import KINDS, TOKENIZER, tiny_model

    model_folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(KINDS["gpt2"][0]).save_pretrained(model_folder)
    TOKENIZER.save_pretrained(model_folder)
    return model_folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("The flag is red, white, and a long list of other colours. " * 20)
    return path


def test_extraction_fits_a_latent_to_the_featured_layer(
    folder: Path, tmp_path: Path, text: Path
) -> None:
    out = tmp_path / "trace.safetensors"
    result = run("--model", folder, "--layer", 0, "--calibration", text, "--out", out)
    assert result.exit_code == 0, result.output
    trace = Trace.load(out)
    assert list(trace.meta.latent or {}) == ["0"]
    report = latent_report(trace, 0)
    assert report.calibration.name == "words.txt"
    assert fitted_latent(trace, 0).W_DKV.shape == (32, report.rank)


def test_extraction_without_a_latent(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.safetensors"
    assert run("--model", folder, "--no-latent", "--out", out).exit_code == 0
    trace = Trace.load(out)
    assert trace.meta.latent is None
    assert not any(name.startswith("latent") for name in trace.tensors)


def test_extraction_goes_on_where_no_latent_can_be_fitted(folder: Path, tmp_path: Path) -> None:
    short, out = tmp_path / "short.txt", tmp_path / "trace.safetensors"
    short.write_text("Too short.")
    result = run("--model", folder, "--calibration", short, "--out", out)
    assert result.exit_code == 0
    assert "no latent is stored: " in result.stderr
    assert "are too few to fit a layer that is 32 wide" in result.stderr
    assert Trace.load(out).meta.latent is None


def test_a_latent_is_added_to_a_trace_and_its_errors_are_printed(
    folder: Path, tmp_path: Path, text: Path
) -> None:
    file = tmp_path / "trace.safetensors"
    layers = ("--layer", 1, "--layer", 0)
    run("--model", folder, *layers, "--calibration", text, "--out", file)
    options = ("--model", folder, "--calibration", text)
    result = run("latent", file, "--layer", 0, "--rank", 7, *options)
    assert result.exit_code == 0, result.output
    assert "Latents of layer 0" in result.stdout
    assert "> 7 " in result.stdout
    trace = Trace.load(file)
    assert sorted(trace.meta.latent or {}) == ["0", "1"]
    assert latent_report(trace, 0).rank == 7
    result = run("latent", file, *options)
    assert "Latents of layer 1" in result.stdout
    document = json.loads(run("latent", file, *options, "--layer", 0, "--rank", 5, "--json").stdout)
    trace = Trace.load(file)
    assert document == {"layer": 0, **(trace.meta.latent or {})["0"]}
    assert document["rank"] == 5


def test_a_latent_needs_the_model_of_the_trace(folder: Path, tmp_path: Path, text: Path) -> None:
    """The synthetic trace has the dimensions of the tiny model but other numbers."""
    file = tmp_path / "trace.safetensors"
    make_trace(n_tokens=4).save(file)
    result = run("latent", file, "--model", folder, "--calibration", text)
    assert result.exit_code == 1
    assert last_line(result).startswith("Error: this is not the model of the trace (made-up model)")
