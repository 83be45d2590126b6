"""A model whose weights are not its own is refused; random weights are said to be random."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from extract import __main__ as command
from extract.__main__ import main
from extract.errors import ExtractError
from extract.models import loading
from extract.models.loading import load_model
from extract.trace import Trace
from tests.support.needed import skip_without

torch = pytest.importorskip("torch")
skip_without("transformer_lens")

from safetensors.torch import load_file, save_file  # noqa: E402

from tests.support.extract_models import KINDS, TOKENIZER, tiny_gguf, tiny_model  # noqa: E402

Weights = dict[str, Any]
WEIGHTS = "model.safetensors"
NOT_ITS_OWN = "its weights are not those of its configuration: "
ADVICE = "; get the files that belong together, or trace random numbers with --random-weights"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny GPT-2."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(KINDS["gpt2"][0]).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "tiny"))


def change_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["--no-latent", *map(str, arguments)])


def refusal(folder: Path) -> str:
    """Extract from a folder and return the one error line, without the folder's name."""
    out = folder.parent / "out" / "trace.safetensors"
    result = run("--model", folder, "--out", out)
    assert result.exit_code == 1, result.output
    assert not out.exists()
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"Error: {folder}: ")
    return line.removeprefix(f"Error: {folder}: ")


# --- Missing, unexpected and re-initialised weights -----------------------------------------------


def test_weights_of_other_names_are_missing(folder: Path) -> None:
    change_weights(folder, lambda weights: {f"ema.{name}": weights[name] for name in weights})
    message = refusal(folder)
    assert message.startswith(
        f"{NOT_ITS_OWN}29 missing (lm_head.weight, transformer.h.0.attn.c_attn.bias, "
        "transformer.h.0.attn.c_attn.weight, ...), 26 that have no place in it (ema.transformer."
    )
    assert message.endswith(ADVICE)


def test_more_layers_than_weights(folder: Path) -> None:
    change_config(folder, n_layer=4)
    assert refusal(folder) == (
        f"{NOT_ITS_OWN}24 missing (transformer.h.2.attn.c_attn.bias, "
        "transformer.h.2.attn.c_attn.weight, transformer.h.2.attn.c_proj.bias, ...)" + ADVICE
    )


def test_fewer_layers_than_weights(folder: Path) -> None:
    change_config(folder, n_layer=1)
    assert refusal(folder).startswith(f"{NOT_ITS_OWN}11 that have no place in it (transformer.h.1.")


def test_one_weight_is_missing(folder: Path) -> None:
    name = "transformer.h.1.attn.c_proj.weight"
    change_weights(folder, lambda weights: {n: w for n, w in weights.items() if n != name})
    assert refusal(folder) == f"{NOT_ITS_OWN}1 missing ({name}){ADVICE}"


@pytest.mark.parametrize("changes", [{"n_layer": 1000}, {"n_embd": 4096, "n_layer": 40}])
def test_far_more_weights_than_the_files_hold(
    folder: Path, changes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused before any memory is taken for them."""
    change_config(folder, **changes)
    if changes["n_layer"] == 1000:
        monkeypatch.setattr(loading, "_FEW_WEIGHTS", 100_000)
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", None)
    message = refusal(folder)
    assert message.startswith("its configuration is that of a model of ")
    assert message.endswith(f" weights, and its files are too small to hold them{ADVICE}")


def test_a_configuration_with_a_word_for_a_number(folder: Path) -> None:
    change_config(folder, n_head="x")
    assert refusal(folder) == (
        "it cannot be loaded: Validation error for field 'n_head': TypeError: Field 'n_head' "
        "expected int, got str (value: 'x')"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memo"
            "ry: you tried to allocate 28000000000 bytes. Error code 12"
        ),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_while_a_model_is_loaded(
    folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", fail)
    expected = "it cannot be loaded: there is not enough memory; name a smaller model"
    assert refusal(folder) == expected


def test_weights_of_another_size(folder: Path) -> None:
    change_config(folder, vocab_size=400)
    assert refusal(folder) == f"{NOT_ITS_OWN}1 of another size (transformer.wte.weight){ADVICE}"


def test_an_output_that_is_not_tied_needs_its_weights(folder: Path) -> None:
    change_config(folder, tie_word_embeddings=False)
    assert refusal(folder) == f"{NOT_ITS_OWN}1 missing (lm_head.weight){ADVICE}"


def test_no_weights_at_all(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert refusal(folder).startswith("it cannot be loaded: ")


def test_tied_weights_masks_and_names_without_prefix_are_fine(folder: Path) -> None:
    """As in the files of GPT-2 and of its descendants on the hub."""

    def older(weights: Weights) -> Weights:
        plain = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
        assert "lm_head.weight" not in plain
        return plain | {
            "h.0.attn.bias": torch.ones(1, 1, 8, 8),
            "h.0.attn.masked_bias": torch.tensor(-1e4),
        }

    change_weights(folder, older)
    assert not load_model(str(folder)).random_weights


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_layer", 10**6, "1,000,000 as 'num_hidden_layers', and at most 1,000 can be traced"),
        ("n_head", 10**6, "1,000,000 as 'num_attention_heads', and at most 1,000 can be traced"),
        ("n_embd", 10**9, "1,000,000,000 as 'hidden_size', and at most 100,000 can be traced"),
        ("n_inner", 10**9, "1,000,000,000 as 'n_inner', and at most 100,000 can be traced"),
        ("vocab_size", 10**9, "1,000,000,000 as 'vocab_size', and at most 10,000,000 can be"),
        ("n_positions", 10**9, "1,000,000,000 as 'max_position_embeddings', and at most 100"),
    ],
)
def test_a_configuration_of_impossible_sizes_is_refused_at_once(
    name: str, value: int, message: str, folder: Path
) -> None:
    change_config(folder, **{name: value})
    assert refusal(folder).startswith(f"its configuration has {message}")


# --- .gguf files ----------------------------------------------------------------------------------


def test_a_gguf_file_with_all_weights(tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "tiny.gguf")
    loaded = load_model(str(file))
    assert loaded.model.config.num_hidden_layers == 2
    assert not loaded.random_weights


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"claims": 3},
            "9 missing (model.layers.2.input_layernorm.weight, "
            "model.layers.2.mlp.down_proj.weight, model.layers.2.mlp.gate_proj.weight, ...)",
        ),
        ({"claims": 1}, "9 that have no place in it (blk.1.attn_k.weight, "),
        ({"without": "blk.0.attn_q.weight"}, "1 missing (model.layers.0.self_attn.q_proj.weight)"),
        ({"extra": "blk.0.attn_sinks.weight"}, "1 that have no place in it (blk.0.attn_sinks.wei"),
        ({"prefix": "ema."}, "21 missing (lm_head.weight, "),
    ],
    ids=["more layers", "fewer layers", "one missing", "one more", "prefix"],
)
def test_a_gguf_file_with_other_weights(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = tiny_gguf(tmp_path / "tiny.gguf", **options)
    with pytest.raises(ExtractError) as refused:
        load_model(str(file))
    assert str(refused.value).startswith(f"tiny.gguf: {NOT_ITS_OWN}{message}")
    unread = options.get("claims") == 1 or "extra" in options or "prefix" in options
    assert ("have no place in it" in str(refused.value)) == unread


# --- Random weights, when asked for ---------------------------------------------------------------


def test_random_weights_are_said_to_be_random(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    out = folder.parent / "trace.safetensors"
    result = run("--model", folder, "--random-weights", "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{out}: tiny, random weights, 14 tokens, ")
    meta = Trace.load(out).meta
    assert meta.random_weights
    assert (meta.model, meta.source.kind, meta.source.sha256) == ("tiny", "folder", "")
    facts = CliRunner().invoke(main, ["info", str(out)]).stdout
    assert "tiny, random weights" in facts


def test_random_weights_do_not_replace_a_trace_of_the_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "traces_folder", lambda: tmp_path / "traces")
    for options, name in (([], "tiny"), (["--random-weights"], "tiny-random-weights")):
        result = run("--model", folder, *options)
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith(f"{tmp_path}/traces/{name}.safetensors: tiny")
    assert not Trace.load(tmp_path / "traces" / "tiny.safetensors").meta.random_weights


def test_random_weights_take_nothing_from_the_file(folder: Path) -> None:
    own = load_model(str(folder)).model.state_dict()
    state = torch.random.get_rng_state()
    random = load_model(str(folder), random_weights=True)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    again = load_model(str(folder), random_weights=True)
    assert random.random_weights
    weights = random.model.state_dict()
    name = "transformer.h.0.attn.c_attn.weight"
    assert not np.allclose(weights[name], own[name])
    for key, weight in again.model.state_dict().items():
        assert torch.equal(weight, weights[key]), "always the same ones"


def test_random_weights_of_a_gguf_file(tmp_path: Path) -> None:
    loaded = load_model(str(tiny_gguf(tmp_path / "tiny.gguf")), random_weights=True)
    assert loaded.random_weights
    assert loaded.source.sha256 == ""


def test_real_weights_are_not_said_to_be_random(folder: Path) -> None:
    out = folder.parent / "trace.safetensors"
    result = run("--model", folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert "random" not in result.stdout
    assert not Trace.load(out).meta.random_weights


def test_a_latent_is_fitted_to_the_same_random_weights(folder: Path) -> None:
    text = folder.parent / "words.txt"
    text.write_text("The flag is red, white, and a long list of other colours. " * 20)
    out = folder.parent / "trace.safetensors"
    run("--model", folder, "--random-weights", "--out", out)
    arguments = ["latent", str(out), "--model", str(folder), "--calibration", str(text)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert Trace.load(out).meta.latent
