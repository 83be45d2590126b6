"""Views of a trace for scenes: one layer or one head, cut to the positions that are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import causal_mask
from extract.limits import PICTURE_TOKENS
from extract.trace import Trace
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.core.language import _, ngettext
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.quantities import POSITIONS, QUANTITIES

__all__ = [
    "MAX_TOKENS",
    "MIN_TOKENS",
    "HeadView",
    "LayerView",
    "best_match",
]

Array = npt.NDArray[np.float64]

ROLES = {"q": "query", "k": "key", "v": "value", "kv": "latent"}
"""Roles of tensors by the first part of their names; inputs and outputs have none."""

MIN_TOKENS, MAX_TOKENS = PICTURE_TOKENS
"""How many tokens of a prompt the pictures have room for, without the beginning token."""


@dataclass(frozen=True)
class LayerView:
    """One layer of a trace, cut to the positions that are drawn.

    Attributes
    ----------
    trace
        The whole trace.
    layer
        Number of the layer, from 0.
    first
        First position that is drawn: 1 if a beginning-of-sequence token is hidden, else 0; or where
        the rows begin that were chosen when a long prompt was traced.
    stop
        One past the last position that is drawn.
    compared
        Whether this is the second trace, with which the film's own one is compared.

    Examples
    --------
    ::

        layer = LayerView.of_prompt(trace, 15, show_first_token=False)
        v = layer.rows("v")             # (position, n_kv_heads, d_v) of the drawn positions
        pattern = layer.head(3).pattern  # (query, key)
    """

    trace: Trace
    layer: int
    first: int
    stop: int
    compared: bool = False

    @classmethod
    def of_prompt(cls, trace: Trace, layer: int | None, *, show_first_token: bool) -> LayerView:
        """Return the positions of the prompt in a layer.

        Parameters
        ----------
        trace
            The whole trace.
        layer
            Number of the layer; None for the featured one.
        show_first_token
            Whether the beginning-of-sequence token is drawn, if there is one.

        Raises
        ------
        StageError
            If the layer does not exist, or the prompt has too few or too many tokens.
        """
        meta = trace.meta
        chosen = meta.featured.layer if layer is None else layer
        if not 0 <= chosen < meta.n_layers:
            raise StageError(
                f"{meta.model} has no layer {chosen}; choose --layer 0 to {meta.n_layers - 1}"
            )
        start, stop = meta.rows or (int(meta.has_bos), meta.n_prompt)
        words = stop - start
        if not MIN_TOKENS <= words <= MAX_TOKENS:
            what, other = ("rows are", "others") if meta.rows else ("prompt has", "one")
            choose = "" if words < MIN_TOKENS else ", or rows of it with --rows"
            raise StageError(
                f"the {what} {words} tokens; the pictures hold {MIN_TOKENS} to {MAX_TOKENS}: "
                f"extract {'a ' * (not meta.rows)}{'longer' if words < MIN_TOKENS else 'shorter'} "
                f"{other} with python -m extract --prompt{choose}"
            )
        first = 0 if show_first_token and start == meta.has_bos else start
        return cls(trace, chosen, first, stop)

    def at(self, layer: int) -> LayerView:
        """Return the same positions in another layer, by its number from 0.

        Raises
        ------
        SceneCodeError
            If the layer does not exist.
        """
        meta = self.trace.meta
        if not 0 <= layer < meta.n_layers:
            raise SceneCodeError(
                f"{meta.model} has no layer {layer}; its layers are 0 to {meta.n_layers - 1}"
            )
        return replace(self, layer=layer)

    def until(self, stop: int) -> LayerView:
        """Return the view with another end: to include tokens that follow the prompt."""
        return replace(self, stop=stop)

    @property
    def count(self) -> int:
        """Number of positions that are drawn."""
        return self.stop - self.first

    @property
    def hides_first(self) -> bool:
        """Whether a beginning-of-sequence token, or a longer beginning, is not drawn."""
        return self.first > 0

    @property
    def hidden_name(self) -> str:
        """What the positions before the drawn ones are called."""
        if self.first == self.trace.meta.has_bos:
            return _("beginning token")
        return ngettext("token before", "{number} tokens before", self.first)

    @property
    def draws_start(self) -> bool:
        """Whether the beginning-of-sequence token is drawn."""
        return self.first == 0 and self.trace.meta.has_bos

    @property
    def words(self) -> tuple[str, ...]:
        """Text of the token at each position that is drawn; the beginning token's is "start"."""
        tokens = self.trace.meta.tokens[self.first : self.stop]
        return (_("start"), *tokens[1:]) if self.draws_start else tokens

    def rows(self, name: str) -> Array:
        """Return the drawn positions of a tensor whose first axis is the position, float64."""
        return self.trace.get(name, self.layer)[self.first : self.stop].astype(np.float64)

    def source(self, name: str, *index: int | tuple[int, int]) -> TensorSource:
        """Return the source of ``rows(name)``.

        Parameters
        ----------
        name
            Name of the tensor without its layer, such as "q".
        *index
            One integer or (start, stop) for each further axis.
        """
        key = self.trace.tensor_name(name, self.layer)
        return TensorSource(key, index=((self.first, self.stop), *index), model=self._model)

    @property
    def _model(self) -> str:
        return self.trace.meta.model if self.compared else ""

    def computed(self, quantity: str, width: int = 0, **given: Any) -> TensorSource:
        """Return the source of a matrix that was computed from this layer, or from all of them.

        Of axes that count positions it names those that are drawn; every other axis is whole.

        Parameters
        ----------
        quantity
            What was computed: a name in :data:`filmkit.core.quantities.QUANTITIES`.
        width
            Number of columns, if they are not positions; if it is not given, it is computed.
        **given
            What it was computed from, beside the layer: its function is given that if it takes it.

        Raises
        ------
        SceneCodeError
            If there is no such quantity, its function takes other arguments, or its axes are not
            those of rows and columns.
        """
        if quantity not in QUANTITIES:
            raise SceneCodeError(
                f"there is no quantity {quantity!r}; write @quantity above the function that "
                f"computes it, or give TensorSource(expression=...) if words will do"
            )
        found = QUANTITIES[quantity]
        if len(found.axes) != 2:
            axes = ", ".join(found.axes) or "none"
            raise SceneCodeError(
                f"a panel has rows and columns, and the axes of the quantity {quantity} are "
                f"{axes}; choose its cells with TensorSource(quantity=..., given=..., index=...)"
            )
        if found.takes("layer"):
            given = {"layer": self.layer, **given}
        found.require(**given)
        drawn = [(self.first, self.stop) if axis in POSITIONS else None for axis in found.axes]
        if width:
            drawn[1] = (0, width)
        if None in drawn:
            whole = found.of(self.trace, **given).shape
            drawn = [span or (0, count) for span, count in zip(drawn, whole, strict=True)]
        return TensorSource(
            quantity=quantity,
            index=tuple(filter(None, drawn)),
            given=tuple(given.items()),
            model=self._model,
        )

    def norm(self, name: str) -> Norm:
        """Return the norm of a tensor, made from all positions and heads of this layer.

        It is stretched near zero, except for patterns: a few channels are far larger than others.

        The beginning-of-sequence token is left out: in many models its values are several times
        larger than those of any word, and all others would look alike. Tokens after the prompt
        are included, so that colours stay the same when words are added.

        Parameters
        ----------
        name
            Name of the tensor without its layer, such as "q".
        """
        if name == "pattern":
            return Norm.unit()
        if name in ("q", "k"):
            name = self.trace.unrotated(name)
        values = self.trace.get(name, self.layer)[int(self.trace.meta.has_bos) :]
        return Norm.stretched(values, role=ROLES.get(name.split("_")[0], ""))

    @cached_property
    def scores_norm(self) -> Norm:
        """Norm of the scaled scores of all heads that the causal mask allows.

        For dot products that are not scaled use ``scores_norm.scaled(1 / score_scale)``.
        """
        scores = self.trace.scores(self.layer)
        start = int(self.trace.meta.has_bos)
        causal = np.tril(np.ones(scores.shape[1:], dtype=bool))
        causal[:, :start] = False
        return Norm.symmetric(scores[:, causal], role="scores")

    def head(self, head: int | None) -> HeadView:
        """Return one head of this layer, by its number from 0; None for the featured one.

        Raises
        ------
        SceneCodeError
            If the head does not exist.
        """
        meta = self.trace.meta
        chosen = meta.featured.head if head is None else head
        if not 0 <= chosen < meta.n_heads:
            raise SceneCodeError(
                f"{meta.model} has no head {chosen}; its heads are 0 to {meta.n_heads - 1}"
            )
        return HeadView(self, chosen)


@dataclass(frozen=True)
class HeadView:
    """One head of a layer: its matrices at the drawn positions, float64.

    Attributes
    ----------
    layer
        The layer.
    head
        Number of the head, from 0.
    """

    layer: LayerView
    head: int

    @property
    def kv_head(self) -> int:
        """Number of the key/value head that it reads."""
        return self.layer.trace.kv_head(self.head)

    @cached_property
    def q(self) -> Array:
        """Queries after any QK norm and before any rotation, (position, d_qk)."""
        return self.layer.rows(self.layer.trace.unrotated("q"))[:, self.head]

    @cached_property
    def k(self) -> Array:
        """Keys after any QK norm and before any rotation, (position, d_qk)."""
        return self.layer.rows(self.layer.trace.unrotated("k"))[:, self.kv_head]

    @cached_property
    def v(self) -> Array:
        """Values, (position, d_v)."""
        return self.layer.rows("v")[:, self.kv_head]

    @cached_property
    def q_used(self) -> Array:
        """Queries as used in the scores, (position, d_qk): after any rotation."""
        return self.layer.rows(self.score_tensor("q"))[:, self.head]

    @cached_property
    def k_used(self) -> Array:
        """Keys as used in the scores, (position, d_qk): after any rotation."""
        return self.layer.rows(self.score_tensor("k"))[:, self.kv_head]

    @cached_property
    def z(self) -> Array:
        """Pattern times values, (position, d_v)."""
        return self.layer.rows("z")[:, self.head]

    @cached_property
    def scores(self) -> Array:
        """Scaled scores before the causal mask, (query, key), finite everywhere."""
        view = self.layer
        scores = view.trace.scores(view.layer, self.head)
        return scores[view.first : view.stop, view.first : view.stop]

    @cached_property
    def dot_products(self) -> Array:
        """Dot products of queries and keys, (query, key), without scale, bias or mask."""
        return self.q_used @ self.k_used.T

    @cached_property
    def pattern(self) -> Array:
        """Attention pattern at the drawn positions, (query, key).

        Where the beginning is hidden, rows sum to less than 1: compute entropies and the like from
        :attr:`pattern_rows`.
        """
        return self.pattern_rows[:, self.layer.first :]

    @cached_property
    def pattern_rows(self) -> Array:
        """Whole rows of the pattern, (query, position of the key): with keys that are not drawn.

        Rows are the drawn queries; columns are all positions up to the last drawn one, the hidden
        beginning first. Each row sums to 1, less what a sink takes.
        """
        view = self.layer
        whole = view.trace.get("pattern", view.layer)[self.head].astype(np.float64)
        return whole[view.first : view.stop, : view.stop]

    @property
    def pattern_source(self) -> TensorSource:
        """Source of :attr:`pattern`."""
        view = self.layer
        drawn = (view.first, view.stop)
        key = view.trace.tensor_name("pattern", view.layer)
        return TensorSource(key, index=(self.head, drawn, drawn), model=view._model)

    @cached_property
    def sink_attention(self) -> Array:
        """Attention of each query to the sink in the softmax, (query,); zeros without one."""
        lacking = np.maximum(1 - self.pattern_rows.sum(axis=1), 0)
        # Without a sink, what a row lacks to 1 is what rounding to 32 bits leaves.
        return lacking if self.layer.trace.meta.sinks else np.zeros_like(lacking)

    def score_tensor(self, name: str) -> str:
        """Return the name of the tensor of queries ("q") or keys ("k") as used in the scores."""
        return self.layer.trace.used(name)

    @cached_property
    def causal_mask(self) -> npt.NDArray[np.bool_]:
        """The causal mask, (query, key): True where the key comes after the query.

        In a layer with sliding-window attention also where it comes before the query's window.
        """
        count = self.layer.count
        return ~causal_mask(count, count, self.layer.trace.window(self.layer.layer))


def best_match(view: HeadView) -> tuple[int, int]:
    """Return the query and the key that show best what a match is, as numbers of drawn rows.

    The key is the one with the highest score of those that the query may see. The query is chosen
    by these criteria, the first one first: it matches another word than itself and than the first
    drawn word and the beginning token, which often collect idle attention; it is none of these
    itself; both are words, not punctuation; the match gets 50 % to 90 % of the attention, so it is
    clear but not everything; and that share is as large as possible.
    """
    allowed = np.where(view.causal_mask, -np.inf, view.scores)
    keys = allowed.argmax(axis=1)
    queries = np.arange(view.layer.count)
    attention = view.pattern[queries, keys]
    word = np.array([any(map(str.isalnum, token)) for token in view.layer.words])
    first = int(view.layer.draws_start)
    other_word = (keys != queries) & (keys > first)
    clear = (attention >= 0.5) & (attention <= 0.9)
    query = int(np.lexsort((attention, clear, word & word[keys], queries > first, other_word))[-1])
    return query, int(keys[query])
