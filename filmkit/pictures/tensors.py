"""The parts that every scene has: matrices of a layer and a head, by the field's names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from filmkit.core.errors import SceneCodeError
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import CHANNEL, LATENT, MODEL, Matrix, Part
from filmkit.pictures.texts import sign

__all__ = [
    "CHANNEL",
    "LATENT",
    "MODEL",
    "TENSOR_NAMES",
    "HeadParts",
    "head_matrix",
    "head_tensor",
    "weights_of_head",
]

OF_LAYER = "X", "C"
"""Names of matrices that all heads of a layer share."""

OF_HEAD = {
    "Q": "q",
    "K": "k",
    "Kt": "k_t",
    "V": "v",
    "scores": "scores",
    "pattern": "pattern",
    "z": "z",
}
"""Names in mosaics, and those of :func:`head_tensor`; ``k_t`` is K transposed."""

WEIGHTS = {"W_Q": "query", "W_K": "key", "W_V": "value"}
"""Weights of a head, and the roles of what they make."""

TENSOR_NAMES = (*OF_LAYER, *OF_HEAD, "dots", "scaled", *WEIGHTS)
"""All names of tensors: queries to z as the field has them; dots are queries times keys, scaled
their scores without a mask."""


class HeadParts(Mapping[str, Part | None]):
    """All parts that mosaics can name: a scene's own, signs, and the matrices of a head.

    ``pattern[5]`` is that of another head. What its model does not have is None: weights of the
    keys, where it keeps a latent.

    Parameters
    ----------
    head
        The head that is meant where no number stands.
    own
        The scene's own parts, which come first.
    """

    def __init__(self, head: HeadView, own: Mapping[str, Part | None] | None = None) -> None:
        self.head, self.own = head, own or {}

    def __getitem__(self, name: str) -> Part | None:
        if name in self.own:
            return self.own[name]
        return sign(name) or self._matrix(name)

    def _matrix(self, name: str) -> Matrix | None:
        match = re.fullmatch(r"(\w+?)(?:\[(\d+)\])?", name)
        if match is None or match[1] not in TENSOR_NAMES:
            raise KeyError(name)
        if match[2] is None:
            return head_matrix(self.head, match[1])
        number = int(match[2])
        matrix = head_matrix(self.head.layer.head(number), match[1])
        if matrix is None or match[1] in OF_LAYER:
            return matrix
        return replace(matrix, name=_named(matrix.name, number))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.own, *TENSOR_NAMES]))

    def __len__(self) -> int:
        return sum(1 for _name in self)


def _named(name: str, head: int) -> str:
    """Return the name of a matrix with the number of its head; a weight has no name in words."""
    if name:
        return _("head {head}: {name}", head=head, name=name)
    return _("head {head}", head=head)


def head_matrix(view: HeadView, name: str, *, title: str = "") -> Matrix | None:
    """Return one matrix of a head as a part, None if its model has none.

    It is for other heads than those that mosaics can name: of another layer or another prompt.

    Parameters
    ----------
    view
        The head.
    name
        Its name in mosaics, without a number: one of :data:`TENSOR_NAMES`.
    title
        What stands above it instead of its own name and symbol.

    Raises
    ------
    SceneCodeError
        If there is no such name.

    Examples
    --------
    ::

        early = self.layer.at(0).head(3)
        self.part("early", head_matrix(early, "pattern", title=_("in layer 0")))
        self.show("early pattern[3]")
    """
    if title:
        matrix = head_matrix(view, name)
        return None if matrix is None else replace(matrix, name=title, symbol="")
    if name not in TENSOR_NAMES:
        raise SceneCodeError(f"there is no matrix {name!r}; take one of {', '.join(TENSOR_NAMES)}")
    layer, theme = view.layer, current_theme()
    alone = {"C": "kv_latent", "pattern": "pattern"}
    stored = alone.get(name, name if name in WEIGHTS else "x")
    if not layer.trace.has(stored, layer.layer):
        return None
    if name == "C":
        latents = layer.rows("kv_latent")
        source = layer.source("kv_latent", (0, latents.shape[1]))
        c = Matrix(latents, layer.norm("kv_latent"), source, TOKEN, LATENT)
        return replace(c, name=_("latent"), symbol="C", colour=theme.latent, words=layer.words)
    if name == "X":
        source = layer.source("x", (0, layer.trace.meta.d_model))
        x = Matrix(layer.rows("x"), layer.norm("x"), source, TOKEN, MODEL)
        return replace(x, name=_("input"), symbol="X", words=layer.words)
    if name in WEIGHTS:
        return _weight(view, name)
    return head_tensor(view, OF_HEAD.get(name, name))


def head_tensor(view: HeadView, name: str) -> Matrix:
    """Return a matrix that every head has.

    Parameters
    ----------
    view
        The head.
    name
        "q" or "k" (as used in the scores), "k_t", "v", "scores", "pattern" or "z"; or without a
        mask "dots", the dot products of queries and keys, or "scaled", their scaled scores.

    Raises
    ------
    SceneCodeError
        If there is no such matrix.
    """
    theme, layer, meta = current_theme(), view.layer, view.layer.trace.meta
    match name:
        case "q":
            source = layer.source(view.score_tensor("q"), view.head, (0, meta.d_qk))
            shown = view.q_used, layer.norm("q"), source
            look = _("queries"), "Q", theme.query
        case "k" | "k_t":
            source = layer.source(view.score_tensor("k"), view.kv_head, (0, meta.d_qk))
            shown = view.k_used, layer.norm("k"), source
            look = _("keys"), "K", theme.key
        case "v":
            shown = view.v, layer.norm("v"), layer.source("v", view.kv_head, (0, meta.d_v))
            look = _("values"), "V", theme.value
        case "dots":
            norm = layer.scores_norm.scaled(1 / meta.score_scale)
            shown = view.dot_products, norm, layer.computed("dot_products", head=view.head)
            look = _("dot products"), "", theme.scores
        case "scores" | "scaled":
            shown = view.scores, layer.scores_norm, layer.computed("scores", head=view.head)
            look = _("scores"), "", theme.scores
        case "pattern":
            shown = view.pattern, layer.norm("pattern"), view.pattern_source
            look = _("pattern"), "A", theme.pattern
        case "z":
            shown = view.z, layer.norm("z"), layer.source("z", view.head, (0, meta.d_v))
            look = _("head output"), "z", theme.z
        case _:
            raise SceneCodeError(
                f"a head has no matrix {name!r}; there are {', '.join(OF_HEAD.values())}"
            )
    columns = TOKEN if name in ("dots", "scaled", "scores", "pattern") else CHANNEL
    masked = view.causal_mask if name in ("scores", "pattern") else None
    matrix = Matrix(*shown, TOKEN, columns, *look, masked=masked, words=layer.words)
    return matrix.transposed if name == "k_t" else matrix


def _weight(view: HeadView, name: str) -> Matrix:
    """Return the weights that make queries, keys or values of one head, (d_model, width)."""
    trace, layer = view.layer.trace, view.layer.layer
    number = view.head if name == "W_Q" else view.kv_head
    whole, tensor = trace.weights(name, layer), trace.tensor_name(name, layer)
    return weights_of_head(whole, tensor, number, MODEL, f"W_{name[-1]}", WEIGHTS[name])


def weights_of_head(
    whole: npt.NDArray[np.floating], tensor: str, head: int, rows: str, symbol: str, role: str
) -> Matrix:
    """Return the weights of one head, with the scale of all heads.

    Parameters
    ----------
    whole : (rows, head, channel)
        The weights of all heads.
    tensor
        Name of the tensor that has them.
    head
        Which of its heads.
    rows
        Axis of the rows.
    symbol, role
        As Typst mathematics, and the role of what they make.
    """
    height, _heads, width = whole.shape
    source = TensorSource(tensor, index=((0, height), head, (0, width)))
    norm, colour = Norm.stretched(whole, role=role), current_theme().role(role)
    values = whole[:, head].astype(np.float64)
    return Matrix(values, norm, source, rows, CHANNEL, symbol=symbol, colour=colour)
