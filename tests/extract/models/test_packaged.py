"""Test extraction from the packaged model, a real language model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import extract
from extract.latent.calibration import CALIBRATION_TEXT
from extract.models import loading
from extract.models.loading import DEFAULT_PROMPT, PACKAGED, LoadedModel
from extract.support.kept import kept_sizes, models_folder
from extract.trace import Trace
from tests.support.needed import skip_without

torch = pytest.importorskip("torch")
skip_without("transformer_lens")
pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def trace(packaged_model: LoadedModel) -> Trace:
    return extract.trace(
        packaged_model.model, packaged_model.tokenizer, DEFAULT_PROMPT, layers=(15, 29)
    )


def test_patterns_equal_the_unwrapped_models_eager_attention(
    packaged_model: LoadedModel, trace: Trace
) -> None:
    implementation = packaged_model.model.config._attn_implementation
    packaged_model.model.set_attn_implementation("eager")
    with torch.inference_mode():
        ids = torch.tensor([trace.meta.token_ids])
        attentions = packaged_model.model(ids, output_attentions=True).attentions
    packaged_model.model.set_attn_implementation(implementation)
    assert len(attentions) == trace.meta.n_layers == 30
    for layer, pattern in enumerate(attentions):
        np.testing.assert_allclose(trace.get("pattern", layer), pattern[0], atol=1e-5)


def test_generated_text_is_the_models_own(packaged_model: LoadedModel, trace: Trace) -> None:
    """Generation uses the model's cache, which fails once TransformerLens has wrapped the model."""
    prompt = torch.tensor([trace.meta.token_ids[: trace.meta.n_prompt]])
    ids = packaged_model.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4, do_sample=False
    )
    assert ids[0].tolist() == list(trace.meta.token_ids)
    assert trace.meta.tokens[10] == " blue"


def test_the_beginning_token_moves_the_prediction(
    packaged_model: LoadedModel, trace: Trace
) -> None:
    assert trace.meta.has_bos
    assert (trace.meta.n_prompt, trace.meta.tokens[0]) == (10, "<|im_start|>")
    assert trace["top_probs"][9, 0] == pytest.approx(0.69, abs=0.005)
    without = extract.trace(
        packaged_model.model, packaged_model.tokenizer, DEFAULT_PROMPT, bos=False
    )
    assert without.meta.n_prompt == 9
    assert "".join(without.meta.tokens[9:]) == " blue, with a"
    assert without.meta.top_tokens[8][0] == " blue"
    assert without["top_probs"][8, 0] == pytest.approx(0.73, abs=0.005)


def test_weights_of_several_layers(trace: Trace) -> None:
    assert trace.layers_with_weights() == (15, 29)
    assert trace.meta.featured.layer == 15
    for layer in (15, 29):
        keys = np.einsum("pd,dhc->phc", trace.get("x", layer), trace.weights("W_K", layer))
        np.testing.assert_allclose(keys, trace.get("k", layer), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "prompt", ["Hello there", "One two three four five six seven eight nine ten " * 2 + "one two"]
)
def test_other_prompts_pass_the_self_check(packaged_model: LoadedModel, prompt: str) -> None:
    trace = extract.trace(packaged_model.model, packaged_model.tokenizer, prompt, generate=1)
    assert max(trace.meta.self_check.values()) < 1e-5


# What is kept of it


def test_it_is_read_once_and_then_from_a_folder(
    packaged_model: LoadedModel,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # The fixture has read it, and kept it. What is damaged is a copy: others use it too.
    (made,) = (kept / models_folder().name).glob("gguf-*")
    copy = models_folder() / made.name
    shutil.copytree(made, copy, ignore=shutil.ignore_patterns(".lock"))
    read: list[bool] = []
    whole = loading._from_pretrained

    def from_pretrained(*arguments: Any, **options: Any) -> Any:
        read.append("gguf_file" in options)
        return whole(*arguments, **options)

    monkeypatch.setattr(loading, "_from_pretrained", from_pretrained)
    loaded = [loading.load_model(PACKAGED)]
    assert read == [False]
    (folder,) = kept_sizes()
    weights = folder / "model" / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1000] ^= 1
    weights.unlink()  # the model looks into the file that was there
    weights.write_bytes(damaged)
    loaded.append(loading.load_model(PACKAGED))
    assert read == [False, False, True]
    text = CALIBRATION_TEXT.read_text(encoding="utf-8")
    ids = packaged_model.tokenizer(text)["input_ids"]
    for one in loaded:
        assert one.digest == packaged_model.digest
        assert one.source == packaged_model.source
        assert one.tokenizer(text)["input_ids"] == ids
    for own, *others in zip(*(one.model.parameters() for one in loaded), strict=True):
        assert all(torch.equal(own, other) for other in others)
    # No bars of other libraries.
    assert capfd.readouterr().err == ""
