"""Test ``python -m extract convert``: its output, the trace that it writes, and its errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

torch = pytest.importorskip("torch")

from extract.__main__ import main  # noqa: E402
from extract.conversion import convert  # noqa: E402
from extract.trace import Trace  # noqa: E402
from extract.trace.contents.conversion_report import conversion_report  # noqa: E402
from extract.trace.proof.conversion import conversion_errors  # noqa: E402
from tests.extract.conversion.test_conversion import small_texts  # noqa: E402
from tests.support.conversions import tiny_llama  # noqa: E402
from tests.support.extract_models import TOKENIZER, _gpt2  # noqa: E402


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["convert", *(str(argument) for argument in arguments)])


def last_line(result: Result) -> str:
    return result.stderr.splitlines()[-1]


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return saved(tiny_llama(num_key_value_heads=2), folder)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "read_texts", lambda *arguments: small_texts())
    monkeypatch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))


def test_it_extracts_converts_and_stores(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    result = run("--model", model, "--out", file, "--rotated", 4, "--rank", 9)
    assert result.exit_code == 0, result.stderr
    for words in ("MQA, fitted", "(a) latent", "(b) MLA", "4 + 9", "At 48 tokens"):
        assert words in result.stdout
    report = conversion_report(Trace.load(file))
    assert (report.rotated, report.rank, report.healed) == (4, 9, None)

    # Again, with the trace that is there, healed and as JSON.
    result = run("--model", model, "--out", file, "--heal", 0.002, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    again = Trace.load(file)
    assert conversion_report(again).healed is not None
    assert max(conversion_errors(again).values()) < 1e-4
    assert document["absorbed"] < 1e-5
    fields = {"way", "numbers", "rotated", "rank", "perplexity", "agreement", "kl"}
    fields |= {"next_word_probability", "continuation"}
    assert fields <= document["ladder"][0].keys()
    assert {row["way"] for row in document["ladder"]} == {
        "model",
        "mqa",
        "mqa_fitted",
        "latent_then_rotate",
        "mla",
    }


def test_errors_are_one_line(model: Path, tmp_path: Path) -> None:
    gpt2 = saved(_gpt2(), tmp_path / "gpt2")
    file = tmp_path / "none" / "tiny.safetensors"
    for arguments, words in (
        (("--model", gpt2), "no rotary positions"),
        (("--model", model, "--rotated", 5), "--rotated"),
        (("--model", model, "--rank", 0), "--rank"),
        (("--model", tmp_path / "nothing"), "no such folder"),
    ):
        result = run(*arguments, "--out", file)
        assert result.exit_code == 1
        assert words in last_line(result)
        assert last_line(result).startswith("Error: ")
        assert not file.exists()
    for arguments in (("--heal", "-1"), ("--tokens", "0"), ("--rank", "many")):
        assert run(*arguments).exit_code == 2


def test_a_trace_of_a_folder_needs_its_model(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    made = CliRunner().invoke(
        main, ["--model", str(model), "--out", str(file), "--no-latent", "--generate", "1"]
    )
    assert made.exit_code == 0, made.stderr
    before = file.read_bytes()
    result = run("--out", file)
    assert result.exit_code == 1
    assert "--model" in last_line(result)
    assert file.read_bytes() == before
