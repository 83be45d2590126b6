"""The trace as a scene sees it: one layer, the rows that are shown, one norm per tensor family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.trace import Trace
from filmkit.core.norm import Norm, TensorSource

__all__ = [
    "MAX_TOKENS",
    "MIN_TOKENS",
    "HeadView",
    "LayerView",
    "StageError",
    "best_match",
    "rotary_pairs",
]

Array = npt.NDArray[np.float64]

MIN_TOKENS, MAX_TOKENS = 2, 24


class StageError(Exception):
    """What the viewer asked for cannot be shown; one line that says what to do."""


@dataclass(frozen=True)
class LayerView:
    """One layer of a trace, cut to the positions that are drawn.

    Attributes
    ----------
    trace
        The whole trace.
    layer
        Which layer.
    first
        First position drawn: 1 when a beginning-of-sequence token is hidden, else 0.
    stop
        One past the last position drawn.
    compared
        Whether the trace is not the film's own but one that it is compared with.
    """

    trace: Trace
    layer: int
    first: int
    stop: int
    compared: bool = False

    @classmethod
    def of_prompt(cls, trace: Trace, layer: int | None, *, show_first_token: bool) -> LayerView:
        """The prompt's rows of a layer (the featured one by default).

        Raises
        ------
        StageError
            When the layer does not exist, or the prompt has too few or too many tokens.
        """
        meta = trace.meta
        chosen = meta.featured.layer if layer is None else layer
        if not 0 <= chosen < meta.n_layers:
            raise StageError(
                f"{meta.model} has no layer {chosen}; choose --layer 0 to {meta.n_layers - 1}"
            )
        words = meta.n_prompt - meta.has_bos
        if not MIN_TOKENS <= words <= MAX_TOKENS:
            raise StageError(
                f"the prompt has {words} tokens; the pictures hold {MIN_TOKENS} to "
                f"{MAX_TOKENS}: extract a {'longer' if words < MIN_TOKENS else 'shorter'} one "
                "with python -m extract --prompt"
            )
        first = 1 if meta.has_bos and not show_first_token else 0
        return cls(trace, chosen, first, meta.n_prompt)

    def until(self, stop: int) -> LayerView:
        """The same view with another end, such as one past a word that follows the prompt."""
        return replace(self, stop=stop)

    @property
    def count(self) -> int:
        """How many positions are drawn."""
        return self.stop - self.first

    @property
    def hides_first(self) -> bool:
        """Whether a beginning-of-sequence token takes part but is not drawn."""
        return self.first > 0

    @property
    def words(self) -> tuple[str, ...]:
        """Text of each position drawn."""
        return self.trace.meta.tokens[self.first : self.stop]

    def rows(self, name: str) -> Array:
        """Drawn positions of a tensor whose first axis is the position, float64."""
        return self.trace.get(name, self.layer)[self.first : self.stop].astype(np.float64)

    def source(
        self, name: str, *index: int | tuple[int, int], transposed: bool = False
    ) -> TensorSource:
        """Where ``rows(name)`` comes from, with the index of its further axes."""
        return replace(self._source(name, ((self.first, self.stop), *index)), transposed=transposed)

    def hidden_source(self, name: str, *index: int | tuple[int, int]) -> TensorSource:
        """Where the rows that are not drawn come from, with the index of further axes."""
        return self._source(name, ((0, self.first), *index))

    def _source(self, name: str, index: tuple[int | tuple[int, int], ...]) -> TensorSource:
        key = self.trace.key(name, self.layer)
        if self.compared:
            # Its axes have no names here: words of a position would be the other trace's.
            return TensorSource(None, f"{key} of the compared trace", index)
        return TensorSource(key, index=index)

    def computed(self, said: str, columns: str, width: int = 0) -> TensorSource:
        """Where what was computed for the drawn rows comes from.

        Parameters
        ----------
        said
            What was computed.
        columns
            Name of the second axis, as :meth:`extract.trace.Trace.axes` has it; "key_pos" for one
            column for each drawn position.
        width
            How many columns there are otherwise.
        """
        drawn = (self.first, self.stop)
        if columns == "key_pos":
            return TensorSource(None, said, (drawn, drawn), axes=("query_pos", columns))
        return TensorSource(None, said, (drawn, (0, width)), axes=("pos", columns))

    def norm(self, name: str) -> Norm:
        """The norm of a family: every position and head of this layer counts.

        The beginning-of-sequence token is left out: its values are several times larger than
        any word's in many models and would wash out the rest. Continuations count, so colours
        stay when words are added.
        """
        if name == "pattern":
            return Norm.unit()
        values = self.trace.get(name, self.layer)[int(self.trace.meta.has_bos) :]
        return Norm.symmetric(values)

    @cached_property
    def scores_norm(self) -> Norm:
        """The norm of the scaled scores of all heads; multiply for the bare dot products."""
        scores = self.trace.scores(self.layer)
        start = int(self.trace.meta.has_bos)
        causal = np.tril(np.ones(scores.shape[1:], dtype=bool))
        causal[:, :start] = False
        return Norm.symmetric(scores[:, causal])

    def head(self, head: int | None) -> HeadView:
        """One head of this layer (the featured one by default).

        Raises
        ------
        StageError
            When the head does not exist.
        """
        meta = self.trace.meta
        chosen = meta.featured.head if head is None else head
        if not 0 <= chosen < meta.n_heads:
            raise StageError(
                f"{meta.model} has no head {chosen}; choose --head 0 to {meta.n_heads - 1}"
            )
        return HeadView(self, chosen)


@dataclass(frozen=True)
class HeadView:
    """One head: arrays of the drawn rows, (position, channel) or (query, key)."""

    layer: LayerView
    head: int

    @property
    def kv_head(self) -> int:
        """The key/value head it reads."""
        return self.layer.trace.kv_head(self.head)

    @property
    def partners(self) -> tuple[int, ...]:
        """All heads that read the same keys and values, this one included."""
        trace = self.layer.trace
        return tuple(h for h in range(trace.meta.n_heads) if trace.kv_head(h) == self.kv_head)

    @cached_property
    def q(self) -> Array:
        """Queries before any rotation."""
        return self.layer.rows("q")[:, self.head]

    @cached_property
    def k(self) -> Array:
        """Keys before any rotation."""
        return self.layer.rows("k")[:, self.kv_head]

    @cached_property
    def v(self) -> Array:
        """Values."""
        return self.layer.rows("v")[:, self.kv_head]

    @cached_property
    def q_used(self) -> Array:
        """Queries as they enter the scores."""
        return self.layer.rows(self.used("q"))[:, self.head]

    @cached_property
    def k_used(self) -> Array:
        """Keys as they enter the scores."""
        return self.layer.rows(self.used("k"))[:, self.kv_head]

    @cached_property
    def z(self) -> Array:
        """Pattern times values."""
        return self.layer.rows("z")[:, self.head]

    @cached_property
    def scores(self) -> Array:
        """Scaled scores before the mask, finite everywhere."""
        view = self.layer
        every = view.trace.scores(view.layer, self.head)
        return every[view.first : view.stop, view.first : view.stop]

    @cached_property
    def dots(self) -> Array:
        """Bare dot products of queries and keys."""
        return self.q_used @ self.k_used.T

    @cached_property
    def pattern(self) -> Array:
        """Attention pattern of the drawn rows and columns."""
        view = self.layer
        whole = view.trace.get("pattern", view.layer)[self.head].astype(np.float64)
        return whole[view.first : view.stop, view.first : view.stop]

    @cached_property
    def hidden(self) -> Array:
        """What each drawn row gives to the hidden first token; zeros when none is hidden."""
        view = self.layer
        whole = view.trace.get("pattern", view.layer)[self.head].astype(np.float64)
        return whole[view.first : view.stop, : view.first].sum(axis=1)

    @cached_property
    def hidden_value(self) -> Array:
        """Value row of the hidden first token, (1, channel); empty when none is hidden."""
        view = self.layer
        whole = view.trace.get("v", view.layer)[: view.first, self.kv_head]
        return whole.astype(np.float64)

    def used(self, name: str) -> str:
        """Tensor of queries ("q") or keys ("k") as they enter the scores."""
        return f"{name}_rot" if self.layer.trace.rotates else name

    @cached_property
    def future(self) -> npt.NDArray[np.bool_]:
        """(query, key): True where the key comes after the query."""
        return np.triu(np.ones((self.layer.count, self.layer.count), dtype=bool), k=1)


def rotary_pairs(trace: Trace) -> npt.NDArray[np.int_]:
    """Channels of a head that turn together, (pairs, 2)."""
    meta = trace.meta
    half = meta.rotary_dim // 2
    index = np.arange(half)
    start = meta.d_qk - meta.rotary_dim if meta.attention == "mla" else 0
    if meta.rotary_style == "interleaved":
        return start + np.stack([2 * index, 2 * index + 1], axis=1)
    return start + np.stack([index, index + half], axis=1)


def best_match(view: HeadView) -> tuple[int, int]:
    """The query and the key that show best what a match is, as drawn rows.

    The key is the one that the query matches best among those it may see. Of all queries the
    one is taken whose match is clear without being everything (it gets 50 % to 90 % of the
    attention), the clearest of those; queries that match themselves or the first drawn word,
    which often collects idle attention, and marks of punctuation come after all others.
    """
    allowed = np.where(view.future, -np.inf, view.scores)
    keys = allowed.argmax(axis=1)
    queries = np.arange(view.layer.count)
    attention = view.pattern[queries, keys]
    word = np.array([any(map(str.isalnum, token)) for token in view.layer.words])
    narration = (keys != queries) & (keys > 0)
    clear = (attention >= 0.5) & (attention <= 0.9)
    query = int(np.lexsort((attention, clear, word & word[keys], queries > 0, narration))[-1])
    return query, int(keys[query])
