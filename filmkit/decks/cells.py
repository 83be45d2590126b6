"""The cells of a still as a page needs them to tell what the pointer is on."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.trace import Trace
from filmkit.words.alt import KINDS

__all__ = ["MASKED", "Shelf", "cells_of", "words_of_axes"]

MASKED = np.float32(np.inf)
"""Stands for a cell that the causal mask removes; NaN for one that is not drawn."""

FAINTEST = 0.02  # opacity of a panel that can be seen

_AXES = {
    "pos": "word",
    "query_pos": "query",
    "key_pos": "key",
    "n_heads": "head",
    "n_kv_heads": "key/value head",
    "r": "latent channel",
    "r_q": "latent channel",
    "top": "rank",
}


def words_of_axes() -> dict[str, str]:
    """What a step along an axis is called; "channel" along those that are not here."""
    return dict(_AXES)


class Shelf:
    """Arrays of a deck, each kept once however many pictures show it."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def put(self, array: npt.NDArray[np.float32]) -> int:
        """Keep an array and say where."""
        return self._places.setdefault(array.astype("<f4").tobytes(), len(self._places))

    def texts(self) -> list[str]:
        """All arrays in order: base64 of little-endian float32, row by row."""
        return [b64encode(array).decode() for array in self._places]


def cells_of(document: Mapping[str, Any], trace: Trace, shelf: Shelf) -> list[dict[str, Any]]:
    """The panels of a still, in drawing order.

    Parameters
    ----------
    document
        The still's map, with values.
    trace
        The numbers, which know what their axes are.
    shelf
        Takes the values.

    Returns
    -------
    list of dict
        Of each panel ``name`` in words, ``tensor`` with ``index`` and ``axes`` (see
        :mod:`filmkit.core.picture_map`), ``transposed``, ``shape``, ``corners`` and ``values``,
        the place on the shelf.
    """
    return [
        {
            "name": _name(panel, trace),
            "tensor": panel["tensor"],
            "index": panel["index"],
            "axes": trace.axes(panel["tensor"]) if panel["tensor"] else panel["axes"],
            "transposed": panel["transposed"],
            "shape": panel["shape"],
            "corners": [[round(x, 2), round(y, 2)] for x, y in panel["corners"]],
            "values": shelf.put(_values(panel)),
        }
        for panel in document["panels"]
        if panel["opacity"] > FAINTEST
    ]


def _values(panel: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    values = np.array(panel["values"], dtype=np.float32)
    hidden = set(map(tuple, panel["hidden"]))
    for row, column in set(map(tuple, panel["masked"])) - hidden:
        values[row, column] = MASKED
    return values


def _name(panel: Mapping[str, Any], trace: Trace) -> str:
    if not panel["tensor"]:
        return str(panel["expression"])
    base, _, layer = panel["tensor"].rpartition(".")
    kind = KINDS.get(base)
    return f"{kind.name}, layer {layer}" if kind else str(panel["tensor"])
