"""Test that calibration sums the inputs of a layer, in passages that start as the prompt does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extract.attention.low_rank import KeyValueWeights, activation_basis, balance_of, weight_basis
from extract.errors import ExtractError
from extract.latent.calibration import CALIBRATION_TEXT, FITTED_FRACTION, PASSAGE_TOKENS, calibrate
from extract.latent.fit import Calibration
from extract.models.loading import LoadedModel
from extract.support.kept import FOLDER_VARIABLE, kept_sizes
from extract.trace import ModelSource, Trace
from tests.support.checkout import SHIPPED
from tests.support.needed import skip_without

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
skip_without("transformer_lens")

BOS = 0


class ByteTokenizer:
    """Tokenizer with one token per byte."""

    bos_token_id = eos_token_id = BOS

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": list(text.encode())}

    def decode(self, ids: list[int], clean_up_tokenization_spaces: bool) -> str:
        return chr(ids[0])

    def convert_ids_to_tokens(self, token: int) -> str:
        return chr(token)


def tiny_gpt2(seed: int = 0, n_positions: int = 64) -> Any:
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        n_embd=8, n_head=2, n_layer=3, n_positions=n_positions, vocab_size=256
    )
    return transformers.GPT2LMHeadModel(config)


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_gpt2()


@pytest.fixture(scope="module")
def trace_of(model: Any) -> Callable[[bool], Trace]:
    from extract.models.capture import trace_model

    def make(bos: bool) -> Trace:
        return trace_model(model, ByteTokenizer(), "A flag", generate=2, bos=bos)

    return make


def byte_model(model: Any) -> LoadedModel:
    return LoadedModel(model, ByteTokenizer(), "tiny", ModelSource("memory", "tiny"))


def write_text_file(folder: Path, text: str) -> Path:
    path = folder / "words.txt"
    path.write_text(text)
    return path


def layer_inputs(model: Any, layer: int, passages: list[list[int]]) -> np.ndarray:
    """Return the inputs of a layer's attention, recorded by a hook on the model itself."""
    inputs: list[np.ndarray] = []

    def record(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        inputs.append(hidden[0].detach().numpy().astype(np.float64))

    attention = model.transformer.h[layer].attn
    handle = attention.register_forward_pre_hook(record, with_kwargs=True)
    for passage in passages:
        model.eval()(torch.tensor([passage]))
    handle.remove()
    return np.concatenate(inputs)


@pytest.mark.parametrize("bos", [True, False])
def test_the_inputs_of_the_layer_are_summed(
    tmp_path: Path, model: Any, trace_of: Callable[[bool], Trace], bos: bool
) -> None:
    text = "It is a flag. " * 45 + "The end, at last!"
    ids = list(text.encode())
    n_fitted = int(FITTED_FRACTION * len(ids))
    calibration = calibrate(trace_of(bos), byte_model(model), 1, write_text_file(tmp_path, text))
    parts = {"fitted": ids[:n_fitted], "held_out": ids[n_fitted:]}
    for name, part in parts.items():
        passages = [
            [BOS] * bos + part[start : start + PASSAGE_TOKENS]
            for start in range(0, len(part), PASSAGE_TOKENS)
        ]
        assert len(passages[-1]) < len(passages[0])  # the last passage is cut short
        x = layer_inputs(model, 1, passages)
        moments = getattr(calibration, name)
        assert moments.count == getattr(calibration.text, f"n_{name}") == len(x)
        np.testing.assert_allclose(moments.total, x.sum(axis=0), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(moments.gram, x.T @ x, rtol=1e-4, atol=1e-3)
    assert calibration.text.name == "words.txt"
    assert len(calibration.text.sha256) == 64
    assert calibration.text.n_passage == PASSAGE_TOKENS


def test_what_was_summed_is_not_summed_again(
    tmp_path: Path,
    model: Any,
    trace_of: Callable[[bool], Trace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace, text = trace_of(True), write_text_file(tmp_path, "It is a flag. " * 45)
    made = [calibrate(trace, byte_model(model), layer, text) for layer in (0, 2)]
    (folder,) = kept_sizes()
    tasks: list[str] = []
    for layer, first in zip((0, 2), made, strict=True):
        again = calibrate(
            trace, byte_model(model), layer, text, lambda task, *_: tasks.append(task)
        )
        for part in ("fitted", "held_out"):
            one, other = getattr(first, part), getattr(again, part)
            assert one.count == other.count
            np.testing.assert_array_equal(one.total, other.total)
            np.testing.assert_array_equal(one.gram, other.gram)
    assert tasks == []
    # Another text, another model, another beginning, and a piece that is damaged.
    calibrate(trace, byte_model(model), 0, write_text_file(tmp_path, "A flag. " * 45))
    calibrate(trace_of(False), byte_model(model), 0, text)
    assert len(kept_sizes()) == 3
    text = write_text_file(tmp_path, "It is a flag. " * 45)
    piece = folder / "0.npz"
    piece.write_bytes(piece.read_bytes()[:-200])
    again = calibrate(trace, byte_model(model), 0, text)
    np.testing.assert_array_equal(again.fitted.gram, made[0].fitted.gram)


def test_nothing_is_kept_where_nothing_can_be_written(
    tmp_path: Path,
    model: Any,
    trace_of: Callable[[bool], Trace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file"))
    text = write_text_file(tmp_path, "It is a flag. " * 45)
    assert calibrate(trace_of(True), byte_model(model), 0, text).fitted.count
    assert kept_sizes() == {}


def test_a_text_of_whole_passages_has_no_empty_one(
    tmp_path: Path, model: Any, trace_of: Callable[[bool], Trace]
) -> None:
    text = write_text_file(tmp_path, "x" * (10 * PASSAGE_TOKENS))
    calibration = calibrate(trace_of(False), byte_model(model), 0, text)
    assert (calibration.fitted.count, calibration.held_out.count) == (
        8 * PASSAGE_TOKENS,
        2 * PASSAGE_TOKENS,
    )


def test_progress_is_reported_to_the_end(
    tmp_path: Path, model: Any, trace_of: Callable[[bool], Trace]
) -> None:
    calls: list[tuple[int, int]] = []
    text = write_text_file(tmp_path, "x" * (20 * PASSAGE_TOKENS + 1))
    calibrate(
        trace_of(True),
        byte_model(model),
        0,
        text,
        lambda task, done, total: calls.append((done, total)),
    )
    assert [done for done, _ in calls] == list(range(len(calls)))
    assert calls[-1][0] == calls[-1][1] == calls[0][1]


def test_another_model_is_refused(tmp_path: Path, trace_of: Callable[[bool], Trace]) -> None:
    text = write_text_file(tmp_path, "x" * 100)
    with pytest.raises(ExtractError, match="not the model of the trace"):
        calibrate(trace_of(True), byte_model(tiny_gpt2(seed=1)), 0, text)


def test_a_text_shorter_than_the_layer_is_wide_is_refused(
    tmp_path: Path, model: Any, trace_of: Callable[[bool], Trace]
) -> None:
    text = write_text_file(tmp_path, "x" * 9)
    with pytest.raises(ExtractError, match=r"9 tokens are too few.*at least 10 tokens"):
        calibrate(trace_of(True), byte_model(model), 0, text)
    calibrate(trace_of(True), byte_model(model), 0, write_text_file(tmp_path, "x" * 10))


def test_an_unreadable_text_is_refused(
    tmp_path: Path, model: Any, trace_of: Callable[[bool], Trace]
) -> None:
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\xfa")
    for path in (binary, tmp_path / "missing.txt"):
        with pytest.raises(ExtractError, match=f"{path.name}: the calibration text cannot be read"):
            calibrate(trace_of(True), byte_model(model), 0, path)


def test_passages_fit_a_model_with_few_positions(tmp_path: Path) -> None:
    from extract.models.capture import trace_model

    model = tiny_gpt2(n_positions=10)
    trace = trace_model(model, ByteTokenizer(), "A flag", generate=0, bos=True)
    calibration = calibrate(trace, byte_model(model), 0, write_text_file(tmp_path, "x" * 100))
    assert calibration.text.n_passage == 9
    assert calibration.fitted.count == 80 + 9  # nine passages, each with a first token


# --- The packaged model ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packaged(packaged_model: LoadedModel) -> tuple[KeyValueWeights, Calibration]:
    """Return weights and calibration of layer 15 of the packaged model."""
    shipped = Trace.load(SHIPPED)
    attention = packaged_model.model.model.layers[15].self_attn
    weights = KeyValueWeights(
        *(
            projection.weight.detach().double().numpy().T.reshape(576, 3, 64)
            for projection in (attention.k_proj, attention.v_proj)
        )
    )
    return weights, calibrate(shipped, packaged_model, 15)


@pytest.mark.slow
@pytest.mark.model
def test_the_fit_is_better_than_weight_svd_on_held_out_text(
    packaged: tuple[KeyValueWeights, Calibration],
) -> None:
    weights, calibration = packaged
    gram, held_out = calibration.fitted.gram, calibration.held_out.gram
    for balance, expected_fit, expected_svd in (
        (np.ones(384), 0.195, 0.381),
        (balance_of(weights, gram), 0.311, 0.692),
    ):
        fit_error = activation_basis(weights, gram, balance).errors(96, held_out).balanced
        svd_error = weight_basis(weights, balance).errors(96, held_out).balanced
        assert fit_error == pytest.approx(expected_fit, abs=0.01)
        assert svd_error == pytest.approx(expected_svd, abs=0.01)


@pytest.mark.slow
@pytest.mark.model
def test_the_calibration_text_is_long_enough_for_gpt2(
    packaged: tuple[KeyValueWeights, Calibration],
) -> None:
    _, calibration = packaged
    assert calibration.text.name == CALIBRATION_TEXT.name
    assert calibration.text.n_fitted > 5 * 768
    assert calibration.text.n_fitted == pytest.approx(4 * calibration.text.n_held_out, rel=0.01)
