"""Convert a whole model into MLA, measure what is lost, and store it in a trace.

What depends on the model alone is made once and kept (`extract.conversion.kept`).  What depends on
the prompt takes one reading by all converted models together (`extract.conversion.prompt`).

Needs torch and transformers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from extract.conversion.fits import (
    AttentionLayer,
    Layer,
    MLALayer,
    Projected,
    absorbed,
    mix,
    scores,
)
from extract.conversion.kept import (
    QUICK,
    Converted,
    ModelConversion,
    Settings,
    last_settings,
)
from extract.conversion.model import attention_layers
from extract.conversion.prompt import read_prompt
from extract.conversion.text import ConversionText, read_texts
from extract.errors import ExtractError
from extract.models.loading import PACKAGED, LoadedModel
from extract.models.token_sequence import ProgressCallback
from extract.support.kept import kept_folder
from extract.trace import Trace
from extract.trace.contents.conversion_names import (
    CONVERSION_PREFIXES,
    CONVERTED_WEIGHTS,
    DUEL_WAYS,
)
from extract.trace.contents.conversion_report import (
    RUNG_WAYS,
    STORED_WAYS,
    ConversionReport,
    PromptResult,
    Row,
    SharedSet,
    rung_error,
)

__all__ = ["Settings", "convert"]


def convert(
    trace: Trace,
    loaded: LoadedModel,
    settings: Settings | None = None,
    progress: ProgressCallback = lambda task, done, total: None,
    text: ConversionText | None = None,
    first: Callable[[], None] = lambda: None,
) -> Trace:
    """Convert a model and return its trace with the conversion.

    Parameters
    ----------
    trace : Trace
        Of this model; its prompt is converted too.
    loaded : LoadedModel
    settings : Settings, optional
        What to convert into.  By default what this model was converted into last.  If nothing is
        kept of it, that is what the trace of the project holds for the packaged model, without
        healing and without measuring it on texts again, and `QUICK` for any other.
    progress : callable
        Progress callback (task, done, total).
    text : ConversionText, optional
        What to fit to and to test on; by default the project's texts.
    first : callable
        Called before the model is converted if no settings are given and nothing is kept of it:
        that takes minutes.

    Raises
    ------
    UnsupportedModelError
        If the model is not a Llama-like one.
    ExtractError
        If the sizes do not fit the model or the model is not that of the trace.
    """
    layers = attention_layers(loaded.model)
    _require_same_model(trace, layers[0], len(layers))
    if settings is not None:
        settings.size(layers[0])
    start = trace.meta.token_ids[: int(trace.meta.has_bos)]
    length = getattr(loaded.model.config, "max_position_embeddings", None)

    def read(tokens: int) -> ConversionText:
        return text or read_texts(loaded.tokenizer, start, tokens, length)

    # The windows to fit to depend on the settings, and have names of their own in the folder.
    key = [loaded.digest, _digest(read(1 if settings is None else settings.tokens))]
    with kept_folder("conversion", key, progress) as kept:
        wanted = settings or last_settings(kept)
        if wanted is None:
            first()
            wanted = Settings() if loaded.source.name == PACKAGED else QUICK
        chosen = read(wanted.tokens)
        model = ModelConversion(
            *(loaded, layers, chosen, bool(start), wanted, kept, progress),
            borrows=settings is None,
        )
        report, tensors = _report(trace, model)
        own = {
            name: array
            for name, array in trace.tensors.items()
            if not name.startswith(CONVERSION_PREFIXES)
        }
        made = Trace(replace(trace.meta, conversion=asdict(report)), {**own, **tensors})
        made.validate()
        model.finish()
    return made


def _digest(text: ConversionText) -> str:
    """Return the checksum of all tokens but those to fit to."""
    parts = (text.validation, text.long, text.held_out, text.second, text.passages)
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def _require_same_model(trace: Trace, layer: AttentionLayer, n_layers: int) -> None:
    """Compare the first layer's keys for the prompt with those of the trace."""
    meta = trace.meta
    x = torch.tensor(trace.get("x", 0))[None]
    same = (meta.n_layers, meta.d_model) == (n_layers, len(layer.W_K))
    if same:
        k = trace.keys(0).transpose(1, 0, 2)
        same = k.shape == layer.project(x).k[0].shape and np.allclose(
            layer.project(x).k[0].numpy(), k, rtol=1e-3, atol=1e-3 * np.abs(k).max()
        )
    if not same:
        raise ExtractError(
            f"this is not the model of the trace ({meta.model}); name the model that made the "
            "trace with --model"
        )


def _report(
    trace: Trace, model: ModelConversion
) -> tuple[ConversionReport, dict[str, npt.NDArray[Any]]]:
    """Return the report on a conversion, and its tensors."""
    meta, loaded, text = trace.meta, model.loaded, model.text
    stored, windows = model.stored, model.windows()
    converted = [*model.ladder, *chain.from_iterable(stored.values())]
    recorder = _PromptRecorder(trace, model, converted)
    read = read_prompt(
        *(loaded.model, loaded.tokenizer, meta.token_ids, meta.n_prompt),
        *([one.layers for one in converted], recorder.watch, model.progress),
    )
    rows = (_row(one, result, meta.has_bos) for one, result in zip(converted, read, strict=True))
    ladder = tuple(recorder.with_errors(next(rows)) for _ in model.ladder)

    def before_and_after(way: str) -> tuple[Row, Row | None]:
        first, *healed = islice(rows, len(stored[way]))
        return first, healed[0] if healed else None

    mla, shared = map(before_and_after, STORED_WAYS)
    report = ConversionReport(
        rotated=model.size.rotated,
        rank=model.size.rank,
        cached=model.layers[0].cached,
        tokens=text.fitted.numel(),
        window=text.fitted.shape[1],
        bos=meta.has_bos,
        texts=text.sha256,
        next_word=meta.top_tokens[meta.n_prompt - 1][0],
        absorbed=max(recorder.absorbed),
        ladder=ladder,
        stored=mla[0],
        healed=mla[1],
        windows=windows,
        window_first=model.window_first,
        heal_minutes=model.settings.heal_minutes,
        healing=model.healing("mla"),
        shared_set=SharedSet(*shared, model.healing("mqa_fitted")),
    )
    return report, recorder.arrays()


def _row(made: Converted, read: PromptResult, bos: bool) -> Row:
    """Return one row of a report, without errors of keys and values."""
    held_out, *second = made.on_texts
    return Row(
        way=made.way,
        numbers=made.numbers,
        rotated=made.rotated,
        rank=made.rank,
        bos=bos,
        fitted_window=made.fitted_window,
        second_text=second[0] if second else None,
        **asdict(held_out),
        **asdict(read),
    )


def _single(tensor: Tensor) -> npt.NDArray[np.float32]:
    return tensor.numpy().astype(np.float32)


class _PromptRecorder:
    """Recorder of what a trace holds of its prompt, read by converted models.

    Parameters
    ----------
    trace : Trace
    model : ModelConversion
    converted : sequence of Converted
        Those that read: the ladder first.

    Attributes
    ----------
    absorbed : list of float
        For the stored one the relative errors of the absorbed form against the naive one: of
        patterns and of outputs of every layer, each in units of the largest absolute value.
    """

    def __init__(
        self, trace: Trace, model: ModelConversion, converted: Sequence[Converted]
    ) -> None:
        self._trace, self._converted = trace, converted
        self._n_ladder, self._stored = len(model.ladder), model.stored["mla"][-1]
        self._layer, self._head = trace.meta.featured.layer, trace.meta.featured.head
        self._kv_head = trace.kv_head(self._head)
        self._own, self._fit = model.layers[self._layer], model.fits[self._layer]
        self._tensors: dict[str, Tensor] = {}
        self.absorbed: list[float] = []

    def watch(
        self, row: int, number: int, x: Tensor, projected: Projected, weights: Tensor, out: Tensor
    ) -> None:
        """Record one layer of one model; see `extract.conversion.prompt.RowWatcher`."""
        made = self._converted[row]
        layer, is_featured = made.layers[number], number == self._layer
        if row < self._n_ladder:
            if is_featured and made.way in DUEL_WAYS and made.numbers == self._trace.meta.one_set:
                self._record_side(made.way, projected, weights)
            if is_featured and made.way in RUNG_WAYS:
                self._record_rung(made, layer, x, projected, weights)
        elif made is self._stored and isinstance(layer, MLALayer):
            self._tensors[f"mla.{number}.pattern"] = weights[0]
            for one, other in zip(absorbed(layer, x), (weights, out), strict=True):
                self.absorbed.append(float((one - other).abs().max() / other.abs().max()))
            if is_featured:
                self._record_stored(layer, x, projected, weights, out)

    def _record_side(self, way: str, projected: Projected, weights: Tensor) -> None:
        """Keep the patterns of all heads, and queries and keys as used in the scores."""
        q, k, _ = projected
        named = {"q_used": q[0].transpose(0, 1), "k_used": k[0].transpose(0, 1)}
        named["pattern"] = weights[0]
        self._tensors |= {f"duel.{way}.{name}": value for name, value in named.items()}

    def _record_rung(
        self, made: Converted, layer: Layer, x: Tensor, projected: Projected, weights: Tensor
    ) -> None:
        """Keep the featured head's keys, values and pattern.

        So that the pattern can be computed again, queries and keys as used in the scores are kept
        too.
        """
        if isinstance(layer, MLALayer):
            k, v = self._fit.rebuilt(layer, self._own, x[0])
        else:
            assert isinstance(layer, AttentionLayer)
            k, v = (
                torch.einsum("pc,cgd->pgd", x[0], weight) + bias
                for weight, bias in ((layer.W_K, layer.b_K), (layer.W_V, layer.b_V))
            )
        # All query heads may share one key.
        shared = self._kv_head * projected.k.shape[1] // self._trace.meta.n_kv_heads
        named = {
            "k": k[:, self._kv_head],
            "v": v[:, self._kv_head],
            "pattern": weights[0, self._head],
            "q_used": projected.q[0, self._head],
            "k_used": projected.k[0, shared],
        }
        prefix = f"rung.{made.way}.{made.numbers}"
        self._tensors |= {f"{prefix}.{name}": value for name, value in named.items()}

    def _record_stored(
        self, layer: MLALayer, x: Tensor, projected: Projected, weights: Tensor, out: Tensor
    ) -> None:
        """Keep the featured layer of the stored conversion; see `extract.trace`."""
        rotated, (q, k, v) = layer.rotated, projected
        parts = {
            "scores_rot": Projected(q[..., :rotated], k[:, :1, :, :rotated], v),
            "scores_latent": Projected(q[..., rotated:], k[..., rotated:], v),
        }
        named = {name: scores(part, layer.scale)[0] for name, part in parts.items()} | {
            "x": x[0],
            "c": (x @ layer.W_DKV)[0],
            "k_rot": layer.rotated_key(x)[0, 0],
            "q_rot": q[0, :, :, :rotated].transpose(0, 1),
            "z": mix(weights, v)[0].transpose(0, 1),
            "out": out[0],
            "frequencies": layer.frequencies,
        }
        self._tensors |= {f"mla.{self._layer}.{name}": value for name, value in named.items()}

    def with_errors(self, row: Row) -> Row:
        """Return a row of the ladder with the errors of its keys and values on the prompt."""
        if row.way not in RUNG_WAYS:
            return row
        errors = [
            rung_error(self._trace, name, self._tensors[f"rung.{row.way}.{row.numbers}.{name}"])
            for name in ("k", "v")
        ]
        return replace(row, key_error=errors[0], value_error=errors[1])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all tensors by their names in a trace, with the new weights of the stored one."""
        arrays: dict[str, npt.NDArray[Any]] = {
            name: _single(value) for name, value in self._tensors.items()
        }
        layer = self._stored.layers[self._layer]
        for name in CONVERTED_WEIGHTS:
            weight = getattr(layer, name)
            # A bias of the shared key or its queries is there only where the model has one.
            if name not in ("b_QR", "b_KR") or bool(weight.any()):
                arrays[f"mla.{self._layer}.{name}"] = weight.numpy().astype(np.float16)
        return arrays
