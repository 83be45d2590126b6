"""A layer with a latent as a scene sees it: the rows that are shown, norms, sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.forms import BothForms, Comparison, Moves, both_forms, compare, pattern_moves
from extract.latent import content_pattern
from extract.trace import TraceError
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.view import LayerView, StageError

__all__ = ["LatentHead", "LatentView"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LatentView:
    """One layer and its latent.

    Attributes
    ----------
    layer
        The layer, cut to the rows that are drawn.
    forms
        Both forms of it, all rows.
    """

    layer: LayerView
    forms: BothForms

    @classmethod
    def of(cls, layer: LayerView) -> LatentView:
        """Compute a layer from its latents.

        Raises
        ------
        StageError
            When the trace holds no latent of it; the message names the command that adds it.
        """
        try:
            return cls(layer, both_forms(layer.trace, layer.layer))
        except TraceError as error:
            raise StageError(str(error)) from error

    def rows(self, values: Array) -> Array:
        """The drawn positions of an array whose first axis is the position."""
        return values[self.layer.first : self.layer.stop]

    def _norm(self, values: Array) -> Norm:
        """As :meth:`LayerView.norm`: without the beginning token, whose values stand out."""
        return Norm.symmetric(values[int(self.layer.trace.meta.has_bos) :])

    # What is cached

    @cached_property
    def latent(self) -> Array:
        """The latents, (position, r)."""
        return self.rows(self.forms.kv_latent)

    @cached_property
    def latent_norm(self) -> Norm:
        return self._norm(self.forms.kv_latent)

    @cached_property
    def latent_source(self) -> TensorSource:
        if self.forms.own:
            return self.layer.source("kv_latent", (0, self.forms.rank))
        return self.layer.computed("x times the fitted W_DKV", "r", self.forms.rank)

    @cached_property
    def rope(self) -> Array:
        """The shared rotated keys, (position, d_rope)."""
        return self.rows(self.forms.k_rope)

    @property
    def rope_source(self) -> TensorSource:
        return self.layer.source("k_rope", (0, self.forms.d_rope))

    @cached_property
    def q_latent_norm(self) -> Norm:
        return self._norm(self.forms.absorbed.q_latent)

    # The output

    @cached_property
    def out_norm(self) -> Norm:
        return self._norm(self.forms.naive.out)

    @property
    def biased(self) -> bool:
        """Whether the layer adds a constant to its keys, values or output."""
        names = ("b_K", "b_V", "b_O")
        return any(self.layer.trace.has(name, self.layer.layer) for name in names)

    @cached_property
    def moves(self) -> Moves:
        """How far the patterns of all heads move."""
        return pattern_moves(self.layer.trace, self.layer.layer, self.forms)

    def head(self, head: int) -> LatentHead:
        """One head of the layer."""
        return LatentHead(self, head)


@dataclass(frozen=True)
class LatentHead:
    """One head: arrays of the drawn rows, (position, channel) or (query, key)."""

    view: LatentView
    head: int

    @property
    def kv_head(self) -> int:
        """The key/value head it reads."""
        return self.view.layer.trace.kv_head(self.head)

    @property
    def _span(self) -> slice:
        return slice(self.view.layer.first, self.view.layer.stop)

    @cached_property
    def q(self) -> Array:
        return self.view.rows(self.view.forms.q)[:, self.head]

    @cached_property
    def k(self) -> Array:
        return self.view.rows(self.view.forms.k)[:, self.kv_head]

    @cached_property
    def v(self) -> Array:
        return self.view.rows(self.view.forms.naive.v)[:, self.kv_head]

    @cached_property
    def scores(self) -> Array:
        return self.view.forms.naive.scores[self.head, self._span, self._span]

    @cached_property
    def pattern(self) -> Array:
        return self.view.forms.naive.pattern[self.head, self._span, self._span]

    @cached_property
    def z(self) -> Array:
        return self.view.rows(self.view.forms.naive.z)[:, self.head]

    @cached_property
    def q_latent(self) -> Array:
        """Queries in the latent space."""
        return self.view.rows(self.view.forms.absorbed.q_latent)[:, self.head]

    @cached_property
    def absorbed_scores(self) -> Array:
        return self.view.forms.absorbed.scores[self.head, self._span, self._span]

    @cached_property
    def absorbed_pattern(self) -> Array:
        return self.view.forms.absorbed.pattern[self.head, self._span, self._span]

    @cached_property
    def z_latent(self) -> Array:
        """The latents, mixed by the pattern."""
        return self.view.rows(self.view.forms.absorbed.z_latent)[:, self.head]

    @cached_property
    def content(self) -> Array:
        """The pattern without rotation, from the true keys."""
        layer = self.view.layer
        whole = content_pattern(layer.trace, layer.layer, layer.trace.get("k", layer.layer))
        return whole[self.head, self._span, self._span]

    def compared(self, name: str) -> Comparison:
        """Keys ("k") or values ("v") of the drawn rows beside those from the latent."""
        true = self.view.layer.rows(name)[:, self.kv_head]
        rebuilt = self.k if name == "k" else self.v
        return compare(true, rebuilt, about_mean=self.view.biased)

    def moves(self) -> Moves:
        """How far this head's patterns move."""
        layer = self.view.layer
        return pattern_moves(layer.trace, layer.layer, self.view.forms, self.head)

    # What the panels of the naive form show

    @cached_property
    def panels(self) -> dict[str, tuple[Array, TensorSource]]:
        """Numbers and sources of a head's panels in the naive form, by name."""
        own, view, h = self.view.forms.own, self.view, self.head
        made = {
            "q": (self.q, view.layer.head(h).used("q") if own else "q"),
            "k": (self.k, "keys from the latent"),
            "v": (self.v, "values from the latent"),
            "k_t": (self.k.T, "keys from the latent, transposed"),
            "scores": (self.scores, "scaled scores with keys from the latent"),
            "pattern": (self.pattern, "pattern with keys from the latent"),
            "z": (self.z, "pattern times values from the latent"),
        }
        columns = {"k": "d_qk", "v": "d_v", "z": "d_v"}
        sources = {
            name: view.layer.computed(said, columns.get(name, "key_pos"), values.shape[1])
            for name, (values, said) in made.items()
        }
        sources["q"] = view.layer.source(made["q"][1], h, (0, self.q.shape[1]))
        sources["k_t"] = replace(sources["k"], expression=made["k_t"][1], transposed=True)
        return {name: (values, sources[name]) for name, (values, _) in made.items()}
