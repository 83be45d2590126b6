"""Views of a layer with a latent for scenes, whose matrices are parts of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.latent.naive_and_absorbed import BothForms, Comparison, both_forms, compare
from extract.trace import Trace, TraceError
from extract.trace.contents.conversion_report import conversion_report
from filmkit.core.errors import StageError
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import counted_minutes
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import Matrix
from filmkit.pictures.tensors import LATENT, head_tensor

__all__ = ["ROPE", "LatentHead", "LatentView", "is_converted"]

ROPE = "rope"  # axis of the rotated part

Array = npt.NDArray[np.float64]


def is_converted(trace: Trace) -> bool:
    """Return whether the whole model, trained without a latent, was converted into one with it."""
    return trace.meta.attention != "mla" and trace.meta.conversion is not None


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

    def norm(self, values: Array, role: str = "") -> Norm:
        """Return the symmetric norm of values (position, ...), without the beginning token.

        Its values are much larger than others, see :meth:`LayerView.norm`.
        """
        return Norm.stretched(values[int(self.layer.trace.meta.has_bos) :], role=role)

    # What is cached

    @cached_property
    def latent(self) -> Matrix:
        """The latents, (position, r): the model's own, its conversion's, or the fitted ones."""
        names = {"trained": self._named("kv_latent"), "converted": f"mla.{self.layer.layer}.c"}
        return Matrix(
            self.rows(self.mla.kv_latent),
            self.norm(self.mla.kv_latent, "latent"),
            self._source(names, "latents", self.mla.rank),
            *(TOKEN, LATENT),
            name=_("latent"),
            symbol="C",
            colour=current_theme().latent,
            words=self.layer.words,
        )

    @property
    def rope(self) -> Matrix:
        """The shared rotated keys, (position, d_rope)."""
        names = {"trained": self._named("k_rope"), "converted": f"mla.{self.layer.layer}.k_rot"}
        return Matrix(
            self.rows(self.mla.k_rope),
            self.norm(self.mla.k_rope, "key"),
            self._source(names, "", self.mla.d_rope),
            *(TOKEN, ROPE),
            name=_("rotated keys"),
            colour=current_theme().key,
            words=self.layer.words,
        )

    def _named(self, name: str) -> str:
        return self.layer.trace.tensor_name(name, self.layer.layer)

    def _source(self, names: Mapping[str, str], quantity: str, width: int) -> TensorSource:
        """Return a source: a tensor, by the origin of the latent, or else a quantity."""
        layer = self.layer
        if name := names.get(self.mla.origin):
            return TensorSource(name, index=((layer.first, layer.stop), (0, width)))
        return layer.computed(quantity, width)

    @property
    def biased(self) -> bool:
        """Whether the layer has a bias of keys, values or output."""
        names = ("b_K", "b_V", "b_O")
        return any(self.layer.trace.has(name, self.layer.layer) for name in names)

    def origin_note(self) -> str:
        """Return in words where the latent is from and what it leaves out; "" if that is plain."""
        trace = self.layer.trace
        if self.mla.origin == "trained":
            return _("the model’s own latent")
        if self.mla.origin == "converted":
            minutes = conversion_report(trace).heal_minutes
            if not minutes:
                return _("converted, nothing trained")
            return _("converted, trained {minutes}", minutes=counted_minutes(minutes))
        return _("rotation left out") if trace.rotates else ""

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

    def comparison(self, name: str) -> Comparison:
        """Compare the model's own keys ("k") or values ("v") with those from the latent."""
        true = self.view.layer.rows(name)[:, self.kv_head]
        return compare(true, self.naive[name].values, about_mean=self.view.biased)

    @cached_property
    def naive(self) -> dict[str, Matrix]:
        """Queries ("q"), (position, d_qk), and keys ("k") and values ("v") from the latent.

        A model that was trained with a latent has its shared rotated key at the end of every key;
        in a converted one it stands beside them, and only queries have a part for it.
        """
        mla, layer, kv = self.view.mla, self.view.layer, self.kv_head
        d_qk, d_v = mla.q.shape[2], mla.naive.v.shape[2]
        width = d_qk if mla.origin == "trained" else mla.layer.W_UK.shape[2]
        own = layer.head(self.head)
        tensor = own.score_tensor("q") if mla.origin == "trained" else "q"
        asked = (
            layer.computed("converted_queries", d_qk, head=self.head)
            if mla.origin == "converted"
            else layer.source(tensor, self.head, (0, d_qk))
        )
        made = {
            "q": (mla.q[:, self.head], asked),
            "k": (mla.k[:, kv, :width], layer.computed("latent_keys", width, kv_head=kv)),
            "v": (mla.naive.v[:, kv], layer.computed("latent_values", d_v, kv_head=kv)),
        }
        return {
            name: replace(head_tensor(own, name), values=self.view.rows(values), source=source)
            for name, (values, source) in made.items()
        }

    @cached_property
    def absorbed(self) -> dict[str, Matrix]:
        """The same of the absorbed form, in which there are no keys and values.

        Queries ("q") and mixes of latents ("z"), (position, r); scores and pattern, (query, key).
        """
        view, layer, form, h = self.view, self.view.layer, self.view.mla.absorbed, self.head
        rank, drawn = view.mla.rank, slice(layer.first, layer.stop)

        def matrix(values: Array, norm: Norm | None, quantity: str, width: int = 0) -> Matrix:
            source = layer.computed(quantity, width, head=h)
            return Matrix(values, norm, source, columns=LATENT if width else TOKEN)

        norm = view.norm(form.q_latent, "query")
        return {
            "q": matrix(form.q_latent[drawn, h], norm, "latent_queries", rank),
            "z": matrix(form.z_latent[drawn, h], view.latent.norm, "mixed_latents", rank),
            "scores": matrix(form.scores[h, drawn, drawn], layer.scores_norm, "latent_scores"),
            "pattern": matrix(
                form.pattern[h, drawn, drawn], layer.norm("pattern"), "latent_pattern"
            ),
        }
