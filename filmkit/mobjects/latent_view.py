"""Views of a layer with a latent for scenes: drawn positions, norms and sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.latent.naive_and_absorbed import BothForms, Comparison, both_forms, compare
from extract.trace import TraceError
from filmkit.core.errors import StageError
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.view import LayerView

__all__ = ["LatentHead", "LatentView"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LatentView:
    """One layer and its latent, in the naive and the absorbed form.

    Attributes
    ----------
    layer
        The layer, cut to the positions that are drawn.
    mla
        The layer computed from the latent in both forms, at all positions.
    """

    layer: LayerView
    mla: BothForms

    @classmethod
    def of(cls, layer: LayerView) -> LatentView:
        """Compute both forms of a layer from its latent.

        Raises
        ------
        StageError
            If the trace has no latent of this layer; the message names the command that adds it.
        """
        try:
            return cls(layer, both_forms(layer.trace, layer.layer))
        except TraceError as error:
            raise StageError(str(error)) from error

    def rows(self, values: Array) -> Array:
        """Return the drawn positions of an array whose first axis is the position."""
        return values[self.layer.first : self.layer.stop]

    def _norm(self, values: Array, role: str = "") -> Norm:
        """Return the symmetric norm of values (position, ...), without the beginning token.

        Its values are much larger than others, see :meth:`LayerView.norm`.
        """
        return Norm.stretched(values[int(self.layer.trace.meta.has_bos) :], role=role)

    # What is cached

    @cached_property
    def latent(self) -> Array:
        """The latents that are cached, (position, r)."""
        return self.rows(self.mla.kv_latent)

    @cached_property
    def latent_norm(self) -> Norm:
        """Norm of the latents."""
        return self._norm(self.mla.kv_latent, "latent")

    @cached_property
    def latent_source(self) -> TensorSource:
        """Source of the latents: the model's own, or computed with the fitted weights."""
        if self.mla.has_trained_latent:
            return self.layer.source("kv_latent", (0, self.mla.rank))
        return self.layer.computed("latents", self.mla.rank)

    @cached_property
    def rope(self) -> Array:
        """The shared rotated keys, (position, d_rope)."""
        return self.rows(self.mla.k_rope)

    @property
    def rope_source(self) -> TensorSource:
        """Source of the shared rotated keys."""
        return self.layer.source("k_rope", (0, self.mla.d_rope))

    @cached_property
    def q_latent_norm(self) -> Norm:
        """Norm of the queries in the latent space."""
        return self._norm(self.mla.absorbed.q_latent, "query")

    # The output

    @cached_property
    def out_norm(self) -> Norm:
        """Norm of the layer's output."""
        return self._norm(self.mla.naive.out)

    @property
    def biased(self) -> bool:
        """Whether the layer has a bias of keys, values or output."""
        names = ("b_K", "b_V", "b_O")
        return any(self.layer.trace.has(name, self.layer.layer) for name in names)

    def head(self, head: int) -> LatentHead:
        """Return one head of the layer, by its number from 0."""
        return LatentHead(self, head)


@dataclass(frozen=True)
class LatentHead:
    """One head of a layer with a latent: its matrices at the drawn positions.

    Attributes
    ----------
    view
        The layer and its latent.
    head
        Number of the head, from 0.
    """

    view: LatentView
    head: int

    @property
    def kv_head(self) -> int:
        """Number of the key/value head that it reads."""
        return self.view.layer.trace.kv_head(self.head)

    @property
    def _span(self) -> slice:
        """The drawn positions."""
        return slice(self.view.layer.first, self.view.layer.stop)

    @cached_property
    def q(self) -> Array:
        """Queries, (position, d_qk)."""
        return self.view.rows(self.view.mla.q)[:, self.head]

    @cached_property
    def k(self) -> Array:
        """Keys from the latent, (position, d_qk)."""
        return self.view.rows(self.view.mla.k)[:, self.kv_head]

    @cached_property
    def v(self) -> Array:
        """Values from the latent, (position, d_v)."""
        return self.view.rows(self.view.mla.naive.v)[:, self.kv_head]

    @cached_property
    def scores(self) -> Array:
        """Scaled scores of the naive form, (query, key)."""
        return self.view.mla.naive.scores[self.head, self._span, self._span]

    @cached_property
    def pattern(self) -> Array:
        """Attention pattern of the naive form, (query, key)."""
        return self.view.mla.naive.pattern[self.head, self._span, self._span]

    @cached_property
    def z(self) -> Array:
        """Pattern times values of the naive form, (position, d_v)."""
        return self.view.rows(self.view.mla.naive.z)[:, self.head]

    @cached_property
    def q_latent(self) -> Array:
        """Queries in the latent space (absorbed form), (position, r)."""
        return self.view.rows(self.view.mla.absorbed.q_latent)[:, self.head]

    @cached_property
    def absorbed_scores(self) -> Array:
        """Scaled scores of the absorbed form, (query, key)."""
        return self.view.mla.absorbed.scores[self.head, self._span, self._span]

    @cached_property
    def absorbed_pattern(self) -> Array:
        """Attention pattern of the absorbed form, (query, key)."""
        return self.view.mla.absorbed.pattern[self.head, self._span, self._span]

    @cached_property
    def z_latent(self) -> Array:
        """Pattern times latents (absorbed form), (position, r)."""
        return self.view.rows(self.view.mla.absorbed.z_latent)[:, self.head]

    def comparison(self, name: str) -> Comparison:
        """Compare the model's own keys ("k") or values ("v") with those from the latent."""
        true = self.view.layer.rows(name)[:, self.kv_head]
        rebuilt = self.k if name == "k" else self.v
        return compare(true, rebuilt, about_mean=self.view.biased)

    # Panels of the naive form

    @cached_property
    def panels(self) -> dict[str, tuple[Array, TensorSource]]:
        """Numbers and source of each panel of a head in the naive form, by the panel's name."""
        trained, layer, h = self.view.mla.has_trained_latent, self.view.layer, self.head
        tensor = layer.head(h).score_tensor("q") if trained else "q"
        queries = layer.source(tensor, h, (0, self.q.shape[1]))
        keys = layer.computed("latent_keys", self.k.shape[1], kv_head=self.kv_head)
        return {
            "q": (self.q, queries),
            "k": (self.k, keys),
            "v": (self.v, layer.computed("latent_values", self.v.shape[1], kv_head=self.kv_head)),
            "k_t": (self.k.T, replace(keys, transposed=True)),
            "scores": (self.scores, layer.computed("latent_scores", head=h)),
            "pattern": (self.pattern, layer.computed("latent_pattern", head=h)),
            "z": (self.z, layer.computed("latent_mix", self.z.shape[1], head=h)),
        }

    @cached_property
    def absorbed_panels(self) -> dict[str, tuple[Array, TensorSource]]:
        """The same of a head in the absorbed form; there are no values."""
        view, layer, h = self.view, self.view.layer, self.head
        rank = view.mla.rank
        return {
            "q": (self.q_latent, layer.computed("latent_queries", rank, head=h)),
            "k_t": (view.latent.T, replace(view.latent_source, transposed=True)),
            "scores": (self.absorbed_scores, layer.computed("latent_scores", head=h)),
            "pattern": (self.absorbed_pattern, layer.computed("latent_pattern", head=h)),
            "z": (self.z_latent, layer.computed("mixed_latents", rank, head=h)),
        }
