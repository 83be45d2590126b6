"""Make a trace of the tensors of any other program: patterns, queries, keys and values in one file.

An ``.npz`` file holds any of these arrays; axes in brackets may be left out, a layer and a head
being one each then:

===========  ====================================  ===============================================
``pattern``  [layer, head, query_pos, key_pos]     attention patterns, causal, rows that sum to 1
``q``        [layer, pos, head, width]             queries as used in the scores, after any rotation
``k``        [layer, pos, kv_head, width]          keys as used in the scores
``v``        [layer, pos, kv_head, width]          values
``words``    [pos]                                 the text of each token; 1, 2, 3 ... without
``scale``    a number                              of the dot products; 1 / sqrt(width) without
===========  ====================================  ===============================================

It has patterns, or queries and keys from which they follow.  Where both are there, they are
compared, and the patterns that follow are stored.  Nothing else can be proved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from extract.attention.arithmetic import attend
from extract.attention.self_check import TOLERANCE, relative_error
from extract.errors import ExtractError, TraceError
from extract.limits import MAX_FILE
from extract.models.featured import choose_featured
from extract.support.plain_text import escaped, shortened
from extract.trace import SCHEMA, ModelSource, Published, Trace, TraceMeta
from extract.trace.contents.meta import attention_kind

__all__ = ["imported_trace"]

_AXES = {"pattern": 4, "q": 4, "k": 4, "v": 4}
_HALF = 2e-3
"""Largest error of values that were rounded to 16 bits."""

Floats = npt.NDArray[np.float32]


def imported_trace(
    file: Path, name: str | None = None, rows: tuple[int, int] | None = None
) -> Trace:
    """Return a trace of the arrays in an ``.npz`` file.

    Parameters
    ----------
    file : Path
    name : str, optional
        Of the model, as shown in pictures; by default that of the file.
    rows : tuple of int, optional
        First position that the pictures draw and one past the last one; all if not given.

    Raises
    ------
    ExtractError
        If the file cannot be read, or its arrays do not fit one another; one line.
    """
    try:
        trace = _trace(_arrays(file), name or escaped(shortened(file.stem)), file.name, rows)
        trace.validate()
        trace.prove()
    except (ExtractError, TraceError) as error:
        reason = str(error).removesuffix("; extract it again")
        raise ExtractError(f"{file}: {reason}") from error
    return trace


def _arrays(file: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of a file that have a name that is known, with all their axes."""
    try:
        if file.stat().st_size > MAX_FILE:
            raise ExtractError(f"it has more than {MAX_FILE / 2**30:g} GiB")
        with np.load(file, allow_pickle=False) as saved:
            if not isinstance(saved, np.lib.npyio.NpzFile):
                raise ExtractError("it is a single array; write several with numpy.savez")
            unknown = sorted(set(saved.files) - {*_AXES, "words", "scale"})
            if unknown:
                raise ExtractError(
                    f"it holds '{shortened(unknown[0])}', which is not one of pattern, q, k, v, "
                    "words and scale; leave it out"
                )
            arrays = {key: saved[key] for key in saved.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        reason = getattr(error, "strerror", None) or shortened(str(error).splitlines()[0])
        raise ExtractError(f"it cannot be read as .npz ({reason})") from error
    for key, array in arrays.items():
        if key == "words":
            continue
        if array.dtype.kind not in "fiu":
            raise ExtractError(f"'{key}' holds {array.dtype}, not numbers")
        if key in _AXES:
            if not 2 <= array.ndim <= 4 or not array.size:
                raise ExtractError(
                    f"'{key}' has shape {list(array.shape)}; see --help for its axes"
                )
            arrays[key] = _with_all_axes(key, array)
    if "pattern" not in arrays and not {"q", "k"} <= arrays.keys():
        raise ExtractError("it holds neither 'pattern' nor 'q' and 'k'")
    if ("q" in arrays) != ("k" in arrays):
        raise ExtractError("'q' and 'k' go together: give both, or none")
    return arrays


def _with_all_axes(key: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array with its layer and its head, one each where they are left out."""
    if array.ndim == 2:
        array = array[None] if key == "pattern" else array[:, None]
    return array[None] if array.ndim == 3 else array


def _trace(
    arrays: Mapping[str, npt.NDArray[Any]],
    name: str,
    source: str,
    rows: tuple[int, int] | None,
) -> Trace:
    """Return the trace of arrays, which is not validated yet."""
    tensors = {key: arrays[key].astype(np.float32) for key in _AXES if key in arrays}
    q, k = tensors.get("q"), tensors.get("k")
    d_qk = 1 if q is None else q.shape[-1]
    scale = float(arrays["scale"]) if "scale" in arrays else float(d_qk**-0.5)
    if q is not None and k is not None:
        tensors["pattern"] = _pattern(q, k, scale, tensors.get("pattern"), arrays)
    pattern = tensors["pattern"]
    n_layers, n_heads, n, _ = pattern.shape
    for key, array in tensors.items():
        if len(array) != n_layers:
            raise ExtractError(
                f"'{key}' has {len(array)} layers, and there are patterns of {n_layers}"
            )
    n_kv_heads = next((tensors[key].shape[2] for key in ("k", "v") if key in tensors), n_heads)
    words = _words(arrays, n)
    featured, criterion = choose_featured(pattern, words, False)
    if rows is not None and not 0 <= rows[0] < rows[1] <= n:
        raise ExtractError(f"there are no rows {rows[0]}:{rows[1]} of {n}, counted from 0")
    ids = {word: number for number, word in enumerate(dict.fromkeys(words))}
    rounded = arrays["pattern"].dtype == np.float16 if "pattern" in arrays else False
    meta = TraceMeta(
        schema=SCHEMA,
        model=name,
        source=ModelSource("imported", escaped(shortened(source))),
        attention=attention_kind(n_heads, n_kv_heads),
        positions="none",
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_model=n_heads * d_qk,
        d_qk=d_qk,
        d_v=tensors["v"].shape[-1] if "v" in tensors else d_qk,
        score_scale=scale,
        prompt="".join(words),
        tokens=words,
        token_ids=tuple(ids[word] for word in words),
        n_prompt=n,
        has_bos=False,
        featured=featured,
        featured_criterion=criterion,
        rows=rows or (),
        published=Published(f"imported from {escaped(source)}", _HALF if rounded else TOLERANCE),
    )
    return Trace(
        meta,
        {
            Trace.tensor_name(key, layer): np.array(array[layer])
            for key, array in tensors.items()
            for layer in range(n_layers)
        },
    )


def _pattern(
    q: Floats,
    k: Floats,
    scale: float,
    given: Floats | None,
    arrays: Mapping[str, npt.NDArray[Any]],
) -> Floats:
    """Return the patterns that follow from queries and keys, after comparing them with others."""
    if (q.shape[0], q.shape[1], q.shape[3]) != (k.shape[0], k.shape[1], k.shape[3]) or (
        q.shape[2] % k.shape[2]
    ):
        raise ExtractError(
            f"'q' has shape {list(q.shape)} and 'k' {list(k.shape)}, which do not fit one another"
        )
    made = np.stack([attend(*pair, pair[1], scale).pattern for pair in zip(q, k, strict=True)])
    if given is None:
        return made.astype(np.float32)
    if given.shape != made.shape:
        raise ExtractError(
            f"'pattern' has shape {list(given.shape)}, and 'q' and 'k' give {list(made.shape)}"
        )
    halves = any(arrays[key].dtype == np.float16 for key in ("pattern", "q", "k"))
    error = relative_error(made, given)
    if not error <= (_HALF if halves else TOLERANCE):
        raise ExtractError(
            f"its patterns are not the softmax of q k^T times {scale:g}: they differ by "
            f"{error:.1e}; give q and k as they are used in the scores, or the right scale, or "
            "leave them out"
        )
    return made.astype(np.float32)


def _words(arrays: Mapping[str, npt.NDArray[Any]], n: int) -> tuple[str, ...]:
    """Return the text of each token."""
    if "words" not in arrays:
        return tuple(f" {number}" for number in range(1, n + 1))
    words = arrays["words"]
    if words.dtype.kind != "U" or words.shape != (n,):
        raise ExtractError(f"'words' should be {n} texts, one for each position")
    return tuple(map(str, words))
