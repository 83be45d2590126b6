"""Which models are on this machine: the packaged one, and decoders in the cache of the hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extract.models import at_hand, loading
from extract.models.loading import PACKAGED

constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "a" * 40


def download(cache: Path, name: str, architecture: object, *files: str) -> Path:
    """Put a model where the client of the hub puts it; return the folder of its files."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    (snapshot / "config.json").write_text(json.dumps({"architectures": architecture}))
    for file in files:
        (snapshot / file).touch()
    return snapshot


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(loading, "_PACKAGE", "no_such_package")
    monkeypatch.setattr(at_hand, "not_installed", lambda: "")
    return tmp_path


def test_decoders_with_their_weights_are_found(cache: Path) -> None:
    assert at_hand.models_at_hand() == []
    weights = "model.safetensors"
    download(cache, "gpt2", ["GPT2LMHeadModel"], "pytorch_model.bin")
    download(cache, "Org/My-Llama_2", ["LlamaForCausalLM"], weights)
    download(cache, "Org/encoder", ["BertModel"], weights)
    download(cache, "Org/config-only", ["LlamaForCausalLM"])
    download(cache, "Org/odd", "LlamaForCausalLM", weights)
    download(cache, "Org/torn", ["LlamaForCausalLM"], weights).joinpath("config.json").write_text(
        "{"
    )
    download(cache, "a--b--c", ["LlamaForCausalLM"], weights)
    (cache / "models--Org--unfinished").mkdir()
    (cache / "models--..--..").mkdir()
    assert at_hand.models_at_hand() == ["Org/My-Llama_2", "gpt2"]


def test_the_packaged_model_comes_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download(cache, "gpt2", ["GPT2LMHeadModel"], "model.safetensors")
    monkeypatch.setattr(at_hand, "packaged_file", lambda: cache)
    assert at_hand.models_at_hand() == [PACKAGED, "gpt2"]


def test_none_can_be_run_without_the_libraries(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download(cache, "gpt2", ["GPT2LMHeadModel"], "model.safetensors")
    monkeypatch.setattr(at_hand, "not_installed", lambda: "torch not installed")
    assert at_hand.models_at_hand() == []
