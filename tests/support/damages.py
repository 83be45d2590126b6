"""Damage traces at random: one tensor or one field of the metadata at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from extract.trace import Trace, TraceError
from extract.trace.seal import sealed

Random = np.random.Generator
Tensors = dict[str, np.ndarray]


class TraceFile(NamedTuple):
    """What a file holds: tensors, the metadata as JSON, and the seal."""

    tensors: Tensors
    meta: dict[str, Any]
    seal: str

    @classmethod
    def read(cls, path: Path) -> TraceFile:
        """Read a file as it is, without any check."""
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        return cls(tensors, json.loads(metadata["trace"]), metadata.get("seal", ""))

    def write(self, path: Path) -> None:
        """Write the file with its old seal, as damage leaves it, or without one if it had none."""
        data = self._data()
        if self.seal:
            whole = sealed(data)
            data = whole.replace(seal_in(whole), self.seal.encode(), 1)
        path.write_bytes(data)

    def write_sealed(self, path: Path) -> None:
        """Write the file with a seal that fits, as a program does that computes wrong numbers."""
        path.write_bytes(sealed(self._data()))

    def _data(self) -> bytes:
        tensors = {name: np.ascontiguousarray(array) for name, array in self.tensors.items()}
        return save(tensors, metadata={"trace": json.dumps(self.meta)})


def seal_in(content: bytes) -> bytes:
    """Return the seal of a sealed file."""
    return content.split(b'"seal":"', 1)[1][:64]


def _one_element(value: float) -> Callable[[np.ndarray, Random], None]:
    def change(array: np.ndarray, random: Random) -> None:
        array.flat[random.integers(array.size)] = value

    return change


def _permute(axis: int) -> Callable[[np.ndarray, Random], np.ndarray]:
    def change(array: np.ndarray, random: Random) -> np.ndarray:
        return random.permutation(array, axis=min(axis, array.ndim - 1))

    return change


def _replace_row(array: np.ndarray, random: Random) -> None:
    array[random.integers(len(array))] = array[random.integers(len(array))]


def _largest_element(array: np.ndarray, random: Random) -> None:
    array.flat[np.abs(array).argmax()] *= random.choice([0.5, 0.9, -1])


def _some_noise(array: np.ndarray, random: Random) -> np.ndarray:
    return array + (random.normal(size=array.shape) * 0.01 * array.std()).astype(array.dtype)


TENSOR_DAMAGES: dict[str, Callable[[np.ndarray, Random], np.ndarray | None]] = {
    "zeros": lambda array, random: np.zeros_like(array),
    "halved": lambda array, random: (array / 2).astype(array.dtype),
    "1 % larger": lambda array, random: (array * 1.01).astype(array.dtype),
    "negative": lambda array, random: -array,
    "rows permuted": _permute(0),
    "second axis permuted": _permute(1),
    "last axis permuted": _permute(-1),
    "a row copied": _replace_row,
    "one element 1e6": _one_element(1e6),
    "one element nan": _one_element(np.nan),
    "largest element": _largest_element,
    "noise of 1 %": _some_noise,
}


def damaged_tensors(file: TraceFile, random: Random) -> Iterator[tuple[str, TraceFile]]:
    """Yield files with one damaged tensor each, without end."""
    names = sorted(file.tensors)
    while True:
        name = str(random.choice(names))
        kind = str(random.choice([*TENSOR_DAMAGES, "swapped"]))
        array = file.tensors[name].copy()
        changed: Tensors = {}
        if kind == "swapped":
            same = [n for n in names if n != name and file.tensors[n].shape == array.shape]
            if not same:
                continue
            other = str(random.choice(same))
            changed = {name: file.tensors[other], other: array}
            kind = f"swapped with {other}"
        elif np.issubdtype(array.dtype, np.integer) and kind == "one element nan":
            continue
        else:
            damaged = TENSOR_DAMAGES[kind](array, random)
            changed = {name: array if damaged is None else damaged}
        if any(not np.array_equal(file.tensors[n], a) for n, a in changed.items()):
            yield f"{name} {kind}", file._replace(tensors=file.tensors | changed)


def damaged_metadata(file: TraceFile, random: Random) -> Iterator[tuple[str, TraceFile]]:
    """Yield files with one damaged value in their metadata each, without end."""
    places = list(_values(file.meta))
    fields = sorted({place[0] for place in places}, key=str)
    while True:
        # Every field equally often, although some hold many values.
        field = random.choice(fields)
        of_field = [place for place in places if place[0] == field]
        place = of_field[random.integers(len(of_field))]
        meta = copy.deepcopy(file.meta)
        holder = meta
        for key in place[:-1]:
            holder = holder[key]
        before = holder[place[-1]]
        after = _other_value(before, random)
        if json.dumps(after) != json.dumps(before):
            holder[place[-1]] = after
            shown = ".".join(map(str, place))
            yield f"{shown}: {str(before)[:20]!r} to {str(after)[:20]!r}", file._replace(meta=meta)


def _values(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, dict | list):
            yield from _values(inner, (*place, key))
        else:
            yield (*place, key)


def _other_value(value: Any, random: Random) -> Any:
    """Return another value of the same type, or now and then of another one."""
    if value is None or random.random() < 0.05:
        return random.choice(np.array([None, "x", 7, 1.5, True], dtype=object))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        choices = [value + 1, value - 1, 2 * value, 0, -value, int(random.integers(2**31)), 10**6]
        return choices[random.integers(len(choices))]
    if isinstance(value, float):
        return value * float(random.choice([0.5, 0.99, 2, -1, 1e300]))
    choices = ["", f"{value}x", value[::-1], value.upper(), "\x1b[31m", "word" * 1000]
    return choices[random.integers(len(choices))]


# Chosen damage


def refusal(file: TraceFile, folder: Path) -> str:
    """Write a file with wrong numbers and a seal that fits, and return why it is refused."""
    path = folder / "wrong.safetensors"
    file.write_sealed(path)
    message = refused(path)
    assert message is not None
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def refused(path: Path) -> str | None:
    """Return why a file is refused, or None if it is not."""
    try:
        Trace.load(path)
    except TraceError as error:
        return str(error)
    return None


def with_tensor(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[TraceFile], TraceFile]:
    """Return a function that damages one tensor of a file."""

    def damage(file: TraceFile) -> TraceFile:
        array = file.tensors[name].copy()
        result = change(array)
        return file._replace(tensors=file.tensors | {name: array if result is None else result})

    return damage


def with_meta(**changes: Any) -> Callable[[TraceFile], TraceFile]:
    """Return a function that changes fields of the metadata of a file."""
    return lambda file: file._replace(meta=file.meta | changes)


def put(index: Any, value: float) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[index] = value

    return change
