"""A layer whose heads share keys and values, as a scene sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.sharing import SharedLayer, share_heads
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.view import LayerView
from filmkit.mobjects.cache_volume import CachedTensor
from filmkit.mobjects.head_stack_marks import span_of

__all__ = ["SharedPanels", "SharedView"]

Array = npt.NDArray[np.float64]

SharedPanels = dict[str, tuple[Array, TensorSource]]

NAMES = {"k": "keys", "v": "values"}


@dataclass(frozen=True)
class SharedView:
    """One layer and what its heads share.

    Attributes
    ----------
    layer
        The layer, cut to the rows that are drawn.
    shared
        The layer with shared keys and values, all rows.
    """

    layer: LayerView
    shared: SharedLayer

    @classmethod
    def of(cls, layer: LayerView, n_groups: int) -> SharedView:
        """Let the heads of a layer share keys and values in groups."""
        return cls(layer, share_heads(layer.trace, layer.layer, n_groups))

    @property
    def span(self) -> slice:
        """The positions drawn."""
        return slice(self.layer.first, self.layer.stop)

    @cached_property
    def norms(self) -> dict[str, Norm]:
        """The layer's own norm of each family, so that what is pooled can be compared."""
        families = {name: self.layer.norm(name) for name in ("k", "v", "pattern", "z")}
        return families | {"k_t": families["k"], "scores": self.layer.scores_norm}

    # Groups

    def panel(self, name: str, group: int) -> tuple[Array, TensorSource]:
        """A group's keys ("k", as used in the scores) or values ("v"), (position, channel)."""
        values = getattr(self.shared, name)[self.span, group]
        width = (0, values.shape[1])
        if not self.shared.pooled:
            tensor = self.layer.head(0).used("k") if name == "k" else "v"
            return values, self.layer.source(tensor, group, width)
        own = self.shared.n_own // self.shared.n_groups
        said = f"mean {NAMES[name]} of {own} key/value heads, for {self.readers(group)}"
        return values, self.layer.computed(said, "d_qk" if name == "k" else "d_v", width[1])

    def readers(self, group: int) -> str:
        """The heads of a group in words."""
        return span_of(list(self.shared.heads(group)))

    def stored(self, name: str) -> CachedTensor:
        """What is cached of keys ("k") or values ("v")."""
        panels = [self.panel(name, group) for group in range(self.shared.n_groups)]
        norm = self.norms[name]
        return CachedTensor(
            values=np.stack([values for values, _ in panels]),
            norms=(norm,) * len(panels),
            sources=tuple(source for _, source in panels),
            name=f"shared {NAMES[name]} of layer {self.layer.layer}",
        )

    # Heads

    def head(self, head: int) -> SharedPanels:
        """What changes on a head's card: numbers and sources by the names of its panels."""
        shared, span = self.shared, self.span
        keys, source = self.panel("k", shared.group(head))
        turned = replace(source, transposed=True)
        return {
            "k_t": (keys.T, turned),
            "scores": (
                shared.scores[head, span, span],
                self._after("scaled scores", head, "key_pos"),
            ),
            "pattern": (shared.pattern[head, span, span], self._after("pattern", head, "key_pos")),
            "z": (
                shared.z[span, head],
                self._after("pattern times values", head, "d_v", shared.z.shape[2]),
            ),
        }

    def _after(self, what: str, head: int, columns: str, width: int = 0) -> TensorSource:
        said = f"{what} of head {head} with shared keys and values"
        return self.layer.computed(said, columns, width)

    def moved(self, head: int) -> float:
        """How far a head's pattern moved: the mean over the prompt's rows."""
        rows = self.shared.row_moves[head]
        return float(rows.mean()) if rows.size else 0.0
