"""The parts of pictures that every scene has: matrices of a layer and a head by the field's names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from filmkit.core.language import _
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import Matrix

__all__ = ["TENSOR_NAMES", "HeadParts"]

CHANNEL, MODEL = "channel", "model"

OF_HEAD = {"Q": "q", "K": "k", "Kt": "k_t", "V": "v", "scores": "scores", "pattern": "pattern", "z": "z"}
"""Names in mosaics, and those of :func:`filmkit.mobjects.head_tensors.head_tensor`."""

TENSOR_NAMES = ("X", *OF_HEAD)


class HeadParts(Mapping[str, Matrix]):
    """The matrices of a head by their names in mosaics; of another head as in ``pattern[5]``.

    Parameters
    ----------
    head
        The head that is meant where no number stands.
    """

    def __init__(self, head: HeadView) -> None:
        self.head = head

    def __getitem__(self, name: str) -> Matrix:
        match = re.fullmatch(r"(\w+?)(?:\[(\d+)\])?", name)
        if match is None or match[1] not in TENSOR_NAMES:
            raise KeyError(name)
        head = self.head if match[2] is None else self.head.layer.head(int(match[2]))
        return _matrix(head, match[1])

    def __iter__(self) -> Iterator[str]:
        return iter(TENSOR_NAMES)

    def __len__(self) -> int:
        return len(TENSOR_NAMES)

    def __contains__(self, name: object) -> bool:
        try:
            self[str(name)]
        except KeyError:
            return False
        return True


def _matrix(view: HeadView, name: str) -> Matrix:
    """Return one matrix of a head."""
    layer, theme = view.layer, current_theme()
    if name == "X":
        return Matrix(
            layer.rows("x"),
            layer.norm("x"),
            layer.source("x", (0, layer.trace.meta.d_model)),
            TOKEN,
            MODEL,
            name=_("input"),
            symbol="X",
            words=layer.words,
        )
    tensor = head_tensor(view, OF_HEAD[name])
    return Matrix(
        tensor.values,
        tensor.norm,
        tensor.source,
        TOKEN if tensor.token_rows else CHANNEL,
        TOKEN if tensor.token_columns else CHANNEL,
        name=tensor.name,
        symbol=tensor.symbol,
        colour=tensor.colour,
        masked=tensor.masked,
        words=layer.words,
    )
