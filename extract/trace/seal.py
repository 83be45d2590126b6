"""The seal of a trace's file: one SHA-256 of all its bytes, which the file itself holds.

What arithmetic cannot prove, such as the name of the model or activations of layers whose weights
are not stored, is guarded by it: whatever bit changes, the seal no longer fits.  It is no secret
and protects against damage, not against a forger.

A file begins with its length of header and with the seal, always at the same place, so that it can
be compared before anything is parsed.  The digest is that of the file with zeros in place of the
seal.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

__all__ = ["broken_seal", "has_seal", "sealed"]

_METADATA = "__metadata__"
_KEY = "seal"
_LENGTH = 8  # bytes in front of the header that say how long it is
_BEFORE = f'{{"{_METADATA}":{{"{_KEY}":"'.encode()
_START = _LENGTH + len(_BEFORE)
_ZEROS = b"0" * hashlib.sha256().digest_size * 2


def sealed(data: bytes) -> bytes:
    """Return a safetensors file with its seal.

    The rest of its metadata is put into alphabetical order: the library writes it in a random one,
    so that the same trace would be another file, and its pictures would not be found in the cache.

    Parameters
    ----------
    data : bytes
        The file as the library writes it, its metadata without a seal.
    """
    length = int.from_bytes(data[:_LENGTH], "little")
    header = json.loads(data[_LENGTH : _LENGTH + length])
    metadata = {_KEY: _ZEROS.decode(), **dict(sorted(header.pop(_METADATA).items()))}
    text = json.dumps(
        {_METADATA: metadata, **header}, ensure_ascii=False, separators=(",", ":")
    ).encode()
    # Padded to a multiple of 8 bytes, as the format asks for.
    text += b" " * (-len(text) % 8)
    whole = len(text).to_bytes(_LENGTH, "little") + text + data[_LENGTH + length :]
    seal = hashlib.sha256(whole).hexdigest().encode()
    return whole[:_START] + seal + whole[_START + len(seal) :]


def has_seal(path: Path) -> bool:
    """Return whether a file has a seal, whole or broken."""
    with path.open("rb") as file:
        return file.read(_START)[_LENGTH:] == _BEFORE


def broken_seal(path: Path) -> bool:
    """Return whether a file has a seal that does not fit its content."""
    with path.open("rb") as file:
        start = file.read(_START)
        seal = file.read(len(_ZEROS))
        digest = hashlib.sha256(start + _ZEROS)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return start[_LENGTH:] == _BEFORE and seal != digest.hexdigest().encode()
