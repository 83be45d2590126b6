"""What a conversion knows of a model, whatever the prompt: its fits, and its results on texts.

All of it is made once, piece by piece, and kept (`extract.support.kept`); a run that was stopped
goes on where it was:

1. Statistics of every layer's inputs on calibration prose (`extract.conversion.model`): in short
   passages of the project's own text, and in long windows of mixed prose.
2. A ladder of sizes, each fitted to the passages (`extract.conversion.fits`) and measured on texts
   (`extract.conversion.evaluation`).
3. The conversion that is stored, fitted to the windows so that it holds at their length, and the
   best shared set in the same setting; with healing (`extract.conversion.healing`), both before and
   after it.

Needs torch and transformers.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from extract.conversion.evaluation import (
    Judge,
    Size,
    compare_on_windows,
    ladder_sizes,
)
from extract.conversion.fits import (
    LATENT,
    MQA,
    AttentionLayer,
    Components,
    JointFit,
    Layer,
    LayerFit,
    LayerStatistics,
    MLALayer,
    mqa_mean,
)
from extract.conversion.healing import heal_layer, unit_latent
from extract.conversion.model import LayerStream, gather_statistics, layer_by_layer
from extract.conversion.pieces import keep, kept
from extract.conversion.text import ConversionText
from extract.errors import ExtractError, TraceError
from extract.models.loading import LoadedModel
from extract.models.token_sequence import ProgressCallback
from extract.support.assets import asset
from extract.trace import Trace
from extract.trace.contents.conversion_names import CONVERTED_WEIGHTS
from extract.trace.contents.conversion_report import (
    CONVERSION_TOKENS,
    QUICK_TOKENS,
    STORED_WAYS,
    LayerHealing,
    TextResult,
    WindowRow,
    conversion_report,
)

__all__ = ["QUICK", "Converted", "ModelConversion", "Settings", "last_settings"]

_SHIPPED = asset("traces/smollm2-135m.safetensors")
"""The trace that comes with the project; its report holds what was measured of its model."""

_SEED = 0

_Thing = TypeVar("_Thing")

_LAST = "last.pt"
"""The piece that says what the last finished run converted into."""


@dataclass(frozen=True)
class Settings:
    """What to convert into.

    Attributes
    ----------
    rotated : int or None
        Width of the shared rotated key.  By default it and the latent together are as large as one
        shared set of keys and values, of which it is a quarter.
    rank : int or None
        Of the latent.
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
        one_set = Size.of_one_set(layer.cached // layer.W_K.shape[1])
        size = Size(
            rotated=one_set.rotated if self.rotated is None else self.rotated,
            rank=one_set.rank if self.rank is None else self.rank,
        )
        keys, most = layer.W_K[0].numel(), min(len(layer.W_K), layer.cached)
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


class Converted(NamedTuple):
    """One converted model.

    Attributes
    ----------
    way : str
        One of `extract.trace.contents.conversion_report.WAYS`.
    layers : sequence of Layer
    fitted_window : int
        Length of the windows that it was fitted to.
    numbers : int
        Cached for each token and layer.
    rotated, rank : int or None
        Where the way has them.
    on_texts : tuple of TextResult
        On the held-out text and, where it was read too, on the second text; empty until it is
        measured.
    """

    way: str
    layers: Sequence[Layer]
    fitted_window: int
    numbers: int
    rotated: int | None = None
    rank: int | None = None
    on_texts: tuple[TextResult, ...] = ()


@dataclass(frozen=True, eq=False)
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
    borrows : bool
        Whether results that come with the project need not be measured again.
    """

    loaded: LoadedModel
    layers: Sequence[AttentionLayer]
    text: ConversionText
    bos: bool
    settings: Settings
    folder: Path
    progress: ProgressCallback
    borrows: bool

    @cached_property
    def size(self) -> Size:
        """The size of the conversion that is stored."""
        return self.settings.size(self.layers[0])

    # The ladder

    @cached_property
    def _sizes(self) -> tuple[Size, ...]:
        own, quick = self.layers[0], self.settings.quick
        return ladder_sizes(own.cached, own.W_K.shape[1], quick=quick)

    @cached_property
    def fits(self) -> list[LayerFit]:
        """The fits of the ladder, one for each layer, in single precision."""
        ranks = {MQA: self.layers[0].W_V.shape[2]}
        for size in self._sizes:
            for kind, rank in ((LATENT, size.numbers), (str(size.rotated), size.rank)):
                ranks[kind] = max(rank, ranks.get(kind, 0))

        def make() -> list[dict[str, Any]]:
            return [
                {
                    "parts": _single(fit.parts._asdict()),
                    "mean": fit.mean.float(),
                    "joint": {kind: _single(one._asdict()) for kind, one in fit.joint.items()},
                }
                for _, _, fit in self._fitted("passages", self.text.passages, ranks)
            ]

        name = hashlib.sha256(repr(ranks).encode()).hexdigest()[:8]
        return [
            LayerFit(
                Components(**piece["parts"]),
                piece["mean"],
                {kind: JointFit(**tensors) for kind, tensors in piece["joint"].items()},
            )
            for piece in self._piece(f"fits-{name}", make)
        ]

    @cached_property
    def ladder(self) -> list[Converted]:
        """The model itself, two ways into multi-query attention, and both ways at every size."""
        own, window = self.layers, self.text.passages.shape[1]
        pairs = list(zip(self.fits, own, strict=True))
        mean = [mqa_mean(layer) for layer in own]
        one = [fit.mqa(layer) for fit, layer in pairs]
        made = [
            Converted("model", own, window, own[0].cached),
            Converted("mqa", mean, window, mean[0].cached),
            Converted("mqa_fitted", one, window, one[0].cached, one[0].rotated, one[0].rank),
        ]
        for size in self._sizes:
            n, rotated, rank = size.numbers, size.rotated, size.rank
            latent = [fit.latent(layer, n) for fit, layer in pairs]
            mla = [fit.mla(layer, rotated, rank) for fit, layer in pairs]
            made.append(Converted("latent_then_rotate", latent, window, n, 0, n))
            made.append(Converted("mla", mla, window, n, rotated, rank))
        return [
            self._measured(f"{way.way}-{way.numbers}", way)
            for way in self._counted("checking on texts", made)
        ]

    # What is stored

    @cached_property
    def stored(self) -> dict[str, list[Converted]]:
        """By way what is stored: before any healing and, if there is healing, after it.

        The ways are "mla" and, in the same setting, "mqa_fitted".
        """
        window = self.text.fitted.shape[1]
        versions = {self._name: self._plain}
        if self._healed:
            versions[self._healed_name] = self._healed
        made = {}
        for name, of_ways in versions.items():
            for way, pieces in of_ways.items():
                layers = _restored(self.layers, pieces)
                sizes = layers[0].cached, layers[0].rotated, layers[0].rank
                made[f"{name}-{way}"] = Converted(way, layers, window, *sizes)
        measured = [
            self._measured(name, one)
            for name, one in self._counted("checking what is stored", made.items())
        ]
        return {way: [one for one in measured if one.way == way] for way in STORED_WAYS}

    def healing(self, way: str) -> tuple[LayerHealing, ...]:
        """Return how the healing of each layer went; empty without."""
        pieces = self._healed[way] if self._healed else []
        return tuple(LayerHealing(**piece["report"]) for piece in pieces)

    @property
    def _name(self) -> str:
        windows = hashlib.sha256(self.text.fitted.numpy().tobytes()).hexdigest()[:8]
        return f"fitted-{self.size.rotated}-{self.size.rank}-{windows}"

    @property
    def _healed_name(self) -> str:
        return f"{self._name}-healed-{self.settings.heal_minutes:g}"

    @cached_property
    def _plain(self) -> dict[str, list[dict[str, Any]]]:
        """By way the new weights of each layer before any healing."""
        rotated, rank = self.size.rotated, self.size.rank

        def make() -> dict[str, list[dict[str, Any]]]:
            ranks = {str(rotated): rank, MQA: self.layers[0].W_V.shape[2]}
            made: dict[str, list[dict[str, Any]]] = {way: [] for way in STORED_WAYS}
            for exact, statistics, fit in self._fitted(self._name, self.text.fitted, ranks):
                for way, layer in zip(
                    STORED_WAYS, (fit.mla(exact, rotated, rank), fit.mqa(exact)), strict=True
                ):
                    single = unit_latent(layer.to(torch.float32), statistics.gram)
                    made[way].append(_halves(single))
            return made

        found: dict[str, list[dict[str, Any]]] = self._piece(self._name, make)
        return found

    @cached_property
    def _healed(self) -> dict[str, list[dict[str, Any]]]:
        """By way the new weights of each layer and how its healing went; empty without healing.

        Every layer is healed by itself, in the original model's stream.
        """
        if not self.settings.heal_minutes:
            return {}
        plain = {way: _restored(self.layers, pieces) for way, pieces in self._plain.items()}
        n_layers, n_validation = len(self.layers), len(self.text.validation)
        seconds = 60 * self.settings.heal_minutes / n_layers

        def make(number: int, stream: LayerStream) -> dict[str, Any]:
            seen: list[tuple[Tensor, Tensor]] = []
            stream.through(number, lambda x, projected, out: seen.append((x, out)))
            inputs, outputs = map(torch.cat, zip(*seen, strict=True))
            of_ways = {}
            for way, layers in plain.items():
                healed, report = heal_layer(
                    *(layers[number], inputs, outputs, n_validation, seconds, _SEED + number)
                )
                of_ways[way] = _halves(healed) | {"report": asdict(report)}
            return of_ways

        pieces = layer_by_layer(
            *(self.loaded.model, self.layers, torch.cat([self.text.fitted, self.text.validation])),
            *(self.folder / self._healed_name, make),
            lambda done: self.progress("healing", done, n_layers),
        )
        return {way: [piece[way] for piece in pieces] for way in STORED_WAYS}

    def windows(self) -> tuple[WindowRow, ...]:
        """Return the results at the full length of a window of the model and what is stored."""
        stored = [
            (one, number > 0) for way in self.stored.values() for number, one in enumerate(way)
        ]

        def make() -> list[dict[str, Any]]:
            n = len(self.text.long)
            found = compare_on_windows(
                *(self.loaded.model, self.layers, [one.layers for one, _ in stored]),
                *(self.text.long, self.window_first),
                lambda done: self.progress("checking long texts", done, n),
            )
            return [asdict(result) for result in found]

        name = self._healed_name if self._healed else self._name
        kinds = [("model", False), *((one.way, is_healed) for one, is_healed in stored)]
        rows = zip(kinds, self._piece(f"{name}-windows", make), strict=True)
        return tuple(
            WindowRow(way, is_healed, TextResult(**result)) for (way, is_healed), result in rows
        )

    @property
    def window_first(self) -> int:
        """First position of a window that is counted."""
        return min(128, self.text.long.shape[1] // 2)

    # Results on texts

    @cached_property
    def _judges(self) -> dict[str, Judge]:
        texts = {"held-out": self.text.held_out}
        if not self.settings.quick:
            texts["second"] = self.text.second
        return {name: Judge(self.loaded.model, self.layers, text) for name, text in texts.items()}

    def _measured(self, name: str, made: Converted) -> Converted:
        """Return a converted model with its results, measured unless they are known."""

        def measure(judge: Judge) -> dict[str, float]:
            return asdict(judge.result(made.layers))

        found = [
            self._piece(f"{name}-{text}", partial(measure, judge))
            for text, judge in self._judges.items()
        ]
        return made._replace(on_texts=tuple(TextResult(**result) for result in found))

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
            *(self.loaded.source.sha256, self.text.sha256, self.bos),
        ):
            return known
        rows = {f"{row.way}-{row.numbers}": row for row in report.ladder}
        fitted = (self.size.rotated, self.size.rank, *self.text.fitted.shape)
        same = (report.rotated, report.rank, report.tokens // report.window, report.window)
        if same == fitted and report.shared_set is not None:
            sides = report.stored, report.shared_set.stored
            rows |= {f"{self._name}-{row.way}": row for row in sides}
            windows = [asdict(row.result) for row in report.windows if not row.healed]
            known[f"{self._name}-windows"] = windows
        for name, row in rows.items():
            known[f"{name}-held-out"] = asdict(TextResult(row.perplexity, row.agreement, row.kl))
            if row.second_text is not None:
                known[f"{name}-second"] = asdict(row.second_text)
        return known

    # Pieces

    def finish(self) -> None:
        """Remove what later runs do not need, and say what this one converted into."""
        for folder in self.folder.glob("*.statistics"):
            shutil.rmtree(folder, ignore_errors=True)
        keep(asdict(self.settings), self.folder / _LAST)

    def _counted(self, task: str, things: Collection[_Thing]) -> Iterator[_Thing]:
        """Yield things, and report each one that is done."""
        for done, thing in enumerate(things):
            self.progress(task, done, len(things))
            yield thing
        self.progress(task, len(things), len(things))

    def _piece(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a piece, made unless it is kept or comes with the project."""
        file = self.folder / f"{name}.pt"
        piece = kept(file)
        if piece is None and self.borrows:
            piece = self._shipped.get(name)
        if piece is None:
            piece = make()
            keep(piece, file)
        return piece

    def _fitted(
        self, name: str, windows: Tensor, ranks: Mapping[str, int]
    ) -> Iterator[tuple[AttentionLayer, LayerStatistics, LayerFit]]:
        """Yield each layer in float64, what is known of its inputs on a text, and its fit.

        The statistics are kept until `finish`.
        """
        n = len(self.layers)
        known = gather_statistics(
            *(self.loaded.model, self.layers, windows, self.folder / f"{name}.statistics"),
            lambda done: self.progress("reading texts", done, n),
        )
        pairs = list(zip(self.layers, known, strict=True))
        for layer, statistics in self._counted("fitting", pairs):
            exact = layer.to(torch.float64)
            yield exact, statistics, LayerFit.of(exact, statistics, ranks)


def last_settings(folder: Path) -> Settings | None:
    """Return what a model was converted into last; None if nothing is kept of it."""
    piece = kept(folder / _LAST)
    return None if piece is None else Settings(**piece)


def _single(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors in single precision."""
    return {
        name: tensor.to(torch.complex64 if tensor.is_complex() else torch.float32)
        for name, tensor in tensors.items()
    }


def _halves(layer: MLALayer) -> dict[str, Tensor]:
    """Return the new weights of a converted layer, in half precision as a trace holds them."""
    halves = {name: getattr(layer, name).half() for name in CONVERTED_WEIGHTS}
    if not all(bool(half.isfinite().all()) for half in halves.values()):
        raise ExtractError("weights of the conversion do not fit into 16 bits; nothing is done")
    return halves | {"frequencies": layer.frequencies}


def _restored(
    own: Sequence[AttentionLayer], pieces: Sequence[Mapping[str, Tensor]]
) -> list[MLALayer]:
    """Return the layers of `_halves`; `own` are the model's."""
    new = (*CONVERTED_WEIGHTS, "frequencies")
    return [
        MLALayer(
            W_Q=layer.W_Q,
            b_Q=layer.b_Q,
            W_O=layer.W_O,
            scale=layer.scale,
            **{name: piece[name].float() for name in new},
        )
        for layer, piece in zip(own, pieces, strict=True)
    ]
