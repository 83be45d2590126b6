"""The activations of one model for one prompt, by the names that `extract.trace` lists."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors_numpy

from extract.attention.arithmetic import AttentionResult, Rotation, attend, capped, causal_mask
from extract.errors import TraceError
from extract.limits import MAX_FILE
from extract.support.files import OutputError, write_bytes
from extract.support.plain_text import shortened
from extract.trace.contents.conversion_names import (
    conversion_axes,
    conversion_dtype,
    conversion_sizes,
)
from extract.trace.contents.meta import (
    SCHEMA,
    TOP_TOKENS,
    TraceMeta,
    damaged,
    validate_meta,
)
from extract.trace.older_files import completed
from extract.trace.proof.prove import ProofError, prove
from extract.trace.seal import broken_seal, has_seal, sealed

__all__ = ["ROTATION", "Trace"]

ROW_SUM_TOLERANCE = 1e-4
"""Largest allowed deviation of a pattern row's sum from 1 (float32 softmax gives about 4e-7)."""

_SAME_CHANCE = 1e-3
"""Relative difference of two probabilities that counts as none: a model that generates sees the
tokens one by one, and the trace sees all of them at once."""

Array = npt.NDArray[Any]

ROTATION = ("rope_cos", "rope_sin")
"""Tensors that are stored once where all layers have the same."""

_METADATA_KEY = "trace"
_CHECKSUM_KEY = "sha256"
"""Of the content, not of the file: what version 1 had instead of a seal, in its last files."""

_WEIGHTS = ("W_Q", "W_K", "W_V", "W_O")
_MLA_WEIGHTS = ("W_DKV", "W_KR", "W_UK", "W_UV", "g_KV", "W_O")
_MLA_LATENT_QUERY = ("W_DQ", "g_Q", "W_UQ")


@dataclass(frozen=True)
class Trace:
    """Activations of one model for one prompt; the module documentation lists the tensors.

    Parameters
    ----------
    meta : TraceMeta
    tensors : mapping of str to array
        Arrays by name, such as ``"q.15"``; they become read-only.

    Examples
    --------
    >>> from extract import Trace
    >>> trace = Trace.load("assets/traces/smollm2-135m.safetensors")
    >>> trace.meta.model, trace.meta.featured
    ('SmolLM2-135M-Instruct (Q4_1)', Featured(layer=11, head=3))
    >>> trace.axes("pattern.11"), trace["pattern.11"].shape
    (('n_heads', 'query_pos', 'key_pos'), (9, 14, 14))
    >>> trace.meta.top_tokens[trace.meta.n_prompt - 1]  # what the model expects after the prompt
    (' blue', ' green', ' gold', ' five', ' two')
    """

    meta: TraceMeta
    tensors: Mapping[str, Array]

    def __post_init__(self) -> None:
        frozen = {}
        for name, array in self.tensors.items():
            view = array.view()
            view.setflags(write=False)
            frozen[name] = view
        object.__setattr__(self, "tensors", MappingProxyType(frozen))

    def __reduce__(self) -> tuple[Any, ...]:
        """Allow it to be pickled: other processes may take it without reading its file."""
        return Trace, (self.meta, dict(self.tensors))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the metadata and the tensors: traces with equal ones hold the same."""
        content = hashlib.sha256(self.meta.to_json().encode())
        for name, array in sorted(self.tensors.items()):
            content.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()

    # Reading and writing

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, sealed_again: bool = False) -> Trace:
        """Read, validate and prove a trace.

        Parameters
        ----------
        path : path-like
        sealed_again : bool
            Accept a file whose seal is broken or missing, because it was changed on purpose; its
            content is proved all the same.

        Raises
        ------
        TraceError
            If the file is missing, changed or not a valid trace; the message is one line that
            names the file, the error and what to do.
        ProofError
            If a stage, computed again, differs from the stored one; see `prove`.
        """
        path = Path(path)
        try:
            if path.exists() and not path.is_file():
                raise TraceError("it is not a readable trace (not a file); name another")
            if path.stat().st_size > MAX_FILE:
                raise damaged(f"it has more than {MAX_FILE / 2**30:g} GiB")
            if not sealed_again and broken_seal(path):
                raise _changed("its seal does not fit its content")
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if _METADATA_KEY not in metadata:
                    raise TraceError(
                        "it holds tensors but is not a trace; make one with 'python -m extract'"
                    )
                meta = TraceMeta.from_json(metadata[_METADATA_KEY])
                names = file.keys()
                tensors = {name: file.get_tensor(name) for name in names}
            trace = cls(meta, tensors)
            if meta.schema > 1 and not has_seal(path) and not sealed_again:
                raise _changed("it has no seal")
            trace.validate()
            if meta.schema == 1:
                if metadata.get(_CHECKSUM_KEY, trace.digest) != trace.digest and not sealed_again:
                    raise _changed("its checksum does not fit its content")
                trace = completed(trace)
            trace.prove()
        except ProofError as error:
            raise ProofError(f"{path}: {error}", error.errors) from error
        except TraceError as error:
            raise TraceError(f"{path}: {error}") from error
        except FileNotFoundError as error:
            raise TraceError(
                f"{path}: there is no such file; make it with 'python -m extract'"
            ) from error
        except MemoryError as error:
            raise TraceError(f"{path}: it does not fit into this machine's memory") from error
        except (SafetensorError, OSError, TypeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise damaged(f"{path}: it is not a readable trace ({shortened(reason)})") from error
        return trace

    def save(self, path: str | os.PathLike[str]) -> None:
        """Validate and prove the trace, and write it with a seal; see `extract.trace.seal`.

        It is written atomically, so that no incomplete file is ever left.

        Raises
        ------
        TraceError
            If the trace is not valid or the file cannot be written.
        """
        path = Path(path)
        try:
            self.validate()
            self.prove()
        except TraceError as error:
            raise TraceError(f"{path}: not written: {error}") from error
        tensors = {name: np.ascontiguousarray(array) for name, array in self.tensors.items()}
        metadata = {_METADATA_KEY: replace(self.meta, schema=SCHEMA).to_json()}
        try:
            write_bytes(path, sealed(safetensors_numpy.save(tensors, metadata=metadata)))
        except OutputError as error:
            raise TraceError(str(error)) from error

    def prove(self) -> dict[str, float]:
        """Compute every stage again from the stage before it, as far as the trace holds them.

        `load` and `save` do so; see `extract.trace.proof.prove`.

        Returns
        -------
        dict
            The largest error of every stage over all layers, max|a - b| / max|b|.

        Raises
        ------
        ProofError
            If an error is too large.  The message names the first stage, its layer and its error.
        """
        return prove(self)

    # Tensors by name

    @staticmethod
    def tensor_name(name: str, layer: int) -> str:
        """Return a layer's tensor name: ``tensor_name("q_rot", 15)`` is ``"q_rot.15"``."""
        return f"{name}.{layer}"

    def __getitem__(self, name: str) -> Array:
        try:
            return self.tensors[name]
        except KeyError:
            what = f"the trace of {self.meta.model} has no tensor '{name}'"
            if self.meta.source.kind == "imported":
                what += "; it was imported without it"
            elif self.meta.published is not None:
                what += f", only published patterns; extract it with: {self.command}"
            raise TraceError(what) from None

    def get(self, name: str, layer: int) -> Array:
        """Return a layer's tensor, for instance ``get("pattern", 15)``.

        Raises
        ------
        TraceError
            If the trace does not hold it.
        """
        return self[self.tensor_name(name, layer)]

    def has(self, name: str, layer: int) -> bool:
        """Return whether the trace holds a layer's tensor."""
        return self.tensor_name(name, layer) in self.tensors

    def axes(self, name: str) -> tuple[str, ...]:
        """Return the names of a tensor's axes, as in the module documentation.

        Raises
        ------
        TraceError
            If the trace does not hold it.
        """
        shape = self[name].shape
        if name.startswith("pattern.") or re.fullmatch(r"mla\.\d+\.pattern", name):
            return ("n_heads", "query_pos", "key_pos")
        axes = self._axes[name]
        # Each fitted latent has its own rank axis, "r_<layer>"; the documented name is "r".
        return tuple(
            "r" if re.fullmatch(r"r_\d+", axis) else axis
            for axis, _ in zip(axes, shape, strict=True)
        )

    @cached_property
    def _axes(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the axes of all tensors that the trace may hold."""
        return dict(self._required()) | dict(self._optional())

    def layers_with_weights(self) -> tuple[int, ...]:
        """Return the layers whose weights are stored, in ascending order."""
        return tuple(layer for layer in range(self.meta.n_layers) if self.has("W_O", layer))

    def weights(self, name: str, layer: int) -> Array:
        """Return a weight or bias of a layer, for instance ``weights("W_Q", 15)``.

        Raises
        ------
        TraceError
            If the trace does not hold that layer's weights (the message names the command that adds
            them), or if the layer has no such weight.
        """
        if self.meta.published is None and not self.has("W_O", layer):
            raise TraceError(
                f"the trace of {self.meta.model} does not hold the weights of layer {layer}; "
                f"add them with: {self._command_with(layer)}"
            )
        return self.get(name, layer)

    @property
    def command(self) -> str:
        """The command that extracts the model of this trace on the same prompt."""
        return (
            f"python -m extract --model {shlex.quote(self.meta.source.name)} "
            f"--prompt {shlex.quote(self.meta.prompt)}"
        )

    def _command_with(self, layer: int) -> str:
        """Return the command that extracts this trace again with the weights of one more layer."""
        featured = self.meta.featured.layer
        layers = (
            featured,
            *(stored for stored in self.layers_with_weights() if stored != featured),
            layer,
        )
        if self.meta.source.kind == "memory":
            return f"extract.trace(model, tokenizer, prompt, layers={list(layers)})"
        options = " ".join(f"--layer {number}" for number in layers)
        return f"{self.command} {options} --out FILE"

    # Queries, keys and scores

    @property
    def rotates(self) -> bool:
        """Whether queries and keys are rotated by position before their dot product."""
        return self.meta.positions == "rotary"

    def kv_head(self, head: int) -> int:
        """Return the key/value head that a query head uses."""
        return head // (self.meta.n_heads // self.meta.n_kv_heads)

    def unrotated(self, name: str) -> str:
        """Return the tensor of queries ("q") or keys ("k") before their rotation, after any norm.

        That is "q" or "k", and "q_norm" or "k_norm" for a model that normalises them.
        """
        return name if self.meta.qk_norm is None else f"{name}_norm"

    def used(self, name: str) -> str:
        """Return the tensor of queries ("q") or keys ("k") that is used in the scores."""
        return f"{name}_rot" if self.rotates else self.unrotated(name)

    def rotation(self, layer: int) -> Rotation:
        """Return how a layer of a model with rotary positions rotates queries and keys."""
        cos, sin = (
            self.get(name, layer) if self.has(name, layer) else self[name] for name in ROTATION
        )
        return Rotation(cos, sin, self.meta.rotary_style, self.meta.rotary_start)

    def queries(self, layer: int) -> Array:
        """Return the queries as used in the scores, after any rotation: [pos, n_heads, d_qk]."""
        return self.get(self.used("q"), layer)

    def keys(self, layer: int) -> Array:
        """Return the keys as used in the scores, after any rotation: [pos, n_kv_heads, d_qk]."""
        return self.get(self.used("k"), layer)

    def attend(
        self, layer: int, q: npt.ArrayLike, k: npt.ArrayLike, v: npt.ArrayLike
    ) -> AttentionResult:
        """Compute attention as a layer does: with its scale, position bias, window, cap and sinks.

        Parameters
        ----------
        layer : int
        q : [query_pos, n_heads, d_qk]
            Of the last of the positions of the keys.
        k : [key_pos, n_kv_heads, d_qk]
            Of the first positions of the trace; `q` and `k` as used in the scores.
        v : [key_pos, n_kv_heads, d_v]
        """
        n_queries, n_keys = len(np.asarray(q)), len(np.asarray(k))
        bias = self.position_bias(layer)[:, n_keys - n_queries : n_keys, :n_keys]
        return attend(
            *(q, k, v, self.meta.score_scale, bias),
            window=self.window(layer),
            cap=self.meta.score_cap,
            sinks=self.get("sinks", layer) if self.meta.sinks else None,
        )

    def window(self, layer: int) -> int:
        """Return how many keys a query of a layer attends to at most; 0 if none is hidden."""
        return self.meta.windows[layer] if self.meta.windows else 0

    def position_bias(self, layer: int) -> npt.NDArray[np.float64]:
        """Return what is added to the scaled scores, [n_heads, query_pos, key_pos].

        It is 0 except for an "alibi" model.
        """
        position = np.arange(len(self.meta.tokens))
        distance = (position[None, :] - position[:, None]).astype(np.float64)
        slopes = np.zeros(self.meta.n_heads)
        if self.meta.positions == "alibi":
            slopes = self["alibi_slopes"].astype(np.float64)
        return np.asarray(slopes[:, None, None] * distance)

    def scores(
        self, layer: int, head: int | None = None, *, masked: bool = False, scaled: bool = True
    ) -> npt.NDArray[np.float64]:
        """Return the scores before the softmax: queries times keys, finite everywhere.

        Parameters
        ----------
        layer : int
        head : int, optional
            One query head; all query heads if not given.
        masked : bool
            Return a `numpy.ma.MaskedArray` that masks the keys after each query, and those before
            its window if the layer has one.  The data under the mask are finite scores that the
            model does not use.
        scaled : bool
            Multiply by ``score_scale``, add the position bias of an "alibi" model, and squeeze the
            result as ``score_cap`` says, which gives the input of the softmax.  False gives the
            plain dot products.

        Returns
        -------
        array of float64
            [n_heads, query_pos, key_pos], or [query_pos, key_pos] for one head.
        """
        heads = np.arange(self.meta.n_heads) if head is None else np.array([head])
        kv_heads = heads // (self.meta.n_heads // self.meta.n_kv_heads)
        queries = self.queries(layer)[:, heads].astype(np.float64)
        keys = self.keys(layer)[:, kv_heads].astype(np.float64)
        scores: npt.NDArray[np.float64] = np.einsum("qhd,khd->hqk", queries, keys)
        if scaled:
            scores = scores * self.meta.score_scale + self.position_bias(layer)[heads]
            scores = capped(scores, self.meta.score_cap)
        if masked:
            n_tokens = len(self.meta.tokens)
            hidden = ~causal_mask(n_tokens, n_tokens, self.window(layer))
            scores = np.ma.MaskedArray(scores, mask=np.broadcast_to(hidden, scores.shape))
        return scores if head is None else scores[0]

    # Validation

    def validate(self) -> None:
        """Check metadata, names, shapes, types and values.

        Raises
        ------
        TraceError
            If anything is wrong.  The message is one line without the file's name, which `load`
            and `save` add.
        """
        validate_meta(self.meta)
        sizes = self._sizes()
        required = dict(self._required())
        for name in required:
            if name not in self.tensors:
                raise damaged(f"tensor '{name}' is missing")
        allowed = required | dict(self._optional())
        for name, array in self.tensors.items():
            if name not in allowed:
                raise damaged(f"tensor '{shortened(name)}' is not part of a trace")
            dtype = conversion_dtype(name) or np.dtype(
                np.int32 if name == "top_ids" else np.float32
            )
            if array.dtype != dtype:
                raise damaged(f"tensor '{name}' is {array.dtype} and should be {dtype}")
            shape = tuple(sizes[axis] for axis in allowed[name])
            if array.shape != shape:
                axes = ", ".join(allowed[name])
                raise damaged(
                    f"tensor '{name}' has shape {list(array.shape)} and should have "
                    f"{list(shape)} [{axes}]"
                )
            if not np.isfinite(array).all():
                raise damaged(f"tensor '{name}' holds values that are not finite")
        published = self.meta.published
        precision = 0.0 if published is None else published.precision
        for layer in range(self.meta.n_layers):
            name = self.tensor_name("pattern", layer)
            _validate_pattern(name, self[name], self.window(layer), self.meta.sinks, precision)
        if published is not None:
            return
        _validate_top_tokens(self.meta, self["top_ids"], self["top_probs"])
        for key in self.meta.latent or {}:
            if f"latent.{key}.W_DKV" not in self.tensors:
                raise damaged(
                    f"its metadata describes a latent of layer {shortened(key)} that it does not "
                    "hold"
                )
        for layer in range(self.meta.n_layers):
            if f"latent.{layer}.W_DKV" in self.tensors and str(layer) not in (
                self.meta.latent or {}
            ):
                raise damaged(
                    f"it holds a latent of layer {layer} that its metadata do not describe"
                )

    def _sizes(self) -> dict[str, int]:
        """Return the length of every axis that `_required` and `_optional` name."""
        meta = self.meta
        sizes = {
            "pos": len(meta.tokens),
            "d_model": meta.d_model,
            "n_heads": meta.n_heads,
            "n_kv_heads": meta.n_kv_heads,
            "d_qk": meta.d_qk,
            "d_v": meta.d_v,
            "top": TOP_TOKENS,
            "rotary_dim": meta.rotary_dim,
            "n_pairs": meta.rotary_dim // 2,
            "d_content": meta.d_qk - meta.rotary_dim,
        }
        # The metadata do not hold the ranks: take each from the first tensor that has it, so that
        # the others are compared with it.
        for layer in range(meta.n_layers):
            for axis, name in (
                ("r", f"kv_latent.{layer}"),
                ("r_q", f"q_latent.{layer}"),
                ("r_q", f"W_DQ.{layer}"),
                (f"r_{layer}", f"latent.{layer}.W_DKV"),
            ):
                if name in self.tensors and self.tensors[name].ndim:
                    sizes.setdefault(axis, self.tensors[name].shape[-1])
        return sizes | conversion_sizes(self.tensors, meta.featured.layer)

    def _required(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the names of the required tensors, with the names of their axes."""
        if self.meta.published is not None:
            for layer in range(self.meta.n_layers):
                yield f"pattern.{layer}", ("n_heads", "pos", "pos")
            return
        yield "top_ids", ("pos", "top")
        yield "top_probs", ("pos", "top")
        if self.meta.positions == "alibi":
            yield "alibi_slopes", ("n_heads",)
        if self.rotates and self.meta.schema > 1:
            # Each layer has its own, or there is one for all of them.
            layers = range(self.meta.n_layers)
            if not all(self.has(name, layer) for name in ROTATION for layer in layers):
                yield from ((name, ("pos", "n_pairs")) for name in ROTATION)
        for layer in range(self.meta.n_layers):
            yield f"x.{layer}", ("pos", "d_model")
            yield f"q.{layer}", ("pos", "n_heads", "d_qk")
            yield f"k.{layer}", ("pos", "n_kv_heads", "d_qk")
            yield f"v.{layer}", ("pos", "n_kv_heads", "d_v")
            if self.meta.qk_norm is not None:
                yield f"q_norm.{layer}", ("pos", "n_heads", "d_qk")
                yield f"k_norm.{layer}", ("pos", "n_kv_heads", "d_qk")
                yield f"g_q_norm.{layer}", ("n_heads", "d_qk")
                yield f"g_k_norm.{layer}", ("n_kv_heads", "d_qk")
            if self.rotates:
                yield f"q_rot.{layer}", ("pos", "n_heads", "d_qk")
                yield f"k_rot.{layer}", ("pos", "n_kv_heads", "d_qk")
            if self.meta.sinks:
                yield f"sinks.{layer}", ("n_heads",)
            yield f"pattern.{layer}", ("n_heads", "pos", "pos")
            yield f"z.{layer}", ("pos", "n_heads", "d_v")
            yield f"out.{layer}", ("pos", "d_model")
            if self.meta.attention == "mla":
                yield f"kv_latent.{layer}", ("pos", "r")
                yield f"k_rope.{layer}", ("pos", "rotary_dim")
            if layer == self.meta.featured.layer or self._holds_weights(layer):
                for name in self._weight_names(layer):
                    yield f"{name}.{layer}", _WEIGHT_AXES[name]
            if any(name.startswith(f"latent.{layer}.") for name in self.tensors):
                yield f"latent.{layer}.W_DKV", ("d_model", f"r_{layer}")
                yield f"latent.{layer}.W_UK", (f"r_{layer}", "n_kv_heads", "d_qk")
                yield f"latent.{layer}.W_UV", (f"r_{layer}", "n_kv_heads", "d_v")
        yield from self._conversion()[0].items()

    def _optional(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the names of the optional tensors, with the names of their axes."""
        if self.meta.published is not None:
            for layer in range(self.meta.n_layers if self.meta.source.kind == "imported" else 0):
                yield f"q.{layer}", ("pos", "n_heads", "d_qk")
                yield f"k.{layer}", ("pos", "n_kv_heads", "d_qk")
                yield f"v.{layer}", ("pos", "n_kv_heads", "d_v")
            return
        for layer in range(self.meta.n_layers):
            for name in ("b_Q", "b_K", "b_V", "b_O"):
                yield f"{name}.{layer}", _WEIGHT_AXES[name]
            yield f"latent.{layer}.b_O", ("d_model",)
            if self.meta.qk_norm is not None:
                yield f"b_q_norm.{layer}", ("n_heads", "d_qk")
                yield f"b_k_norm.{layer}", ("n_kv_heads", "d_qk")
            if self.meta.attention == "mla":
                yield f"q_latent.{layer}", ("pos", "r_q")
            if self.rotates:
                yield from ((f"{name}.{layer}", ("pos", "n_pairs")) for name in ROTATION)
        yield from self._conversion()[1].items()

    def _conversion(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        return conversion_axes(self.tensors, self.meta.n_layers, self.meta.featured.layer)

    def _holds_weights(self, layer: int) -> bool:
        return any(self.has(name, layer) for name in _WEIGHT_AXES)

    def _weight_names(self, layer: int) -> tuple[str, ...]:
        """Return the weights that must be stored for a layer if any of its weights is."""
        if self.meta.attention != "mla":
            return _WEIGHTS
        query_weights = _MLA_LATENT_QUERY if self.has("W_DQ", layer) else ("W_Q",)
        return (*query_weights, *_MLA_WEIGHTS)


_WEIGHT_AXES: Mapping[str, tuple[str, ...]] = {
    "W_Q": ("d_model", "n_heads", "d_qk"),
    "W_K": ("d_model", "n_kv_heads", "d_qk"),
    "W_V": ("d_model", "n_kv_heads", "d_v"),
    "W_O": ("n_heads", "d_v", "d_model"),
    "b_Q": ("n_heads", "d_qk"),
    "b_K": ("n_kv_heads", "d_qk"),
    "b_V": ("n_kv_heads", "d_v"),
    "b_O": ("d_model",),
    "W_DQ": ("d_model", "r_q"),
    "g_Q": ("r_q",),
    "W_UQ": ("r_q", "n_heads", "d_qk"),
    "W_DKV": ("d_model", "r"),
    "W_KR": ("d_model", "rotary_dim"),
    "g_KV": ("r",),
    "W_UK": ("r", "n_heads", "d_content"),
    "W_UV": ("r", "n_heads", "d_v"),
}


def _changed(what: str) -> TraceError:
    """Return the error for a file that is not what was written."""
    return TraceError(
        f"damaged, or changed since it was written: {what}; extract it again, or, if you changed "
        "it on purpose: python -m extract seal FILE"
    )


def _validate_pattern(
    name: str, pattern: Array, window: int, sinks: bool, precision: float
) -> None:
    """Check [n_heads, query_pos, key_pos]: masked, not negative, and every row sums to 1.

    With sinks a row may sum to less; what it should be is proved. A row of n entries may deviate by
    n times the `precision` of its values.
    """
    if pattern.min() < 0:
        raise damaged(f"tensor '{name}' holds negative values")
    if np.triu(pattern, k=1).any():
        raise damaged(f"tensor '{name}' lets a query see a later key (values above the diagonal)")
    n_tokens = pattern.shape[-1]
    if pattern[:, ~causal_mask(n_tokens, n_tokens, window)].any():
        raise damaged(f"tensor '{name}' lets a query see a key before its window of {window}")
    excess = pattern.astype(np.float64).sum(axis=-1) - 1
    errors = excess if sinks else np.abs(excess)
    limits = ROW_SUM_TOLERANCE + precision * np.arange(1, n_tokens + 1)
    if (errors > limits).any():
        raise damaged(f"rows of tensor '{name}' do not sum to 1 (off by {errors.max():.1e})")


def _validate_top_tokens(meta: TraceMeta, ids: Array, probs: Array) -> None:
    """Check ids and probabilities of the likeliest next tokens, both [pos, 5], likeliest first."""
    if ids.min() < 0:
        raise damaged("tensor 'top_ids' holds negative ids")
    if (
        probs.min() < 0
        or probs.sum(axis=-1).max() > 1 + ROW_SUM_TOLERANCE
        or (np.diff(probs, axis=-1) > 0).any()
    ):
        raise damaged("tensor 'top_probs' does not hold probabilities in falling order")
    texts: dict[int, str] = {}
    rows = ((meta.token_ids, meta.tokens), *zip(ids.tolist(), meta.top_tokens, strict=True))
    for numbers, words in rows:
        for number, word in zip(numbers, words, strict=True):
            if texts.setdefault(number, word) != word:
                raise damaged(
                    f"its token {number} is {shortened(repr(texts[number]))} in one place and "
                    f"{shortened(repr(word))} in another"
                )
    if any(len(set(row)) < len(row) for row in ids.tolist()):
        raise damaged("tensor 'top_ids' names a token twice in one row")
    for at in range(meta.n_prompt, len(meta.tokens)):
        chances = dict(zip(ids[at - 1].tolist(), probs[at - 1].tolist(), strict=True))
        # Two tokens may be as likely but for rounding.
        if not meta.continued and not (
            chances.get(meta.token_ids[at], -1.0) >= (1 - _SAME_CHANCE) * max(chances.values())
        ):
            raise damaged(
                f"its token {at} was generated, and is not the likeliest one after those before it"
            )
