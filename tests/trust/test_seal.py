"""The seal notices every change of a file, and files without one are still read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save, save_file

from extract.__main__ import main
from extract.limits import MAX_FILE
from extract.trace import ROTATION, Trace
from extract.trace.older_files import completed
from extract.trace.seal import broken_seal, has_seal, sealed
from tests.support.checkout import SHIPPED
from tests.support.damages import TraceFile, refused, with_meta, with_tensor
from tests.support.traces import NORM_EPS, make_trace

KINDS: dict[str, dict[str, Any]] = {
    "rotary": {"n_kv_heads": 2, "positions": "rotary"},
    "interleaved": {"positions": "rotary", "rotary_style": "interleaved", "rotary_dim": 4},
    "mla": {"mla": True, "positions": "rotary", "d_head": 16},
    "learned": {"biases": True},
}
CHANGED = "damaged, or changed since it was written: "


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trace.safetensors"
    make_trace(positions="rotary").save(path)
    return path


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """A third of them in the header; all of the file is covered, the seal's own place too."""
    path = tmp_path / "trace.safetensors"
    content = bytearray(SHIPPED.read_bytes())
    path.write_bytes(content)
    assert refused(path) is None
    length = 8 + int.from_bytes(content[:8], "little")
    random = np.random.default_rng(23)
    places = [*random.integers(length, size=100), *random.integers(len(content), size=200)]
    accepted = []
    with path.open("r+b") as stream:
        for place in map(int, places):
            bit = 1 << int(random.integers(8))
            for byte in (content[place] ^ bit, content[place]):
                stream.seek(place)
                stream.write(bytes([byte]))
                stream.flush()
                if byte != content[place] and refused(path) is None:
                    accepted.append(place)
    assert accepted == []
    assert refused(path) is None


def test_a_change_is_told_in_one_line_that_says_what_to_do(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-4] + bytes(4))
    assert refused(file) == (
        f"{file}: {CHANGED}its seal does not fit its content; extract it again, or, if you changed "
        "it on purpose: python -m extract seal FILE"
    )


def test_a_file_that_should_have_a_seal_is_refused_without_one(file: Path) -> None:
    TraceFile.read(file)._replace(seal="").write(file)
    assert not has_seal(file)
    assert not broken_seal(file)
    assert f"{CHANGED}it has no seal; " in str(refused(file))


def test_the_same_trace_is_the_same_file(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    Trace.load(file).save(again)
    assert again.read_bytes() == file.read_bytes()


def test_what_was_changed_on_purpose_is_sealed_again(file: Path) -> None:
    with_meta(featured_criterion="chosen by hand")(TraceFile.read(file)).write(file)
    assert CHANGED in str(refused(file))
    done = CliRunner().invoke(main, ["seal", str(file)])
    assert (done.exit_code, done.output) == (0, f"{file}: proved and sealed\n")
    assert Trace.load(file).meta.featured_criterion == "chosen by hand"


def test_false_numbers_get_no_seal(file: Path) -> None:
    with_tensor("z.0", lambda z: z * 2)(TraceFile.read(file)).write(file)
    before = file.read_bytes()
    done = CliRunner().invoke(main, ["seal", str(file)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {file}: 'z' of layer 0, computed again")
    assert len(done.stderr.splitlines()) == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize("sealed_file", [True, False])
def test_info_says_whether_there_is_a_seal(sealed_file: bool, file: Path) -> None:
    if not sealed_file:
        write_older(Trace.load(file), file)
    output = CliRunner().invoke(main, ["info", str(file)]).stdout
    facts = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert facts["seal"].startswith("whole" if sealed_file else "none: ")


# Files of older versions


def write_older(trace: Trace, path: Path, *, checksum: str = "") -> None:
    """Write a trace as version 1 did: without rotation, epsilon and seal."""
    meta = replace(trace.meta, schema=1, norm_eps=0.0)
    tensors = {name: array for name, array in trace.tensors.items() if name not in ROTATION}
    if checksum == "right":
        checksum = Trace(meta, tensors).digest
    metadata = {"trace": meta.to_json()} | ({"sha256": checksum} if checksum else {})
    save_file(dict(tensors), path, metadata=metadata)


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_file_is_read_and_completed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.safetensors"
    trace = make_trace(**KINDS[kind])
    write_older(trace, path, checksum="right")
    read = Trace.load(path)
    assert max(read.prove().values()) < 1e-5
    assert read.meta.norm_eps == pytest.approx(trace.meta.norm_eps, abs=1e-6)
    if trace.rotates:
        x = np.random.default_rng(0).normal(size=trace["q.1"].shape)
        np.testing.assert_allclose(read.rotation(1).apply(x), trace.rotation(1).apply(x), atol=1e-5)
    read.save(path)
    assert Trace.load(path).meta.schema == 2


def test_the_epsilon_of_an_older_file_is_found() -> None:
    """A latent near 0 shows it."""
    trace = make_trace(**KINDS["mla"])
    x, weights = trace["x.1"] * np.float32(1e-3), trace["W_DKV.1"]
    down = x.astype(np.float64) @ weights
    latent = down / np.sqrt((down**2).mean(-1, keepdims=True) + NORM_EPS) * trace["g_KV.1"]
    tiny = Trace(trace.meta, {**trace.tensors, "kv_latent.1": latent.astype(np.float32), "x.1": x})
    assert completed(tiny)[0].norm_eps == pytest.approx(NORM_EPS, rel=1e-3)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_scale_is_not_taken_for_an_epsilon(scale: float, tmp_path: Path) -> None:
    """At a single position, a large one would explain any scale."""
    path = tmp_path / "trace.safetensors"
    trace = make_trace(n_tokens=1, has_bos=False, **KINDS["mla"])
    tensors = {**trace.tensors, "kv_latent.1": trace["kv_latent.1"] * np.float32(scale)}
    write_older(Trace(trace.meta, tensors), path)
    assert "'kv_latent' of layer 1, computed again" in str(refused(path))


def test_the_checksum_of_an_older_file_is_compared(file: Path) -> None:
    write_older(Trace.load(file), file, checksum="0" * 64)
    assert f"{CHANGED}its checksum does not fit" in str(refused(file))


# Files that only claim to be large, or that are nested


def test_a_file_that_is_too_large_is_not_read(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(MAX_FILE + 1)
    assert "it has more than 8 GiB" in str(refused(file))


def test_what_does_not_fit_into_memory_is_one_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Trace) -> None:
        raise MemoryError

    monkeypatch.setattr(Trace, "validate", fail)
    assert refused(file) == f"{file}: it does not fit into this machine's memory"


@pytest.mark.parametrize("field", ["latent", "conversion", "check"])
def test_metadata_that_are_nested_deep_are_refused(field: str, file: Path) -> None:
    whole = TraceFile.read(file)
    text = json.dumps({**whole.meta, field: "NESTED"})
    # The library that writes JSON cannot nest as deep.
    nested = text.replace('"NESTED"', '{"a":' * 900 + "1" + "}" * 900)
    file.write_bytes(sealed(save(whole.tensors, metadata={"trace": nested})))
    assert "its metadata is nested deeper than 12 levels" in str(refused(file))
