"""The activations of one model for one prompt, by the names that `extract.trace` lists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import AttentionResult, Rotation, attend, capped, causal_mask
from extract.errors import MissingTensorError, TraceError
from extract.trace.contents.meta import TraceMeta
from extract.trace.contents.tensors import ROTATION, optional_axes, required_axes

__all__ = ["Activations"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Activations:
    """Activations of one model for one prompt; `extract.trace` lists the tensors.

    Parameters
    ----------
    meta : TraceMeta
    tensors : mapping of str to array
        Arrays by name, such as ``"q.15"``; they become read-only.
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

    # Tensors by name

    @staticmethod
    def tensor_name(name: str, layer: int) -> str:
        """Return a layer's tensor name: ``tensor_name("q_rot", 15)`` is ``"q_rot.15"``."""
        return f"{name}.{layer}"

    def __getitem__(self, name: str) -> Array:
        try:
            return self.tensors[name]
        except KeyError:
            count = self.meta.n_layers
            what = f"the trace of {self.meta.model} has no tensor '{name}'"
            if self.meta.source.kind == "imported":
                what += "; it was imported without it"
            elif self.meta.published is not None:
                what += f", only published patterns; extract it with: {self.command}"
            elif (end := re.search(r"\.(-?\d+)$", name)) and int(end[1]) not in range(count):
                what += f"; its layers are 0 to {count - 1}"
            raise MissingTensorError(what) from None

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
        """Return the names of a tensor's axes, as in `extract.trace`.

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
        content = self.meta, self.tensors
        return dict(required_axes(*content)) | dict(optional_axes(*content))

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
