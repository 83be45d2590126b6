"""Convert a whole model into MLA, measure what is lost, and store it in a trace.

`convert` runs the stages below and keeps each finished piece in a folder, so that a run that was
stopped goes on where it was; the folder is removed at the end.

1. Statistics of every layer's inputs on calibration prose (`extract.conversion_model`): in long
   windows of mixed prose, and in short passages of the project's own text.
2. A ladder of sizes, each fitted to the passages (`extract.mla_conversion`) and measured
   (`extract.conversion_eval`).
3. The conversion that is stored, fitted to the windows so that it holds at their length; with
   healing (`extract.conversion_healing`), before and after it.

Needs torch and transformers.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from platformdirs import user_cache_path
from torch import Tensor

from extract.conversion_eval import (
    Judge,
    Size,
    absorbed_error,
    compare_on_windows,
    exactness,
    ladder_sizes,
)
from extract.conversion_healing import heal_layer, unit_latent
from extract.conversion_merged import merged_table
from extract.conversion_model import (
    Layer,
    LayerStream,
    attention_layers,
    gather_statistics,
    run,
)
from extract.conversion_names import CONVERSION_PREFIXES, CONVERTED_WEIGHTS
from extract.conversion_report import (
    CONVERSION_TOKENS,
    ConversionReport,
    LayerHealing,
    Row,
    WindowRow,
)
from extract.conversion_text import ConversionText, read_texts
from extract.errors import ExtractError
from extract.files import atomic_write, write_text
from extract.json_records import from_json
from extract.mla_conversion import (
    AttentionLayer,
    LayerStatistics,
    MLALayer,
    Projected,
    latent_then_rotate,
    mla,
    mqa_fitted,
    mqa_mean,
    pattern,
    rebuilt,
    with_weights,
)
from extract.models import LoadedModel
from extract.token_sequence import ProgressCallback
from extract.trace import Trace

__all__ = ["Settings", "convert"]

_VERSION = 2
"""Changes whenever pieces of an older run would not fit."""

_SEED = 0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """What to convert into.

    Attributes
    ----------
    rotated : int or None
        Width of the shared rotated key; a sixth of what the model caches by default.
    rank : int or None
        Of the latent; a third of what the model caches by default.
    tokens : int
        To fit to.
    heal_minutes : float
        Time for healing; 0 for none.
    """

    rotated: int | None = None
    rank: int | None = None
    tokens: int = CONVERSION_TOKENS
    heal_minutes: float = 0.0


def convert(
    trace: Trace,
    loaded: LoadedModel,
    settings: Settings,
    progress: ProgressCallback = lambda task, done, total: None,
    folder: Path | None = None,
    text: ConversionText | None = None,
) -> Trace:
    """Convert a model and return its trace with the conversion.

    Parameters
    ----------
    trace : Trace
        Of this model; its prompt is converted too.
    loaded : LoadedModel
    settings : Settings
    progress : callable
        Progress callback (task, done, total); `total` is that of the whole run.
    folder : Path, optional
        Where pieces of a run that was stopped are kept; by default in the user's cache.
    text : ConversionText, optional
        What to fit to and to test on; by default the project's texts.

    Raises
    ------
    UnsupportedModelError
        If the model is not a Llama-like one.
    ExtractError
        If the sizes do not fit the model or the model is not that of the trace.
    """
    return _Run(trace, loaded, settings, progress, folder, text).convert()


class _Steps:
    """Progress of a whole run, in steps that take about equally long."""

    def __init__(self, report: ProgressCallback, total: int) -> None:
        self._report, self._total, self._done = report, total, 0

    def announce(self, task: str) -> None:
        self._report(task, self._done, self._total)

    def finish(self, task: str, steps: int = 1) -> None:
        self._done = min(self._done + steps, self._total)
        self._report(task, self._done, self._total)


# About the number of layer passes over 20 windows that other work takes as long as.
_STEPS_OF_ROW, _STEPS_OF_WINDOWS = 3, 8


@dataclass(frozen=True, eq=False)
class _Converted:
    """One converted model that waits to be measured."""

    way: str
    layers: Sequence[Layer]
    numbers: int
    rotated: int | None = None
    rank: int | None = None


class _Run:
    """One run of `convert`."""

    def __init__(
        self,
        trace: Trace,
        loaded: LoadedModel,
        settings: Settings,
        progress: ProgressCallback,
        folder: Path | None = None,
        text: ConversionText | None = None,
    ) -> None:
        self.trace, self.model, self.tokenizer = trace, loaded.model.eval(), loaded.tokenizer
        self.settings = settings
        self.layers = attention_layers(self.model)
        self.cached = self.layers[0].cached
        self.size = self._chosen_size()
        meta = trace.meta
        self._require_same_model()
        start = meta.token_ids[: int(meta.has_bos)]
        length = getattr(self.model.config, "max_position_embeddings", None)
        self.text = text or read_texts(self.tokenizer, start, settings.tokens, length)
        self.folder = folder or user_cache_path("attention-film", appauthor=False) / "convert"
        self.folder = self.folder / self._key(loaded)
        n = len(self.layers)
        rows = 4 + 2 * len(ladder_sizes(self.cached)) + 5 * meta.has_bos
        healing = settings.heal_minutes > 0
        self.steps = _Steps(
            progress,
            n * (2 + meta.has_bos) + rows * _STEPS_OF_ROW + 2 * _STEPS_OF_WINDOWS + 3 * n * healing,
        )

    def _chosen_size(self) -> Size:
        """Return the size to store, checked against the model."""
        size = Size(
            rotated=2 * round(self.cached / 12)
            if self.settings.rotated is None
            else self.settings.rotated,
            rank=max(1, round(self.cached / 3))
            if self.settings.rank is None
            else self.settings.rank,
        )
        layer = self.layers[0]
        keys, most = layer.W_K[0].numel(), min(len(layer.W_K), self.cached)
        if size.rotated % 2 or not 0 <= size.rotated <= keys:
            raise ExtractError(
                f"{size.rotated} rotated numbers do not fit this model; give an even number of 0 "
                f"to {keys} with --rotated"
            )
        if not 1 <= size.rank <= most:
            raise ExtractError(
                f"a latent of this model can have a rank of 1 to {most}, not {size.rank}; give "
                "another with --rank"
            )
        return size

    def _require_same_model(self) -> None:
        """Compare the first layer's keys for the prompt with those of the trace."""
        meta = self.trace.meta
        x = torch.tensor(self.trace.get("x", 0))[None]
        layer = self.layers[0]
        same = (meta.n_layers, meta.d_model) == (len(self.layers), len(layer.W_K))
        if same:
            k = self.trace.keys(0).transpose(1, 0, 2)
            same = k.shape == layer.project(x).k[0].shape and np.allclose(
                layer.project(x).k[0].numpy(), k, rtol=1e-3, atol=1e-3 * np.abs(k).max()
            )
        if not same:
            raise ExtractError(
                f"this is not the model of the trace ({meta.model}); name the model that made the "
                "trace with --model"
            )

    def _key(self, loaded: LoadedModel) -> str:
        """Return a name for the pieces of runs that can share them."""
        source = asdict(loaded.source)
        known = [_VERSION, source, self.trace.meta.token_ids, self.text.sha256]
        if not loaded.source.sha256:
            known.append([float(p.detach().double().sum()) for p in self.model.parameters()])
        known.append([self.settings.tokens, self.trace.meta.featured.layer])
        known.append(self.trace.meta.featured.head)
        return hashlib.sha256(json.dumps(known, default=asdict).encode()).hexdigest()[:16]

    # The stages

    def convert(self) -> Trace:
        """Run all stages; see `convert`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        meta, text = self.trace.meta, self.text
        ids = list(meta.token_ids)
        judge, exact, ladder, tensors = self._measured_ladder(ids)
        known = self._statistics("fitted", text.fitted)
        judge.fitted_window = text.fitted.shape[1]
        plain = [
            self._stored_form(unit_latent(layer, statistics.gram))
            for layer, statistics in zip(self._fit(known, [self.size])[0], known, strict=True)
        ]
        stored = self._measured(
            judge, f"stored-{self.size.rotated}-{self.size.rank}", self._mla(plain)
        )
        final, healed = plain, None
        healing: tuple[LayerHealing, ...] = ()
        if self.settings.heal_minutes > 0:
            final, healing = self._heal(plain)
            healed = judge.row("mla", final, self.size.numbers, self.size.rotated, self.size.rank)
        next_token = judge.next_token
        del judge
        windows = self._windows(plain, final if healing else None)
        without = self._without_bos(ids[1:]) if meta.has_bos else ()
        merged = merged_table(self.trace, self.layers)
        tensors |= self._activations(final)
        tensors |= {
            "merged.change": merged.change.numpy().astype(np.float32),
            "merged.score": merged.score.numpy().astype(np.float32),
        }
        report = ConversionReport(
            rotated=self.size.rotated,
            rank=self.size.rank,
            cached=self.cached,
            tokens=text.fitted.numel(),
            window=text.fitted.shape[1],
            bos=meta.has_bos,
            texts=text.sha256,
            next_word=self.tokenizer.decode([next_token], clean_up_tokenization_spaces=False),
            exactness=exact,
            absorbed=absorbed_error(self.model, final, ids),
            ladder=ladder,
            without_bos=without,
            stored=stored,
            healed=healed,
            windows=windows,
            window_first=self._window_first,
            heal_minutes=self.settings.heal_minutes,
            healing=healing,
            merged=merged.report,
        )
        own = {
            name: array
            for name, array in self.trace.tensors.items()
            if not name.startswith(CONVERSION_PREFIXES)
        }
        made = Trace(replace(meta, conversion=asdict(report)), {**own, **tensors})
        made.validate()
        shutil.rmtree(self.folder)
        return made

    def _measured_ladder(
        self, ids: Sequence[int]
    ) -> tuple[Judge, float, tuple[Row, ...], dict[str, Floats]]:
        """Return the judge of all but the last rows, the exactness, and the ladder."""
        meta, text = self.trace.meta, self.text
        known = self._statistics("passages", text.passages)
        exact = self._piece("exactness", lambda: exactness(self.model, self.layers, known, ids))
        self.steps.finish("nothing dropped", _STEPS_OF_ROW)
        judge = Judge(
            self.model,
            self.tokenizer,
            self.layers,
            text.held_out,
            text.second,
            ids,
            meta.n_prompt,
            meta.has_bos,
            fitted_window=text.passages.shape[1],
        )
        return judge, exact, *self._ladder(judge, known)

    def _statistics(self, name: str, windows: Tensor) -> list[LayerStatistics]:
        task = "reading the calibration texts"
        self.steps.announce(task)
        return gather_statistics(
            self.model,
            self.layers,
            windows,
            self.folder / name,
            lambda layer: self.steps.finish(task),
        )

    def _fit(self, known: Sequence[LayerStatistics], sizes: Sequence[Size]) -> list[list[MLALayer]]:
        """Return way (b) at several sizes, in float32: for each size the layers of a model."""
        wanted = [(size.rotated, size.rank) for size in sizes]
        by_layer = [
            [made.to(torch.float32) for made in mla(layer.to(torch.float64), statistics, wanted)]
            for layer, statistics in zip(self.layers, known, strict=True)
        ]
        return [list(layers) for layers in zip(*by_layer, strict=True)]

    def _mla(self, layers: Sequence[MLALayer]) -> _Converted:
        size = Size(layers[0].rotated, layers[0].rank)
        return _Converted("mla", layers, size.numbers, size.rotated, size.rank)

    def _baselines(self, known: Sequence[LayerStatistics]) -> Iterator[_Converted]:
        """Yield the model itself and the two ways into multi-query attention."""
        yield _Converted("model", self.layers, self.cached)
        mean = [mqa_mean(layer) for layer in self.layers]
        yield _Converted("mqa", mean, mean[0].cached)
        fitted = [
            mqa_fitted(layer.to(torch.float64), statistics).to(torch.float32)
            for layer, statistics in zip(self.layers, known, strict=True)
        ]
        yield _Converted("mqa_fitted", fitted, fitted[0].cached, fitted[0].rotated, fitted[0].rank)

    def _latents(self, known: Sequence[LayerStatistics], ranks: Sequence[int]) -> list[_Converted]:
        """Return way (a) at several ranks."""
        by_layer = [
            [
                made.to(torch.float32)
                for made in latent_then_rotate(layer.to(torch.float64), statistics, ranks)
            ]
            for layer, statistics in zip(self.layers, known, strict=True)
        ]
        return [
            _Converted("latent_then_rotate", layers, rank, 0, rank)
            for layers, rank in zip(zip(*by_layer, strict=True), ranks, strict=True)
        ]

    def _ladder(
        self, judge: Judge, known: Sequence[LayerStatistics]
    ) -> tuple[tuple[Row, ...], dict[str, Floats]]:
        """Measure every rung, and return the rows and the tensors of the rungs."""
        rows: list[Row] = []
        tensors: dict[str, Floats] = {}
        baselines = ("model", "mqa", "mqa_fitted")
        if not all(self._file(name).exists() for name in baselines):
            for made in self._baselines(known):
                self._measured(judge, made.way, made)
        for name in baselines:
            rows.append(self._stored_row(name))
            self.steps.finish("measuring the ladder", _STEPS_OF_ROW)
        sizes = ladder_sizes(self.cached)
        for group in self._groups(known, [size for size in sizes if not self._has_rungs(size)]):
            for made in group:
                self.steps.announce(f"{made.way} at {made.numbers} numbers")
                row = judge.row(made.way, made.layers, made.numbers, made.rotated, made.rank)
                name = f"{made.way}-{made.numbers}"
                row = self._keep_rung(row, made.layers, known, self.folder / f"{name}.npz")
                self._write(name, asdict(row))
                self.steps.finish("measuring the ladder", _STEPS_OF_ROW)
        for size in sizes:
            for way in ("latent_then_rotate", "mla"):
                rows.append(self._stored_row(f"{way}-{size.numbers}"))
                with np.load(self.folder / f"{way}-{size.numbers}.npz") as saved:
                    prefix = f"rung.{way}.{size.numbers}"
                    tensors |= {f"{prefix}.{key}": saved[key] for key in saved.files}
        return tuple(rows), tensors

    def _groups(
        self, known: Sequence[LayerStatistics], sizes: Sequence[Size]
    ) -> Iterator[list[_Converted]]:
        """Yield both ways at these sizes, those together that one fit gives."""
        if sizes:
            yield self._latents(known, [size.numbers for size in sizes])
        for rotated in sorted({size.rotated for size in sizes}):
            alike = [size for size in sizes if size.rotated == rotated]
            yield [self._mla(layers) for layers in self._fit(known, alike)]

    def _has_rungs(self, size: Size) -> bool:
        """Return whether a size is measured already; if so, count its steps."""
        names = [f"{way}-{size.numbers}" for way in ("latent_then_rotate", "mla")]
        found = all(self._file(n).exists() and (self.folder / f"{n}.npz").exists() for n in names)
        if found:
            self.steps.finish("measuring the ladder", 2 * _STEPS_OF_ROW)
        return found

    def _keep_rung(
        self, row: Row, layers: Sequence[Layer], known: Sequence[LayerStatistics], file: Path
    ) -> Row:
        """Write the featured head's keys, values and pattern; return the row with their errors.

        So that the pattern can be computed again, queries and keys as used in the scores are
        written too.
        """
        featured = self.trace.meta.featured
        kv_head, n_kv_heads = self.trace.kv_head(featured.head), self.trace.meta.n_kv_heads
        found: dict[str, Tensor] = {}

        def watch(number: int, x: Tensor, projected: Projected, out: Tensor) -> None:
            if number != featured.layer:
                return
            found["pattern"] = pattern(projected, layers[number].scale)[0, featured.head]
            found["q_used"] = projected.q[0, featured.head]
            # All query heads may share one key.
            found["k_used"] = projected.k[0, kv_head * projected.k.shape[1] // n_kv_heads]
            made, original, exact = (
                layers[number],
                self.layers[number].to(torch.float64),
                x[0].double(),
            )
            if isinstance(made, MLALayer):
                keys, values = rebuilt(made, original, known[number], exact)
            else:
                assert isinstance(made, AttentionLayer)
                keys, values = (
                    torch.einsum("pc,cgd->pgd", exact, weight.double()) + bias
                    for weight, bias in ((made.W_K, made.b_K), (made.W_V, made.b_V))
                )
            found["k"], found["v"] = keys[:, kv_head], values[:, kv_head]

        ids = torch.tensor([list(self.trace.meta.token_ids)])
        run(self.model, ids, layers, watch)
        arrays = {name: tensor.numpy().astype(np.float32) for name, tensor in found.items()}
        with atomic_write(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        n = self.trace.meta.n_prompt
        errors = []
        for name in ("k", "v"):
            own = self.trace.get(name, featured.layer)[:n, kv_head]
            errors.append(float(np.linalg.norm(arrays[name][:n] - own) / np.linalg.norm(own)))
        return replace(row, key_error=errors[0], value_error=errors[1])

    @property
    def _window_first(self) -> int:
        return min(128, self.text.long.shape[1] // 2)

    def _windows(
        self, plain: Sequence[MLALayer], healed: Sequence[MLALayer] | None
    ) -> tuple[WindowRow, ...]:
        self.steps.announce("measuring long windows")
        others = [plain] if healed is None else [plain, healed]
        results = compare_on_windows(
            self.model, self.layers, others, self.text.long, self._window_first
        )
        self.steps.finish("measuring long windows", 2 * _STEPS_OF_WINDOWS)
        kinds = (("model", False), ("mla", False), ("mla", True))
        return tuple(
            WindowRow(way, is_healed, result)
            for (way, is_healed), result in zip(kinds, results, strict=False)
        )

    def _without_bos(self, ids: Sequence[int]) -> tuple[Row, ...]:
        """Measure the duel without the beginning token, fitted to passages without it."""
        known = self._statistics("short", self.text.short)
        numbers = 2 * self.layers[0].W_K.shape[2]
        size = next((s for s in ladder_sizes(self.cached) if s.numbers == numbers), None)
        judge = Judge(
            self.model,
            self.tokenizer,
            self.layers,
            self.text.short_held_out,
            None,
            ids,
            self.trace.meta.n_prompt - 1,
            bos=False,
            fitted_window=self.text.short.shape[1],
        )
        duel = list(self._baselines(known))
        if size is not None:
            duel += [*self._latents(known, [numbers]), self._mla(self._fit(known, [size])[0])]
        rows = []
        for made in duel:
            self.steps.announce("measuring without the beginning token")
            rows.append(self._measured(judge, f"short-{made.way}", made))
            self.steps.finish("measuring without the beginning token", _STEPS_OF_ROW)
        return tuple(rows)

    # Healing and what is stored

    def _stored_form(self, layer: MLALayer) -> MLALayer:
        """Return a layer whose new weights are rounded as they are stored."""
        rounded = {name: getattr(layer, name).half().float() for name in CONVERTED_WEIGHTS}
        if not all(bool(value.isfinite().all()) for value in rounded.values()):
            raise ExtractError("weights of the conversion do not fit into 16 bits; nothing is done")
        return with_weights(layer, rounded)

    def _heal(self, plain: Sequence[MLALayer]) -> tuple[list[MLALayer], tuple[LayerHealing, ...]]:
        """Heal layer by layer, in the original model's stream."""
        minutes, size = self.settings.heal_minutes, self.size
        folder = self.folder / f"healed-{size.rotated}-{size.rank}-{minutes:g}"
        folder.mkdir(exist_ok=True)
        windows = torch.cat([self.text.fitted, self.text.validation])
        seconds = 60 * minutes / len(plain)
        healed, reports, stream = [], [], None
        for number, layer in enumerate(plain):
            task = f"healing layer {number}"
            self.steps.announce(task)
            file, report_file = folder / f"{number}.npz", f"{folder.name}/{number}"
            if not (file.exists() and self._file(report_file).exists()):
                if stream is None:
                    stream = LayerStream.restart(self.model, windows, folder / "stream.npz")
                while stream.layer < number:
                    self._inputs_and_outputs(stream)
                inputs, outputs = self._inputs_and_outputs(stream)
                made = heal_layer(
                    layer,
                    inputs,
                    outputs,
                    len(self.text.validation),
                    seconds,
                    _SEED + number,
                )
                arrays = {
                    name: getattr(made.layer, name).numpy().astype(np.float16)
                    for name in CONVERTED_WEIGHTS
                }
                with atomic_write(file) as temporary, temporary.open("wb") as out_file:
                    np.savez(out_file, **arrays)
                self._write(report_file, asdict(made.report))
                stream.keep(folder / "stream.npz")
            with np.load(file) as saved:
                weights = {name: torch.from_numpy(saved[name]).float() for name in saved.files}
            healed.append(self._stored_form(with_weights(layer, weights)))
            reports.append(from_json(LayerHealing, json.loads(self._file(report_file).read_text())))
            self.steps.finish(task, 3)
        return healed, tuple(reports)

    def _inputs_and_outputs(self, stream: LayerStream) -> tuple[Tensor, Tensor]:
        """Take a stream through its next layer; both are (window, position, d_model)."""
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []

        def watch(x: Tensor, projected: Projected, out: Tensor) -> None:
            inputs.append(x)
            outputs.append(out)

        stream.step(self.layers[stream.layer], watch)
        return torch.stack(inputs), torch.stack(outputs)

    def _activations(self, layers: Sequence[MLALayer]) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors of the stored conversion; see `extract.trace`."""
        featured = self.trace.meta.featured.layer
        tensors: dict[str, Tensor] = {}

        def watch(number: int, x: Tensor, projected: Projected, out: Tensor) -> None:
            layer = layers[number]
            weights = pattern(projected, layer.scale)
            tensors[f"mla.{number}.pattern"] = weights[0]
            if number != featured:
                return
            rotated, n_heads = layer.rotated, len(layer.W_O)
            q, k, v = projected
            group = n_heads // k.shape[1]
            per_head = k[..., rotated:].repeat_interleave(group, dim=1)
            named = {
                "x": x[0],
                "c": (x @ layer.W_DKV)[0],
                "k_rot": layer.rotated_key(x)[0, 0],
                "q_rot": q[0, :, :, :rotated].transpose(0, 1),
                "scores_rot": (q[..., :rotated] @ k[:, :1, :, :rotated].transpose(-1, -2))[0]
                * layer.scale,
                "scores_latent": (q[..., rotated:] @ per_head.transpose(-1, -2))[0] * layer.scale,
                "z": (weights @ v.repeat_interleave(group, dim=1))[0].transpose(0, 1),
                "out": out[0],
            }
            tensors.update({f"mla.{number}.{name}": value for name, value in named.items()})

        ids = torch.tensor([list(self.trace.meta.token_ids)])
        run(self.model, ids, layers, watch)
        layer = layers[featured]
        arrays: dict[str, npt.NDArray[Any]] = {
            name: value.numpy().astype(np.float32) for name, value in tensors.items()
        }
        arrays[f"mla.{featured}.frequencies"] = layer.frequencies.numpy().astype(np.float32)
        for name in CONVERTED_WEIGHTS:
            weight = getattr(layer, name)
            # A bias of the shared key or its queries is there only where the model has one.
            if name not in ("b_QR", "b_KR") or bool(weight.any()):
                arrays[f"mla.{featured}.{name}"] = weight.numpy().astype(np.float16)
        return arrays

    # Finished pieces

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _write(self, name: str, document: Any) -> None:
        write_text(self._file(name), json.dumps(document))

    def _piece(self, name: str, make: Callable[[], float]) -> float:
        """Return a number, computed unless it is there already."""
        if not self._file(name).exists():
            self._write(name, make())
        return float(json.loads(self._file(name).read_text()))

    def _measured(self, judge: Judge, name: str, made: _Converted) -> Row:
        """Return the row of a converted model, measured unless it is there already."""
        if not self._file(name).exists():
            self.steps.announce(f"measuring {made.way} at {made.numbers} numbers")
            row = judge.row(made.way, made.layers, made.numbers, made.rotated, made.rank)
            self._write(name, asdict(row))
        return self._stored_row(name)

    def _stored_row(self, name: str) -> Row:
        row: Row = from_json(Row, json.loads(self._file(name).read_text()))
        return row
