"""Panel data that a web deck needs to show the value of the cell under the pointer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.trace import Trace
from filmkit.core.language import N_, _
from filmkit.words.alt import TENSOR_KINDS

__all__ = ["MASKED", "ArrayStore", "axis_names", "cell_words", "panels_of"]

MASKED = np.float32(np.inf)
"""Value of a cell that the causal mask removes. A cell that is not drawn is NaN."""

MIN_OPACITY = 0.02  # a panel at or below this opacity cannot be seen and is left out

_AXES = {
    "pos": N_("word"),
    "query_pos": N_("query"),
    "key_pos": N_("key"),
    "n_heads": N_("head"),
    "n_kv_heads": N_("key/value head"),
    "n_layers": N_("layer"),
    "unit": N_("key/value head"),
    "r": N_("latent channel"),
    "r_q": N_("latent channel"),
    "top": N_("rank"),
}


def axis_names() -> dict[str, str]:
    """Return what one step along each axis is called; on all other axes it is a "channel"."""
    return {axis: _(name) for axis, name in _AXES.items()}


def cell_words() -> dict[str, str]:
    """Return what else is said about a cell, by the names that ``templates/cells.js`` asks for."""
    return {
        "channel": _("channel"),
        "cell": _("row {row}, column {column}"),
        "step": _("{axis} “{word}” ({position})"),
        "before": _("all words before"),
        "masked": _("masked: the word comes later"),
    }


class ArrayStore:
    """Arrays of a deck; equal arrays are stored once, however many pictures show them."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def add(self, array: npt.NDArray[Any]) -> int:
        """Store an array as float32 and return its number, counted from 0."""
        return self._numbers.setdefault(array.astype("<f4").tobytes(), len(self._numbers))

    def encoded(self) -> list[str]:
        """Return all arrays by number: base64 of little-endian float32, row by row."""
        return [b64encode(array).decode() for array in self._numbers]


def panels_of(
    picture_map: Mapping[str, Any], trace: Trace, arrays: ArrayStore
) -> list[dict[str, Any]]:
    """Return the visible panels of a still, in drawing order, after its rows of bars.

    A bar is found in a row as a cell is, anywhere in the strip in which the row stands.

    Parameters
    ----------
    picture_map
        The still's picture map with values, as :func:`filmkit.core.picture_map.picture_map` makes
        it.
    trace
        The trace that the still shows; it has the names of each tensor's axes.
    arrays
        Receives the values of the panels.

    Returns
    -------
    list of dict
        For each panel its ``name`` in words; ``tensor``, ``index``, ``axes``, ``transposed``,
        ``shape`` and ``corners`` as in :mod:`filmkit.core.picture_map`; and ``values``, the number
        of its array in ``arrays``.
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
            "values": arrays.add(_values(panel)),
        }
        for panel in (*_rows_of_bars(picture_map), *picture_map["panels"])
        if panel["opacity"] > MIN_OPACITY
    ]


def _rows_of_bars(picture_map: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield bodies with bars as panels of one row."""
    for body in picture_map.get("bodies", ()):
        if body["bars"]:
            yield body | {
                "shape": [1, body["count"]],
                "expression": body["expression"] or body["words"],
                "corners": body["bars"]["corners"],
                "opacity": body["presence"],
                "values": [body["values"]],
                "masked": [],
                "hidden": [],
            }


def _values(panel: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    values = np.array(panel["values"], dtype=np.float32)
    hidden = set(map(tuple, panel["hidden"]))
    for row, column in set(map(tuple, panel["masked"])) - hidden:
        values[row, column] = MASKED
    return values


def _name(panel: Mapping[str, Any], trace: Trace) -> str:
    base, _dot, layer = (panel["tensor"] or "").rpartition(".")
    kind = TENSOR_KINDS.get(base)
    if kind is None:
        return str(panel["tensor"] or panel["expression"])
    return _("{name}, layer {layer}", name=_(kind.name), layer=layer)
