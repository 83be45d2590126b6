"""Names and shapes of the tensors that a conversion stores in a trace; `extract.trace` lists them.

`extract.trace` validates with them, so nothing here reads a trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CONVERSION_PREFIXES",
    "CONVERTED_WEIGHTS",
    "DUEL_WAYS",
    "conversion_axes",
    "conversion_dtype",
    "conversion_sizes",
    "has_duel",
    "rungs",
]

CONVERTED_WEIGHTS = ("W_QR", "W_KR", "W_DKV", "W_UK", "W_UV", "b_QR", "b_KR", "b_O")
"""The new weights of a converted layer, stored as float16."""

CONVERSION_PREFIXES = ("mla.", "rung.", "duel.")
"""How the names of a conversion's tensors begin."""

DUEL_WAYS = ("mqa", "mqa_fitted", "mla")
"""The ways whose patterns of all heads of the featured layer a trace holds at the size of one
shared set: the mean of the sets, the best shared set, and MLA."""

_OPTIONAL_WEIGHTS = ("b_QR", "b_KR")

_AXES: Mapping[str, tuple[str, ...]] = {
    "W_QR": ("d_model", "n_heads", "mla_rotated"),
    "W_KR": ("d_model", "mla_rotated"),
    "W_DKV": ("d_model", "mla_rank"),
    "W_UK": ("mla_rank", "n_kv_heads", "d_qk"),
    "W_UV": ("mla_rank", "n_kv_heads", "d_v"),
    "b_QR": ("n_heads", "mla_rotated"),
    "b_KR": ("mla_rotated",),
    "b_O": ("d_model",),
    "frequencies": ("mla_pairs",),
    "x": ("pos", "d_model"),
    "c": ("pos", "mla_rank"),
    "k_rot": ("pos", "mla_rotated"),
    "q_rot": ("pos", "n_heads", "mla_rotated"),
    "scores_rot": ("n_heads", "pos", "pos"),
    "scores_latent": ("n_heads", "pos", "pos"),
    "z": ("pos", "n_heads", "d_v"),
    "out": ("pos", "d_model"),
}

Tensors = Mapping[str, npt.NDArray[Any]]


def conversion_axes(
    tensors: Tensors, n_layers: int, featured: int
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the required and the optional names of a conversion, with the names of their axes.

    Parameters
    ----------
    tensors : mapping
        Of the trace; without any tensor of a conversion nothing is required.
    n_layers : int
    featured : int
        The featured layer.
    """
    required: dict[str, tuple[str, ...]] = {}
    optional = {f"mla.{featured}.{name}": _AXES[name] for name in _OPTIONAL_WEIGHTS}
    for way, numbers in rungs(tensors):
        for name, width in (("k", "d_qk"), ("v", "d_v"), ("pattern", "pos")):
            required[f"rung.{way}.{numbers}.{name}"] = ("pos", width)
        for name in ("q_used", "k_used"):
            optional[f"rung.{way}.{numbers}.{name}"] = ("pos", f"used_{way}_{numbers}")
    if not any(name.startswith(CONVERSION_PREFIXES) for name in tensors):
        return required, optional
    for name, axes in _AXES.items():
        if name not in _OPTIONAL_WEIGHTS:
            required[f"mla.{featured}.{name}"] = axes
    for layer in range(n_layers):
        required[f"mla.{layer}.pattern"] = ("n_heads", "pos", "pos")
    # Traces made before do not hold it.
    if has_duel(tensors):
        for way in DUEL_WAYS:
            required[f"duel.{way}.q_used"] = ("pos", "n_heads", f"used_{way}")
            required[f"duel.{way}.k_used"] = ("pos", f"sets_{way}", f"used_{way}")
            required[f"duel.{way}.pattern"] = ("n_heads", "pos", "pos")
    return required, optional


def has_duel(tensors: Tensors) -> bool:
    """Return whether a conversion holds the patterns of `DUEL_WAYS`."""
    return any(name.startswith("duel.") for name in tensors)


def rungs(tensors: Tensors) -> Iterator[tuple[str, int]]:
    """Yield way and cached numbers of every rung that is stored, in ascending order."""
    found = set()
    for name in tensors:
        parts = name.split(".")
        if len(parts) == 4 and parts[0] == "rung" and parts[2].isdigit():
            found.add((parts[1], int(parts[2])))
    yield from sorted(found)


def conversion_sizes(tensors: Tensors, featured: int) -> dict[str, int]:
    """Return the lengths of the axes that only a conversion has, read from its tensors."""
    sizes = {}
    for axis, name in (
        ("mla_rotated", f"mla.{featured}.W_KR"),
        ("mla_rank", f"mla.{featured}.W_DKV"),
        ("mla_pairs", f"mla.{featured}.frequencies"),
    ):
        # A missing tensor is reported by its name, not by its axis.
        sizes[axis] = tensors[name].shape[-1] if name in tensors and tensors[name].ndim else 0
    for way, numbers in rungs(tensors):
        used = tensors.get(f"rung.{way}.{numbers}.q_used")
        sizes[f"used_{way}_{numbers}"] = used.shape[-1] if used is not None and used.ndim else 0
    for way in DUEL_WAYS:
        k = tensors.get(f"duel.{way}.k_used")
        shape = k.shape[1:] if k is not None and k.ndim == 3 else (0, 0)
        sizes[f"sets_{way}"], sizes[f"used_{way}"] = shape
    return sizes


def conversion_dtype(name: str) -> np.dtype[Any] | None:
    """Return the type of a tensor of a conversion, or None for any other tensor."""
    parts = name.split(".")
    if not name.startswith(CONVERSION_PREFIXES):
        return None
    half = parts[0] == "mla" and parts[-1] in CONVERTED_WEIGHTS
    return np.dtype(np.float16 if half else np.float32)
