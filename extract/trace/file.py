"""The trace as one file: read, written and proved."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors_numpy

from extract.errors import TraceError
from extract.limits import MAX_FILE
from extract.support.files import OutputError, write_bytes
from extract.support.plain_text import shortened
from extract.trace.contents.activations import Activations
from extract.trace.contents.meta import SCHEMA, TraceMeta, damaged
from extract.trace.contents.validation import validate
from extract.trace.older_files import completed
from extract.trace.proof.prove import ProofError, prove
from extract.trace.seal import broken_seal, has_seal, sealed

__all__ = ["Trace"]

_METADATA_KEY = "trace"
_CHECKSUM_KEY = "sha256"
"""Of the content, not of the file: what version 1 had instead of a seal, in its last files."""


_FORMER = "merged."
"""How the names of tensors begin that former versions stored with a conversion; nothing shows
them."""


class Trace(Activations):
    """Activations of one model for one prompt, in a file; `extract.trace` lists the tensors.

    Parameters
    ----------
    meta : TraceMeta
    tensors : mapping of str to array
        Arrays by name, such as ``"q.15"``; they become read-only.

    Examples
    --------
    >>> from extract import Trace
    >>> trace = Trace.load("assets/traces/smollm2-135m.safetensors")
    >>> trace.meta.model, trace.meta.featured
    ('SmolLM2-135M-Instruct (Q4_1)', Featured(layer=11, head=3))
    >>> trace.axes("pattern.11"), trace["pattern.11"].shape
    (('n_heads', 'query_pos', 'key_pos'), (9, 14, 14))
    >>> trace.meta.top_tokens[trace.meta.n_prompt - 1]  # what the model expects after the prompt
    (' blue', ' green', ' gold', ' five', ' two')
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Allow it to be pickled: other processes may take it without reading its file."""
        return Trace, (self.meta, dict(self.tensors))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the metadata and the tensors: traces with equal ones hold the same."""
        content = hashlib.sha256(self.meta.to_json().encode())
        for name, array in sorted(self.tensors.items()):
            content.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, sealed_again: bool = False) -> Trace:
        """Read, validate and prove a trace.

        Parameters
        ----------
        path : path-like
        sealed_again : bool
            Accept a file whose seal is broken or missing, because it was changed on purpose; its
            content is proved all the same.

        Raises
        ------
        TraceError
            If the file is missing, changed or not a valid trace; the message is one line that
            names the file, the error and what to do.
        ProofError
            If a step, computed again, differs from the stored one; see `prove`.
        """
        path = Path(path)
        try:
            if path.exists() and not path.is_file():
                raise TraceError("it is not a readable trace (not a file); name another")
            if path.stat().st_size > MAX_FILE:
                raise damaged(f"it has more than {MAX_FILE / 2**30:g} GiB")
            if not sealed_again and broken_seal(path):
                raise _changed("its seal does not fit its content")
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if _METADATA_KEY not in metadata:
                    raise TraceError(
                        "it holds tensors but is not a trace; make one with 'python -m extract'"
                    )
                meta = TraceMeta.from_json(metadata[_METADATA_KEY])
                names = [name for name in file.keys() if not name.startswith(_FORMER)]  # noqa: SIM118
                tensors = {name: file.get_tensor(name) for name in names}
            trace = cls(meta, tensors)
            if meta.schema > 1 and not has_seal(path) and not sealed_again:
                raise _changed("it has no seal")
            trace.validate()
            if meta.schema == 1:
                if metadata.get(_CHECKSUM_KEY, trace.digest) != trace.digest and not sealed_again:
                    raise _changed("its checksum does not fit its content")
                trace = cls(*completed(trace))
            trace.prove()
        except ProofError as error:
            raise ProofError(f"{path}: {error}", error.errors) from error
        except TraceError as error:
            raise TraceError(f"{path}: {error}") from error
        except FileNotFoundError as error:
            raise TraceError(
                f"{path}: there is no such file; make it with 'python -m extract'"
            ) from error
        except MemoryError as error:
            raise TraceError(f"{path}: it does not fit into this machine's memory") from error
        except (SafetensorError, OSError, TypeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise damaged(f"{path}: it is not a readable trace ({shortened(reason)})") from error
        return trace

    def save(self, path: str | os.PathLike[str]) -> None:
        """Validate and prove the trace, and write it with a seal; see `extract.trace.seal`.

        It is written atomically, so that no incomplete file is ever left.

        Raises
        ------
        TraceError
            If the trace is not valid or the file cannot be written.
        """
        path = Path(path)
        try:
            self.validate()
            self.prove()
        except TraceError as error:
            raise TraceError(f"{path}: not written: {error}") from error
        tensors = {name: np.ascontiguousarray(array) for name, array in self.tensors.items()}
        metadata = {_METADATA_KEY: replace(self.meta, schema=SCHEMA).to_json()}
        try:
            write_bytes(path, sealed(safetensors_numpy.save(tensors, metadata=metadata)))
        except OutputError as error:
            raise TraceError(str(error)) from error

    def validate(self) -> None:
        """Check metadata, names, shapes, types and values.

        Raises
        ------
        TraceError
            If anything is wrong.  The message is one line without the file's name, which `load`
            and `save` add.
        """
        validate(self)

    def prove(self) -> dict[str, float]:
        """Compute every step again from the step before it, as far as the trace holds them.

        `load` and `save` do so; see `extract.trace.proof.prove`.

        Returns
        -------
        dict
            The largest error of every step over all layers, max|a - b| / max|b|.

        Raises
        ------
        ProofError
            If an error is too large.  The message names the first step, its layer and its error.
        """
        return prove(self)


def _changed(what: str) -> TraceError:
    """Return the error for a file that is not what was written."""
    return TraceError(
        f"damaged, or changed since it was written: {what}; extract it again, or, if you changed "
        "it on purpose: python -m extract seal FILE"
    )
