"""A whole model is converted, measured, healed and stored, and the run can be stopped."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import extract

torch = pytest.importorskip("torch")

from extract.commands.conversion_table import conversion_table  # noqa: E402
from extract.conversion import healing  # noqa: E402
from extract.conversion.convert import Settings, convert  # noqa: E402
from extract.conversion.evaluation import (  # noqa: E402
    Judge,
    Size,
    compare_on_windows,
    ladder_sizes,
)
from extract.conversion.fits import (  # noqa: E402
    MQA,
    AttentionLayer,
    LayerFit,
    MLALayer,
    attend,
    mqa_mean,
    pattern,
)
from extract.conversion.healing import heal_layer, unit_latent  # noqa: E402
from extract.conversion.model import (  # noqa: E402
    LayerStream,
    Replacement,
    attention_layers,
    attention_replaced,
    gather_statistics,
    run,
)
from extract.conversion.prompt import read_prompt  # noqa: E402
from extract.conversion.text import ConversionText, read_texts  # noqa: E402
from extract.errors import ExtractError, TraceError, UnsupportedModelError  # noqa: E402
from extract.models.module_hooks import layer_inputs  # noqa: E402
from extract.support.kept import FOLDER_VARIABLE, kept_sizes  # noqa: E402
from extract.trace import Trace  # noqa: E402
from extract.trace.contents.conversion_names import CONVERSION_PREFIXES  # noqa: E402
from extract.trace.contents.conversion_report import (  # noqa: E402
    CONTINUATION,
    ConversionReport,
    Row,
    at_equal_size,
    conversion_report,
)
from extract.trace.proof.conversion import conversion_errors  # noqa: E402
from tests.support.conversions import loaded, tiny_llama, traced  # noqa: E402
from tests.support.extract_models import TOKENIZER, _gpt2  # noqa: E402

HEADS = [(4, 4), (4, 2), (4, 1), (6, 3)]
TOKENS = 64 * 8


def model_of(heads: tuple[int, int], kind: str = "Llama", **changes: Any) -> Any:
    sizes = {
        "hidden_size": 8 * heads[0],
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
    }
    return tiny_llama(kind, **sizes | {"head_dim": 8} | changes)


def some_tokens(n: int, batch: int = 1, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, len(TOKENIZER), (batch, n), generator=generator)


def run_watched(model: Any, ids: Any, layers: Any) -> tuple[Any, list[Any]]:
    """Return the logits of a model with these layers; of each its input, projections and output."""
    seen: list[Any] = []
    modules = {
        n: Replacement(layer, lambda *what: seen.append(what)) for n, layer in enumerate(layers)
    }
    with torch.inference_mode(), attention_replaced(model, modules):
        return model(input_ids=ids, use_cache=False).logits, seen


def mla(layer: AttentionLayer, known: Any, rotated: int, rank: int) -> MLALayer:
    exact = layer.to(torch.float64)
    fit = LayerFit.of(exact, known, {str(rotated): rank})
    return fit.mla(exact, rotated, rank).to(torch.float32)


def small_texts() -> ConversionText:
    """Random tokens in place of the texts."""
    start = TOKENIZER.bos_token_id

    def windows(count: int, length: int, seed: int) -> Any:
        drawn = some_tokens(length, count, seed)
        drawn[:, 0] = start
        return drawn

    return ConversionText(
        fitted=windows(12, 48, 1),
        validation=windows(2, 48, 2),
        long=windows(2, 48, 3),
        held_out=windows(5, 16, 4),
        second=windows(2, 16, 5),
        passages=windows(12, 16, 8),
        sha256="0" * 64,
    )


@pytest.fixture(scope="module")
def model() -> Any:
    return model_of((4, 2))


@pytest.fixture(scope="module")
def trace(model: Any) -> Trace:
    return traced(model)


@pytest.fixture(scope="module")
def converted(model: Any, trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    folder = tmp_path_factory.mktemp("pieces")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        return convert(trace, loaded(model), Settings(heal_minutes=0.005), text=small_texts())


# --- Models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Llama", "Mistral", "Qwen2"])
@pytest.mark.parametrize("heads", HEADS)
def test_a_model_with_its_own_layers_is_itself(heads: tuple[int, int], kind: str) -> None:
    # A window as long as the windows of the fit changes nothing.
    changes = {"sliding_window": 4096} if kind == "Mistral" else {}
    model, ids = model_of(heads, kind, **changes), some_tokens(30, 2)
    with torch.inference_mode():
        own = model(input_ids=ids).logits
    torch.testing.assert_close(run(model, ids, attention_layers(model)), own, atol=1e-5, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(model(input_ids=ids).logits, own, atol=0, rtol=0)


def test_other_models_are_refused_in_one_line() -> None:
    for model, what in (
        (_gpt2(), "no rotary positions"),
        (model_of((4, 2), "Qwen3"), "q_norm"),
        (model_of((4, 2), "Mistral", sliding_window=8), "a window back"),
        (
            model_of(
                (4, 2),
                rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
            ),
            "'dynamic'",
        ),
    ):
        with pytest.raises(UnsupportedModelError, match=what) as caught:
            attention_layers(model)
        assert "--model" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_stream_gives_every_layer_its_own_inputs(model: Any, tmp_path: Path) -> None:
    ids, layers = some_tokens(20, 3), attention_layers(model)
    whole = layer_inputs(model, ids)
    file = tmp_path / "stream.pt"
    for number in range(len(layers)):
        # Stopped after each layer, and gone on with; or begun anew, and taken there.
        for stream in (
            LayerStream.restart(model, layers, ids, file),
            LayerStream.start(model, layers, ids),
        ):
            inputs: list[Any] = []
            stream.through(number, lambda x, projected, out, inputs=inputs: inputs.append(x))
            torch.testing.assert_close(torch.cat(inputs), whole[number], atol=1e-5, rtol=1e-4)
            assert stream.number == number + 1
        stream.keep(file)


def test_statistics_are_those_of_the_patterns(model: Any, tmp_path: Path) -> None:
    """Against plain sums over the patterns that the model computes."""
    ids, layers = some_tokens(20, 3), attention_layers(model)
    inputs, known = layer_inputs(model, ids), gather_statistics(model, layers, ids, tmp_path)
    for layer, x, found in zip(layers, inputs, known, strict=True):
        projected = layer.project(x)
        q, weights = projected.q, pattern(projected, layer.scale)
        gram, total, weight_sum, distances = 0.0, 0.0, 0.0, np.zeros(20)
        for i in range(3):
            received = weights[i].mean(0).sum(0)
            weight = 0.5 + 0.5 * received / received.mean()
            for t in range(20):
                gram = gram + weight[t] * torch.outer(x[i, t], x[i, t])
                total = total + weight[t] * x[i, t]
                for key in range(t + 1):
                    distances[t - key] += float(weights[i].mean(0)[t, key]) / 60
            weight_sum += float(weight.sum())
        torch.testing.assert_close(found.gram.float(), gram / weight_sum, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.mean.float(), total / weight_sum, atol=1e-4, rtol=1e-4)
        uniform = np.arange(20, 0, -1) / np.arange(21).sum()
        np.testing.assert_allclose(found.distances, (distances + uniform) / 2, atol=1e-6)
        squares = q.square().mean(dim=(0, 2))
        torch.testing.assert_close(
            found.query_energy.float(), squares[:, :4] + squares[:, 4:], atol=1e-4, rtol=1e-4
        )


# --- Exactness and measures -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Llama", "Qwen2"])
@pytest.mark.parametrize("heads", HEADS)
def test_nothing_dropped_is_the_model_itself(
    heads: tuple[int, int], kind: str, tmp_path: Path
) -> None:
    model = model_of(heads, kind)
    layers = attention_layers(model)
    known = gather_statistics(model, layers, some_tokens(32, 4), tmp_path)
    ids, whole = some_tokens(30, seed=5), 8 * heads[1]
    own, rank = run(model, ids, layers), min(8 * heads[0], whole)
    made = [mla(*pair, whole, rank) for pair in zip(layers, known, strict=True)]
    assert float((run(model, ids, made) - own).abs().max() / own.abs().max()) < 1e-4


def test_the_judge_agrees_with_plain_sums(model: Any) -> None:
    layers, text = attention_layers(model), some_tokens(16, 6)
    judge = Judge(model, layers, text)
    own = judge.result(layers)
    assert own.agreement == 1.0
    assert own.kl < 1e-6
    mean = [mqa_mean(layer) for layer in layers]
    result = judge.result(mean)
    losses, agreed, kls = [], [], []
    for ids in text:
        p = run(model, ids[None], layers)[0].softmax(-1)
        q = run(model, ids[None], mean)[0].softmax(-1)
        for t in range(15):
            losses.append(-float(q[t, ids[t + 1]].log()))
            agreed.append(bool(p[t].argmax() == q[t].argmax()))
            kls.append(float((p[t] * (p[t] / q[t]).log()).sum()))
    assert result.perplexity == pytest.approx(np.exp(np.mean(losses)), rel=1e-4)
    assert result.agreement == pytest.approx(np.mean(agreed))
    assert result.kl == pytest.approx(np.mean(kls), rel=1e-3)
    long = compare_on_windows(model, layers, [mean], text, 0)
    assert long[1].perplexity == pytest.approx(result.perplexity, rel=1e-5)
    assert compare_on_windows(model, layers, [mean], text, 8)[1] != long[1]


@pytest.mark.parametrize("at_a_time", [4096, 20])
def test_models_that_read_together_read_as_each_alone(
    model: Any, at_a_time: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against one model after the other, every token read again for each word that it says."""
    monkeypatch.setattr("extract.conversion.prompt._TOKENS", at_a_time)
    layers, prompt = attention_layers(model), some_tokens(9, seed=3)[0].tolist()
    known = gather_statistics(model, layers, some_tokens(32, 4), tmp_path)
    converted = [mla(*pair, 4, 6) for pair in zip(layers, known, strict=True)]
    models: list[Any] = [layers, [mqa_mean(layer) for layer in layers], converted]
    seen: dict[tuple[int, int], Any] = {}

    def watch(row: int, number: int, x: Any, projected: Any, weights: Any, out: Any) -> None:
        seen[row, number] = (x, projected, weights, out)

    results = read_prompt(model, TOKENIZER, prompt, 7, models, watch)
    own: list[Any] = []
    for row, (made, result) in enumerate(zip(models, results, strict=True)):
        logits, alone = run_watched(model, torch.tensor([prompt]), made)
        patterns = [
            pattern(projected, layer.scale)[0]
            for (_, projected, _), layer in zip(alone, made, strict=True)
        ]
        for n, (x, _, out) in enumerate(alone):
            torch.testing.assert_close(seen[row, n][0], x)
            torch.testing.assert_close(seen[row, n][3], out)
        own = own or patterns
        likeliest = int(run(model, torch.tensor([prompt]), layers)[0, 6].argmax())
        chance = float(logits[0, 6].softmax(-1)[likeliest])
        assert result.next_word_probability == pytest.approx(chance, rel=1e-4)
        for n, (new, old) in enumerate(zip(patterns, own, strict=True)):
            torch.testing.assert_close(seen[row, n][2][0], new)
            moved = float(0.5 * (new - old)[:, 1:7].abs().sum(-1).mean())
            assert result.moved_by_layer[n] == pytest.approx(moved, abs=1e-6)
        ids = list(prompt[:7])
        for _ in range(CONTINUATION):
            ids.append(int(run(model, torch.tensor([ids]), made)[0, -1].argmax()))
        said = TOKENIZER.decode(ids[7:], clean_up_tokenization_spaces=False)
        assert result.continuation == said
    assert results[0].moved == 0.0
    assert len({result.continuation for result in results}) > 1


def test_the_ladder_of_the_packaged_model() -> None:
    sizes = [(size.rotated, size.rank) for size in ladder_sizes(384, 3)]
    assert sizes == [
        (4, 12),
        (8, 24),
        (16, 32),
        (16, 48),
        (32, 64),
        (32, 96),
        (32, 128),
        (64, 128),
    ]


@pytest.mark.parametrize("n_sets", [1, 2, 3, 4, 8, 32])
@pytest.mark.parametrize("quick", [True, False])
def test_the_size_of_one_shared_set_is_on_every_ladder(n_sets: int, quick: bool) -> None:
    sizes = ladder_sizes(128 * n_sets, n_sets, quick=quick)
    assert Size(32, 96) in sizes
    assert len(ladder_sizes(384, 3, quick=True)) == 4


# --- Healing --------------------------------------------------------------------------------------


def test_healing_brings_a_layer_closer_to_the_original(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, layers = some_tokens(32, 60), attention_layers(model)
    layer = layers[0]
    (known, *_) = gather_statistics(model, layers, ids, tmp_path)
    made = mla(layer, known, 4, 4)
    unit = unit_latent(made, known.gram)
    x, out = (tensor.clone() for tensor in run_watched(model, ids, layers)[1][0][::2])
    c = (x @ unit.W_DKV).square().mean()
    assert 0.3 < float(c) < 3
    same = unit.output(attend(unit.project(x), unit.scale))
    own = made.output(attend(made.project(x), made.scale))
    torch.testing.assert_close(same, own, atol=1e-4, rtol=1e-3)
    # As a machine heals that does a hundred steps in a second.
    monkeypatch.setattr(healing, "_computing_time", count(0.0, 0.01).__next__)
    healed, report = heal_layer(unit, x, out, 10, seconds=1.0, seed=0)
    assert 90 < report.steps <= 100
    assert report.after < 0.96 * report.before

    def lost(one: Any) -> float:
        made_out = one.output(attend(one.project(x[50:]), one.scale))
        return float((made_out - out[50:]).square().sum() / out[50:].square().sum())

    # All keys and queries were looked at, so the report is what the healed layer loses.
    assert lost(healed) == pytest.approx(report.after, rel=1e-3)
    assert lost(unit) == pytest.approx(report.before, rel=1e-3)


def test_a_shared_set_stays_one_when_it_is_healed(model: Any, tmp_path: Path) -> None:
    ids, layers = some_tokens(32, 20), attention_layers(model)
    (known, *_) = gather_statistics(model, layers, ids, tmp_path)
    exact = layers[0].to(torch.float64)
    made = LayerFit.of(exact, known, {MQA: 8}).mqa(exact).to(torch.float32)
    x, out = (tensor.clone() for tensor in run_watched(model, ids, layers)[1][0][::2])
    healed, report = heal_layer(unit_latent(made, known.gram), x, out, 5, seconds=0.2, seed=0)
    assert report.after < report.before
    # One key and one value: nothing of the keys comes from the latent.
    assert not healed.W_UK.any()
    assert (healed.rotated, healed.rank) == (8, 8)
    assert float((healed.W_KR - made.W_KR).abs().max()) > 0


# --- The whole run --------------------------------------------------------------------------------


def test_the_report_survives_the_file(converted: Trace, tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    converted.save(file)
    again = Trace.load(file)
    report = conversion_report(again)
    assert report == conversion_report(converted)
    ways = {(row.way, row.numbers) for row in report.ladder}
    assert {way for way, _ in ways} == {
        "model",
        "mqa",
        "mqa_fitted",
        "latent_then_rotate",
        "mla",
    }
    assert {row.bos for row in report.ladder} == {True}
    assert report.absorbed < 1e-5
    # The conversion and the best shared set, in one setting.
    shared = report.shared_set
    assert shared is not None
    for stored, healed, layers in (
        (report.stored, report.healed, report.healing),
        (shared.stored, shared.healed, shared.healing),
    ):
        assert healed is not None
        assert stored.numbers == healed.numbers == again.meta.one_set
        assert stored.fitted_window == healed.fitted_window == report.window
        assert len(layers) == again.meta.n_layers
    assert [(row.way, row.healed) for row in report.windows] == [
        ("model", False),
        ("mla", False),
        ("mla", True),
        ("mqa_fitted", False),
        ("mqa_fitted", True),
    ]
    assert conversion_errors(again) == conversion_errors(converted)


def test_every_tensor_of_the_conversion_has_named_axes(converted: Trace) -> None:
    names = [n for n in converted.tensors if n.startswith(CONVERSION_PREFIXES)]
    assert {n.split(".")[0] for n in names} == {"mla", "rung", "duel"}
    for name in names:
        assert len(converted.axes(name)) == converted[name].ndim
    assert converted["mla.0.pattern"].shape == converted["pattern.0"].shape


def test_rungs_come_closer_to_the_model(converted: Trace) -> None:
    report = conversion_report(converted)
    for way in ("latent_then_rotate", "mla"):
        rows = [row for row in report.ladder if row.way == way]
        assert rows[-1].key_error is not None
        assert rows[0].key_error is not None
        assert rows[-1].key_error < rows[0].key_error
        for row in rows:
            k = converted[f"rung.{way}.{row.numbers}.k"]
            featured = converted.meta.featured
            own = converted.get("k", featured.layer)[:, converted.kv_head(featured.head)]
            n = converted.meta.n_prompt
            error = np.linalg.norm(k[:n] - own[:n]) / np.linalg.norm(own[:n])
            assert row.key_error == pytest.approx(error, rel=1e-5)


def test_a_run_that_was_stopped_goes_on(
    model: Any, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, text = Settings(), small_texts()

    def stop(task: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        if (task, done) == ("checking on texts", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(trace, loaded(model), settings, stop, text)
    reads = counted_reads(monkeypatch)
    made = convert(trace, loaded(model), settings, text=text)
    assert not reads
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "new"))
    whole = convert(trace, loaded(model), settings, text=text)
    for name, array in whole.tensors.items():
        np.testing.assert_allclose(made[name], array, atol=1e-4, err_msg=name)
    assert conversion_report(whole).ladder[3].kl == pytest.approx(
        conversion_report(made).ladder[3].kl, rel=1e-4
    )
    (folder,) = kept_sizes()
    assert not list(folder.glob("*.statistics"))


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows whenever the model reads a text for statistics."""
    reads: list[int] = []
    start = LayerStream.start
    monkeypatch.setattr(
        LayerStream,
        "start",
        lambda *a: reads.append(1) or start(*a),  # type: ignore[func-returns-value]
    )
    return reads


def test_another_prompt_is_converted_as_the_last_one(
    model: Any, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, settings = small_texts(), Settings(rotated=4, rank=9, heal_minutes=0.002)
    first = convert(trace, loaded(model), settings, text=text)
    reads, tasks = counted_reads(monkeypatch), set()
    other = extract.trace(model, TOKENIZER, "A cat sat on a flag")
    # Anything that is measured on texts or healed would be another call of these.
    monkeypatch.setattr(Judge, "result", None)
    monkeypatch.setattr("extract.conversion.kept.heal_layer", None)
    made = convert(
        other, loaded(model), progress=lambda task, done, total: tasks.add(task), text=text
    )
    assert not reads
    assert not tasks & {"reading texts", "fitting"}
    made.prove()
    one, before = conversion_report(made), conversion_report(first)
    assert (one.rotated, one.rank, one.healed is not None) == (4, 9, True)
    assert one.windows == before.windows
    assert one.healing == before.healing
    for row, old in zip(one.ladder, before.ladder, strict=True):
        assert (row.perplexity, row.kl) == (old.perplexity, old.kl)
    assert one.ladder[3].moved != before.ladder[3].moved
    # On the same prompt it says the same.
    again = convert(trace, loaded(model), text=text)
    for name, array in first.tensors.items():
        np.testing.assert_allclose(again[name], array, atol=1e-6, err_msg=name)


def test_a_quick_conversion_measures_less_and_shows_as_much(model: Any, trace: Trace) -> None:
    made = convert(trace, loaded(model), text=small_texts())
    made.prove()
    report = conversion_report(made)
    assert len(report.ladder) == 3 + 2 * len(ladder_sizes(32, 2, quick=True))
    assert all(row.second_text is None for row in report.ladder)
    contest = at_equal_size(made)
    assert contest is not None
    assert [row.numbers for row in contest.rows] == [32, 16, 16, 16]
    # What a whole conversion measures too is taken from it.
    whole = conversion_report(convert(trace, loaded(model), Settings(), text=small_texts()))
    assert report.ladder[1].kl == whole.ladder[1].kl
    assert whole.ladder[1].second_text is not None


def test_a_damaged_piece_is_made_again(model: Any, trace: Trace) -> None:
    first = convert(trace, loaded(model), text=small_texts())
    (folder,) = kept_sizes()
    for piece in folder.glob("*.pt"):
        piece.write_bytes(piece.read_bytes()[:-2])
    again = convert(trace, loaded(model), text=small_texts())
    for name, array in first.tensors.items():
        np.testing.assert_allclose(again[name], array, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (Settings(rotated=7), "--rotated"),
        (Settings(rotated=18), "0 to 16"),
        (Settings(rank=33), "--rank"),
        (Settings(tokens=10**7), "--tokens"),
    ],
)
def test_wrong_sizes_are_refused_before_any_work(
    settings: Settings, what: str, model: Any, trace: Trace, tmp_path: Path
) -> None:
    with pytest.raises(ExtractError, match=what):
        convert(trace, loaded(model), settings)
    assert kept_sizes() == {}


def test_a_trace_of_another_model_is_refused(trace: Trace, tmp_path: Path) -> None:
    other = model_of((4, 2))
    other.model.layers[0].self_attn.k_proj.weight.data *= 1.1
    with pytest.raises(ExtractError, match="not the model of the trace"):
        convert(trace, loaded(other), Settings(tokens=TOKENS))


# --- What is stored -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["W_DKV", "scores_rot"])
def test_a_missing_tensor_is_named(name: str, converted: Trace) -> None:
    full = f"mla.{converted.meta.featured.layer}.{name}"
    tensors = {key: array for key, array in converted.tensors.items() if key != full}
    with pytest.raises(TraceError, match=full):
        Trace(converted.meta, tensors).validate()


def test_a_trace_without_a_conversion_is_still_one(trace: Trace) -> None:
    trace.validate()
    assert conversion_errors(trace) == {}
    with pytest.raises(TraceError, match="extract convert"):
        conversion_report(trace)


def test_the_table_says_every_row(converted: Trace) -> None:
    report: ConversionReport = conversion_report(converted)
    console = Console(width=100, record=True)
    console.print(conversion_table(report))
    text = console.export_text()
    assert report.shared_set is not None
    rows: list[Row] = [*report.ladder, report.stored, report.shared_set.final]
    for row in rows:
        assert f"{row.perplexity:.2f}" in text
    assert "healed" in text
    json.dumps(asdict(report), allow_nan=False)


def test_texts_are_apart() -> None:
    texts = read_texts(TOKENIZER, [0], TOKENS, 64)
    windows = torch.cat([texts.fitted, texts.validation, texts.long])
    assert windows.shape[1] == 64
    assert (windows[:, 0] == 0).all()
    assert len({tuple(window.tolist()) for window in windows}) == len(windows)
    assert len(texts.fitted) == TOKENS // 64
    assert texts.second.shape == (len(texts.second), 64)


def test_layers_share_the_models_weights(model: Any) -> None:
    (first, *_) = attention_layers(model)
    assert isinstance(first, AttentionLayer)
    own = model.model.layers[0].self_attn.q_proj.weight
    assert first.W_Q.untyped_storage().data_ptr() == own.untyped_storage().data_ptr()
