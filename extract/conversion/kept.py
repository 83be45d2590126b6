"""What a conversion knows of a model, whatever the prompt: its fits, and its results on texts.

All of it is made once, piece by piece, and kept (`extract.support.kept`); a run that was stopped
goes on where it was:

1. Statistics of every layer's inputs on calibration prose (`extract.conversion.model`): in short
   passages of the project's own text, and in long windows of mixed prose.
2. A ladder of sizes, each fitted to the passages (`extract.conversion.fits`) and measured on texts
   (`extract.conversion.evaluation`).
3. The conversion that is stored, fitted to the windows so that it holds at their length; with
   healing (`extract.conversion.healing`), before and after it.

Needs torch and transformers.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from extract.conversion.evaluation import (
    Judge,
    Size,
    compare_on_windows,
    exactness,
    ladder_sizes,
)
from extract.conversion.fits import (
    AttentionLayer,
    LayerFit,
    LayerStatistics,
    MLALayer,
    Projected,
    mqa_mean,
)
from extract.conversion.healing import heal_layer, unit_latent
from extract.conversion.merged import median_changes
from extract.conversion.model import Layer, LayerStream, gather_statistics
from extract.conversion.text import ConversionText
from extract.errors import ExtractError, TraceError
from extract.models.loading import LoadedModel
from extract.models.token_sequence import ProgressCallback
from extract.support.assets import asset
from extract.support.files import atomic_write, write_text
from extract.trace import Trace
from extract.trace.contents.conversion_names import CONVERTED_WEIGHTS
from extract.trace.contents.conversion_report import (
    CONVERSION_TOKENS,
    QUICK_TOKENS,
    LayerHealing,
    TextResult,
    WindowRow,
    conversion_report,
)
from extract.trace.contents.json_records import from_json

__all__ = ["QUICK", "Converted", "ModelConversion", "Settings", "TextResults", "last_settings"]

_SHIPPED = asset("traces/smollm2-135m.safetensors")
"""The trace that comes with the project; its report holds what was measured of its model."""

_SEED = 0

_Thing = TypeVar("_Thing")

_LAST = "last"
"""Name of the piece that says what the last finished run converted into."""

_DAMAGE = (OSError, ValueError, KeyError, BadZipFile)
"""What reading a piece may raise that is missing or damaged; it is then made again."""


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
    quick : bool
        Whether to measure fewer sizes, and on one text only.
    """

    rotated: int | None = None
    rank: int | None = None
    tokens: int = CONVERSION_TOKENS
    heal_minutes: float = 0.0
    quick: bool = False

    def size(self, layer: AttentionLayer) -> Size:
        """Return the size to store, checked against a layer of the model.

        Raises
        ------
        ExtractError
            If it does not fit.
        """
        cached = layer.cached
        size = Size(
            rotated=2 * round(cached / 12) if self.rotated is None else self.rotated,
            rank=max(1, round(cached / 3)) if self.rank is None else self.rank,
        )
        keys, most = layer.W_K[0].numel(), min(len(layer.W_K), cached)
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


QUICK = Settings(tokens=QUICK_TOKENS, quick=True)
"""About a fifth of the work."""


class TextResults(NamedTuple):
    """Results on the held-out text and, where it was read too, on the second text."""

    held_out: TextResult
    second: TextResult | None


@dataclass(frozen=True, eq=False)
class Converted:
    """One converted model.

    Attributes
    ----------
    way : str
        One of `extract.trace.contents.conversion_report.WAYS`.
    layers : sequence of Layer
    numbers : int
        Cached for each token and layer.
    rotated, rank : int or None
        Where the way has them.
    fitted_window : int
        Length of the windows that it was fitted to.
    on_texts : TextResults
    """

    way: str
    layers: Sequence[Layer]
    numbers: int
    rotated: int | None
    rank: int | None
    fitted_window: int
    on_texts: TextResults


_Way = tuple[str, Sequence[Layer], int, int | None, int | None]
"""A converted model that waits to be measured: the first five attributes of `Converted`."""


class ModelConversion:
    """Converted models of all sizes, and what they do with texts.

    Parameters
    ----------
    loaded : LoadedModel
    layers : sequence of AttentionLayer
        The model's own.
    text : ConversionText
    bos : bool
        Whether it begins with the beginning token.
    settings : Settings
    folder : Path
        Where finished pieces are kept.
    progress : callable
        Progress callback (task, done, total).
    shipped : bool
        Whether results that come with the project need not be measured again.

    Attributes
    ----------
    size : Size
        Of the conversion that is stored.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        layers: Sequence[AttentionLayer],
        text: ConversionText,
        bos: bool,
        settings: Settings,
        folder: Path,
        progress: ProgressCallback,
        shipped: bool,
    ) -> None:
        self._model, self._layers, self._text = loaded.model, layers, text
        self._settings, self._folder, self._progress = settings, folder, progress
        self._source, self._bos, self._borrows = loaded.source, bos, shipped
        n_sets = layers[0].W_K.shape[1]
        self._sizes = ladder_sizes(layers[0].cached, n_sets, quick=settings.quick)
        self.size = settings.size(layers[0])
        windows = hashlib.sha256(text.fitted.numpy().tobytes()).hexdigest()[:8]
        self._stored = f"stored-{self.size.rotated}-{self.size.rank}-{windows}"
        self._healed = f"{self._stored}-healed-{settings.heal_minutes:g}"

    # The ladder

    @cached_property
    def fits(self) -> list[LayerFit]:
        """The fits of the ladder, one for each layer."""
        return self._fits("passages", self._text.passages, self._ranks(self._sizes))

    @cached_property
    def ladder(self) -> list[Converted]:
        """The model itself, two ways into multi-query attention, and both ways at every size."""
        made = self._ways(self.fits, self._sizes)
        window = self._text.passages.shape[1]
        return [
            Converted(*way, window, self._results(f"{way[0]}-{way[2]}", way[1]))
            for way in self._counted("checking on texts", made)
        ]

    def without_bos(self) -> list[Converted]:
        """Return the duel without the beginning token, at two heads' worth of numbers.

        Fitted to passages without it, and measured on such.
        """
        numbers = 2 * self._layers[0].W_K.shape[2]
        sizes = [size for size in self._sizes if size.numbers == numbers]
        duel = self._ways(self._fits("short", self._text.short, self._ranks(sizes)), sizes)
        judge = Judge(self._model, self._layers, self._text.short_held_out)
        window = self._text.short.shape[1]
        return [
            Converted(
                *way, window, TextResults(self._result(f"short-{way[0]}", judge, way[1]), None)
            )
            for way in self._counted("checking without the beginning token", duel)
        ]

    @cached_property
    def exactness(self) -> float:
        """The largest difference of logits with nothing dropped, relative to their size."""

        def make() -> float:
            statistics = self._statistics("passages", self._text.passages)
            ids = self._text.held_out[0].tolist()
            return exactness(self._model, self._layers, statistics, ids)

        return float(self._piece("exactness", make))

    @property
    def median_changes(self) -> tuple[float, float]:
        """How much merged matrices change with distance; see `median_changes`."""
        one, five = self._piece("merged", lambda: median_changes(self._layers))
        return float(one), float(five)

    def _ranks(self, sizes: Sequence[Size]) -> dict[str, int]:
        """Return what `LayerFit.of` needs to know for a ladder."""
        ranks = {LayerFit.MQA: self._layers[0].W_V.shape[2]}
        for size in sizes:
            for kind, rank in ((LayerFit.LATENT, size.numbers), (str(size.rotated), size.rank)):
                ranks[kind] = max(rank, ranks.get(kind, 0))
        return ranks

    def _ways(self, fits: Sequence[LayerFit], sizes: Sequence[Size]) -> list[_Way]:
        """Return the models of a ladder."""
        own = self._layers
        mean = [mqa_mean(layer) for layer in own]
        fitted = [fit.mqa(layer) for fit, layer in zip(fits, own, strict=True)]
        one = fitted[0]
        made: list[_Way] = [
            ("model", own, own[0].cached, None, None),
            ("mqa", mean, mean[0].cached, None, None),
            ("mqa_fitted", fitted, one.cached, one.rotated, one.rank),
        ]
        for size in sizes:
            n, pairs = size.numbers, list(zip(fits, own, strict=True))
            latent = [fit.latent(layer, n) for fit, layer in pairs]
            made.append(("latent_then_rotate", latent, n, 0, n))
            mla = [fit.mla(layer, size.rotated, size.rank) for fit, layer in pairs]
            made.append(("mla", mla, n, size.rotated, size.rank))
        return made

    # What is stored

    @cached_property
    def stored(self) -> Converted:
        """The conversion that is stored, before any healing."""
        return self._measured(self._stored, self._plain)

    @cached_property
    def healed(self) -> Converted | None:
        """The same after healing; None without."""
        if not self._settings.heal_minutes:
            return None
        return self._measured(self._healed, self._kept_layers(self._healed, self._heal))

    @property
    def healing(self) -> tuple[LayerHealing, ...]:
        """How the healing of each layer went; empty without."""
        n = len(self._layers) if self.healed else 0
        reported = [self._piece(f"{self._healed}-{number}", dict) for number in range(n)]
        reports: tuple[LayerHealing, ...] = from_json(tuple[LayerHealing, ...], reported)
        return reports

    @cached_property
    def _plain(self) -> list[MLALayer]:
        def make() -> list[MLALayer]:
            made, (rotated, rank) = [], (self.size.rotated, self.size.rank)
            known = self._statistics(self._stored, self._text.fitted)
            pairs = list(zip(self._layers, known, strict=True))
            for layer, statistics in self._counted("fitting", pairs):
                exact = layer.to(torch.float64)
                fit = LayerFit.of(exact, statistics, {str(rotated): rank})
                converted = fit.mla(exact, rotated, rank).to(torch.float32)
                made.append(unit_latent(converted, statistics.gram))
            return made

        return self._kept_layers(self._stored, make)

    def _measured(self, name: str, layers: Sequence[MLALayer]) -> Converted:
        (results,) = (
            self._results(name, one) for one in self._counted("checking what is stored", [layers])
        )
        size, window = self.size, self._text.fitted.shape[1]
        return Converted("mla", layers, size.numbers, size.rotated, size.rank, window, results)

    def windows(self) -> tuple[WindowRow, ...]:
        """Return the results at the full length of a window of the model and what is stored."""
        others = [one.layers for one in (self.stored, self.healed) if one]
        kinds = (("model", False), ("mla", False), ("mla", True))

        def make() -> list[dict[str, Any]]:
            n = len(self._text.long)
            found = compare_on_windows(
                *(self._model, self._layers, others, self._text.long, self.window_first),
                lambda done: self._progress("checking long texts", done, n),
            )
            return [asdict(result) for result in found]

        name = self._healed if self.healed else self._stored
        results = from_json(tuple[TextResult, ...], self._piece(f"{name}-windows", make))
        rows = zip(kinds, results, strict=False)
        return tuple(WindowRow(way, is_healed, result) for (way, is_healed), result in rows)

    @property
    def window_first(self) -> int:
        """First position of a window that is counted."""
        return min(128, self._text.long.shape[1] // 2)

    def _heal(self) -> list[MLALayer]:
        """Heal layer by layer, in the original model's stream."""
        plain = self._plain
        windows = torch.cat([self._text.fitted, self._text.validation])
        seconds = 60 * self._settings.heal_minutes / len(plain)
        stream_file = self._folder / f"{self._healed}-stream.npz"
        healed, stream = [], None
        for number, layer in enumerate(self._counted("healing", plain)):
            name = f"{self._healed}-{number}"
            try:
                (made,) = _load_layers(self._folder / f"{name}.npz", [self._layers[number]])
                json.loads(self._file(name).read_text())
            except _DAMAGE:
                if stream is None:
                    stream = LayerStream.restart(self._model, windows, stream_file)
                while stream.layer < number:
                    self._inputs_and_outputs(stream)
                inputs, outputs = self._inputs_and_outputs(stream)
                n_validation = len(self._text.validation)
                result = heal_layer(layer, inputs, outputs, n_validation, seconds, _SEED + number)
                made = result.layer
                _save_layers([made], self._folder / f"{name}.npz")
                write_text(self._file(name), json.dumps(asdict(result.report)))
                stream.keep(stream_file)
            healed.append(made)
        stream_file.unlink(missing_ok=True)
        return healed

    def _inputs_and_outputs(self, stream: LayerStream) -> tuple[Tensor, Tensor]:
        """Take a stream through its next layer; both are (window, position, d_model)."""
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []

        def watch(x: Tensor, projected: Projected, out: Tensor) -> None:
            inputs.append(x)
            outputs.append(out)

        stream.step(self._layers[stream.layer], watch)
        return torch.stack(inputs), torch.stack(outputs)

    # Results on texts

    @cached_property
    def _judges(self) -> dict[str, Judge]:
        texts = {"held-out": self._text.held_out, "second": self._text.second}
        if self._settings.quick:
            del texts["second"]
        return {name: Judge(self._model, self._layers, text) for name, text in texts.items()}

    def _results(self, name: str, layers: Sequence[Layer]) -> TextResults:
        """Return the results of a model, measured unless they are known."""
        found = [
            self._result(f"{name}-{text}", judge, layers) for text, judge in self._judges.items()
        ]
        return TextResults(found[0], found[1] if len(found) > 1 else None)

    def _result(self, name: str, judge: Judge, layers: Sequence[Layer]) -> TextResult:
        document = self._piece(name, lambda: asdict(judge.result(layers)))
        result: TextResult = from_json(TextResult, document)
        return result

    @cached_property
    def _shipped(self) -> dict[str, Any]:
        """What was measured of this model for the trace that comes with the project, by name."""
        known: dict[str, Any] = {}
        try:
            trace = Trace.load(_SHIPPED)
            report = conversion_report(trace)
        except TraceError:  # a trace without one is being made
            return known
        if (trace.meta.source.sha256, report.texts, report.bos) != (
            *(self._source.sha256, self._text.sha256, self._bos),
        ):
            return known
        known["exactness"] = report.exactness
        known["merged"] = [report.merged.median_change_1, report.merged.median_change_5]
        rows = {f"{row.way}-{row.numbers}": row for row in report.ladder}
        fitted = (self.size.rotated, self.size.rank, *self._text.fitted.shape)
        if (report.rotated, report.rank, report.tokens // report.window, report.window) == fitted:
            rows[self._stored] = report.stored
            windows = [asdict(row.result) for row in report.windows if not row.healed]
            known[f"{self._stored}-windows"] = windows
        for name, row in rows.items():
            known[f"{name}-held-out"] = asdict(TextResult(row.perplexity, row.agreement, row.kl))
            if row.second_text is not None:
                known[f"{name}-second"] = asdict(row.second_text)
        return known

    # Pieces

    def finish(self) -> None:
        """Remove what later runs do not need, and say what this one converted into."""
        for folder in self._folder.glob("*.statistics"):
            shutil.rmtree(folder, ignore_errors=True)
        write_text(self._file(_LAST), json.dumps(asdict(self._settings)))

    def _counted(self, task: str, things: Sequence[_Thing]) -> Iterator[_Thing]:
        """Yield things, and report each one that is done."""
        for done, thing in enumerate(things):
            self._progress(task, done, len(things))
            yield thing
        self._progress(task, len(things), len(things))

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _piece(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a JSON document, made unless it is kept or comes with the project."""
        try:
            return json.loads(self._file(name).read_text())
        except _DAMAGE:
            if self._borrows and name in self._shipped:
                return self._shipped[name]
            document = make()
            write_text(self._file(name), json.dumps(document))
            return document

    def _statistics(self, name: str, windows: Tensor) -> list[LayerStatistics]:
        """Return the statistics of every layer on a text; they are kept until `finish`."""
        n = len(self._layers)
        return gather_statistics(
            *(self._model, self._layers, windows, self._folder / f"{name}.statistics"),
            lambda layer: self._progress("reading texts", layer + 1, n),
        )

    def _fits(self, name: str, windows: Tensor, ranks: Mapping[str, int]) -> list[LayerFit]:
        """Return a fit for each layer, in single precision, made unless it is kept."""
        file = self._folder / f"{name}.npz"
        try:
            fits = [LayerFit.from_tensors(group) for group in _load_groups(file)]
            if all(fit.covers(ranks) for fit in fits):
                return fits
        except _DAMAGE:
            pass
        if name == "passages":
            _ = self.exactness  # it needs the same statistics
        known = self._statistics(name, windows)
        groups = []
        for layer, statistics in self._counted(
            "fitting", list(zip(self._layers, known, strict=True))
        ):
            fit = LayerFit.of(layer.to(torch.float64), statistics, ranks)
            groups.append({name: _single(tensor) for name, tensor in fit.tensors().items()})
        _save_groups(groups, file)
        return [LayerFit.from_tensors(group) for group in _load_groups(file)]

    def _kept_layers(self, name: str, make: Callable[[], list[MLALayer]]) -> list[MLALayer]:
        """Return converted layers, made unless they are kept."""
        file = self._folder / f"{name}.npz"
        try:
            return _load_layers(file, self._layers)
        except _DAMAGE:
            _save_layers(make(), file)
            return _load_layers(file, self._layers)


def last_settings(folder: Path) -> Settings | None:
    """Return what a model was converted into last; None if nothing is kept of it."""
    try:
        settings: Settings = from_json(Settings, json.loads((folder / f"{_LAST}.json").read_text()))
    except (*_DAMAGE, TypeError):
        return None
    return settings


def _single(tensor: Tensor) -> Tensor:
    """Return a tensor in single precision."""
    return tensor.to(torch.complex64 if tensor.is_complex() else torch.float32)


def _save_groups(groups: Sequence[Mapping[str, Tensor]], file: Path) -> None:
    """Write a group of tensors for each layer."""
    arrays = {f"{n}/{k}": t.numpy() for n, group in enumerate(groups) for k, t in group.items()}
    with atomic_write(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _load_groups(file: Path) -> list[dict[str, Tensor]]:
    groups: dict[int, dict[str, Tensor]] = {}
    with np.load(file) as saved:
        for key in saved.files:
            number, _, name = key.partition("/")
            groups.setdefault(int(number), {})[name] = torch.from_numpy(saved[key])
    return [groups[number] for number in range(len(groups))]


def _save_layers(layers: Sequence[MLALayer], file: Path) -> None:
    """Write the new weights of converted layers, in half precision as a trace holds them."""
    groups = []
    for layer in layers:
        halves = {name: getattr(layer, name).half() for name in CONVERTED_WEIGHTS}
        if not all(bool(half.isfinite().all()) for half in halves.values()):
            raise ExtractError("weights of the conversion do not fit into 16 bits; nothing is done")
        groups.append(halves | {"frequencies": layer.frequencies})
    _save_groups(groups, file)


def _load_layers(file: Path, own: Sequence[AttentionLayer]) -> list[MLALayer]:
    """Read the layers of `_save_layers`; `own` are the model's."""
    return [
        MLALayer(
            W_Q=layer.W_Q,
            b_Q=layer.b_Q,
            W_O=layer.W_O,
            scale=layer.scale,
            **{name: tensor.float() for name, tensor in group.items()},
        )
        for layer, group in zip(own, _load_groups(file), strict=True)
    ]
