"""Test that a trace is read as it was written, and that damaged files are refused in one line."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save, save_file

import extract
from extract.attention.head_norm import HeadNorm
from extract.trace import SCHEMA, Featured, ModelSource, Trace, TraceError, TraceMeta
from extract.trace.contents import activations
from extract.trace.contents.meta import LATER_FIELDS
from extract.trace.seal import sealed
from tests.support.checkout import PROJECT
from tests.support.latents import with_latent
from tests.support.traces import make_trace, replaced

KINDS: dict[str, dict[str, Any]] = {
    "learned": {},
    "one token": {"n_tokens": 1, "n_heads": 1, "has_bos": False},
    "biases": {"biases": True, "weights_of": (0,)},
    "grouped, rotary": {"n_kv_heads": 2, "positions": "rotary", "n_generated": 3},
    "interleaved": {"positions": "rotary", "rotary_style": "interleaved", "rotary_dim": 4},
    "multi-query, alibi": {"n_kv_heads": 1, "positions": "alibi"},
    "no positions": {"positions": "none", "d_model": 24},
    "normalised, sinks": {
        **{"positions": "rotary", "qk_norm": HeadNorm("layer", "head", 1e-6)},
        **{"sinks": True, "d_v": 5},
    },
    "windows, cap": {"window": 3, "score_cap": 2.0},
    "mla": {"mla": True, "positions": "rotary"},
}


@pytest.fixture(params=KINDS, ids=str)
def trace(request: pytest.FixtureRequest) -> Trace:
    return make_trace(**KINDS[request.param])


@pytest.fixture
def rotary() -> Trace:
    return make_trace(**KINDS["grouped, rotary"])


# Round trip


def test_a_trace_is_read_as_it_was_written(trace: Trace, tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "trace.safetensors"
    trace.save(file)
    read = Trace.load(file)
    assert read.meta == trace.meta
    assert read.tensors.keys() == trace.tensors.keys()
    for name, array in trace.tensors.items():
        np.testing.assert_array_equal(read[name], array)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_trace_is_always_the_same_file(trace: Trace, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.safetensors" for number in range(5)]
    for file in files:
        trace.save(file)
    assert len({file.read_bytes() for file in files}) == 1


def test_metadata_are_one_json_document(trace: Trace) -> None:
    document = json.loads(trace.meta.to_json())
    # Files of older versions have no such fields, and those without them are written as theirs.
    absent = {name for name in LATER_FIELDS if not getattr(trace.meta, name)}
    assert {field.name for field in dataclasses.fields(TraceMeta)} - absent == set(document)
    assert TraceMeta.from_json(trace.meta.to_json()) == trace.meta


def test_optional_metadata_are_read_back() -> None:
    meta = dataclasses.replace(
        make_trace().meta,
        latent={"1": {"rank": 8}},
        check={"figures": "known ones", "agrees": True, "comparisons": []},
        continued=True,
        rows=(2, 6),
    )
    assert TraceMeta.from_json(meta.to_json()) == meta


@pytest.mark.parametrize("rows", [(3,), (5, 5), (0, 4), (2, 99), (-2, 4), (1, 2, 3)])
def test_rows_that_are_no_positions_of_the_prompt(rows: tuple[int, ...]) -> None:
    with pytest.raises(TraceError, match="'rows' should be two positions of the prompt"):
        replaced(make_trace(), rows=rows).validate()


def test_a_fitted_latent_is_read_back(tmp_path: Path) -> None:
    trace = with_latent(rank=5, positions="rotary", biases=True)
    trace.save(tmp_path / "trace.safetensors")
    read = Trace.load(tmp_path / "trace.safetensors")
    for name in ("W_DKV", "W_UK", "W_UV", "b_O"):
        np.testing.assert_array_equal(read[f"latent.1.{name}"], trace[f"latent.1.{name}"])
    with pytest.raises(TraceError, match=r"latent\.1\.W_UV.* is missing"):
        replaced(trace, {"latent.1.W_UV": None}).validate()
    with pytest.raises(TraceError, match="a latent of layer 1 that its metadata do not describe"):
        replaced(trace, latent=None).validate()


def test_arrays_cannot_be_written_to(trace: Trace) -> None:
    with pytest.raises(ValueError, match="read-only"):
        trace["x.0"][0, 0] = 1
    with pytest.raises(TypeError):
        trace.tensors["x.0"] = trace["x.0"]  # type: ignore[index]


# Look-ups


def test_names_and_presence(rotary: Trace) -> None:
    assert rotary.tensor_name("q_rot", 1) == "q_rot.1"
    assert rotary.has("q_rot", 1)
    assert not rotary.has("kv_latent", 1)
    assert rotary.get("q_rot", 1) is rotary["q_rot.1"]
    with pytest.raises(TraceError, match=r"no tensor 'kv_latent\.1'"):
        rotary.get("kv_latent", 1)


def test_keys_and_queries_are_the_ones_that_the_scores_use() -> None:
    rotary, plain = make_trace(positions="rotary"), make_trace(positions="learned")
    assert rotary.rotates
    assert rotary.queries(0) is rotary["q_rot.0"]
    assert rotary.keys(0) is rotary["k_rot.0"]
    assert not plain.rotates
    assert plain.queries(0) is plain["q.0"]
    assert plain.keys(0) is plain["k.0"]


def test_query_heads_share_key_value_heads() -> None:
    trace = make_trace(n_heads=6, n_kv_heads=2)
    assert [trace.kv_head(head) for head in range(6)] == [0, 0, 0, 1, 1, 1]


def test_missing_weights_name_the_command_that_adds_them() -> None:
    trace = make_trace(n_layers=3, featured=(1, 0))
    assert trace.layers_with_weights() == (1,)
    assert trace.weights("W_Q", 1) is trace["W_Q.1"]
    with pytest.raises(TraceError, match=r"layer 2.*python -m extract .*--layer 1 --layer 2 "):
        trace.weights("W_Q", 2)


def test_weights_of_a_model_in_memory_are_added_from_python() -> None:
    trace = replaced(make_trace(), source=ModelSource("memory", "mine"))
    with pytest.raises(TraceError, match=r"extract\.trace\(.*layers=\[1, 0\]"):
        trace.weights("W_Q", 0)


def test_a_bias_that_a_layer_does_not_have() -> None:
    with pytest.raises(TraceError, match=r"no tensor 'b_Q\.1'"):
        make_trace().weights("b_Q", 1)


# Scores


def test_softmax_of_the_masked_scores_is_the_pattern(trace: Trace) -> None:
    for layer in range(trace.meta.n_layers):
        scores = trace.scores(layer, masked=True)
        highest = scores.max(axis=-1, keepdims=True)
        exponents = np.exp(scores.filled(-np.inf) - highest)
        total = exponents.sum(axis=-1, keepdims=True)
        if trace.meta.sinks:
            total += np.exp(trace.get("sinks", layer)[:, None, None] - highest)
        pattern = exponents / total
        np.testing.assert_allclose(pattern, trace.get("pattern", layer), atol=1e-6)


def test_scores_are_finite_everywhere_and_can_be_masked(trace: Trace) -> None:
    n = len(trace.meta.tokens)
    scores, masked = trace.scores(0), trace.scores(0, masked=True)
    assert scores.shape == (trace.meta.n_heads, n, n)
    assert scores.dtype == np.float64
    assert not np.ma.isMaskedArray(scores)
    assert np.isfinite(scores).all()
    assert np.isfinite(masked.data).all()
    np.testing.assert_array_equal(masked.mask[0], np.triu(np.ones((n, n), dtype=bool), k=1))


def test_scores_of_one_head(trace: Trace) -> None:
    every = trace.scores(0, masked=True)
    for head in range(trace.meta.n_heads):
        one = trace.scores(0, head, masked=True)
        np.testing.assert_allclose(one.data, every.data[head])
        np.testing.assert_array_equal(one.mask, every.mask[head])


def test_unscaled_scores_are_the_dot_products() -> None:
    trace = make_trace(n_kv_heads=2, positions="alibi")
    query, key = trace["q.0"][5, 3].astype(np.float64), trace["k.0"][2, trace.kv_head(3)]
    assert trace.scores(0, 3, scaled=False)[5, 2] == pytest.approx(query @ key)
    slope = float(trace["alibi_slopes"][3])
    expected = query @ key * trace.meta.score_scale + slope * (2 - 5)
    assert trace.scores(0, 3)[5, 2] == pytest.approx(expected)


# Damaged traces


def changed(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Trace], Trace]:
    """Return a function that damages one tensor of a trace."""

    def damage(trace: Trace) -> Trace:
        array = trace[name].copy()
        result = change(array)
        return replaced(trace, {name: array if result is None else result})

    return damage


def meta(**changes: Any) -> Callable[[Trace], Trace]:
    """Return a function that damages the metadata of a trace."""
    return lambda trace: replaced(trace, **changes)


def put(index: Any, value: float) -> Callable[[np.ndarray], None]:
    """Return a function that changes one cell of an array."""

    def change(array: np.ndarray) -> None:
        array[index] = value

    return change


DAMAGES: dict[str, tuple[Callable[[Trace], Trace], str]] = {
    "missing tensor": (lambda t: replaced(t, {"k.1": None}), r"'k\.1' is missing"),
    "missing rotation": (lambda t: replaced(t, {"q_rot.0": None}), r"'q_rot\.0' is missing"),
    "missing weight": (lambda t: replaced(t, {"W_V.1": None}), r"'W_V\.1' is missing"),
    "half the weights": (
        lambda t: replaced(t, {"W_Q.0": t["W_Q.1"]}),
        r"'W_K\.0' is missing",
    ),
    "featured weights": (
        lambda t: replaced(t, {f"W_{name}.1": None for name in "QKVO"}),
        r"'W_Q\.1' is missing",
    ),
    "no top": (lambda t: replaced(t, {"top_ids": None}), "'top_ids' is missing"),
    "unknown tensor": (lambda t: replaced(t, {"mlp.0": t["x.0"]}), r"'mlp\.0' is not part"),
    "layer too many": (lambda t: replaced(t, {"x.2": t["x.0"]}), r"'x\.2' is not part"),
    "latent of no mla": (lambda t: replaced(t, {"k_rope.0": t["x.0"]}), r"'k_rope\.0' is not part"),
    "precision": (changed("z.0", lambda a: a.astype(np.float64)), r"'z\.0' is float64 .* float32"),
    "ids as floats": (
        changed("top_ids", lambda a: a.astype(np.float32)),
        "'top_ids' is float32 and should be int32",
    ),
    "one position less": (
        changed("v.0", lambda a: a[:-1]),
        r"'v\.0' has shape \[12, 2, 8\] and should have \[13, 2, 8\] \[pos, n_kv_heads, d_v\]",
    ),
    "transposed": (changed("W_O.1", lambda a: a.transpose(2, 0, 1)), r"'W_O\.1' has shape"),
    "one axis less": (changed("q.1", lambda a: a[:, 0]), r"'q\.1' has shape"),
    "not a number": (changed("out.1", put((3, 2), np.nan)), r"'out\.1' holds .* not finite"),
    "infinite": (changed("x.0", put((0, 0), np.inf)), r"'x\.0' holds .* not finite"),
    "row of 1.1": (
        changed("pattern.1", put((2, 0, 0), 1.1)),
        r"rows of tensor 'pattern\.1' do not sum to 1 \(off by 1\.0e-01\)",
    ),
    "sees later keys": (
        changed("pattern.0", lambda a: a[:, :, ::-1].copy()),
        r"'pattern\.0' lets a query see a later key",
    ),
    "negative weight": (changed("pattern.0", put((0, 1, 0), -0.1)), r"'pattern\.0' .* negative"),
    "negative id": (changed("top_ids", put((0, 0), -1)), "'top_ids' holds negative"),
    "unsorted": (changed("top_probs", lambda a: a[:, ::-1].copy()), "'top_probs' does not hold"),
    "improbable": (changed("top_probs", lambda a: a + 1), "'top_probs' does not hold"),
    "schema": (meta(schema=SCHEMA + 1), "its schema is 3"),
    "attention": (meta(attention="linear"), "'attention' is 'linear', not one of mha"),
    "positions": (meta(positions="sinusoidal"), "'positions' is 'sinusoidal'"),
    "style": (meta(rotary_style="spiral"), "'rotary_style' is 'spiral'"),
    "groups": (meta(attention="mqa"), "4 query heads and 2 key/value heads do not make 'mqa'"),
    "no layers": (meta(n_layers=0), "'n_layers' is 0"),
    "rotation of nothing": (meta(rotary_dim=0), "contradict one another"),
    "odd rotation": (meta(rotary_dim=3), "'rotary_dim' is 3"),
    "wide rotation": (meta(rotary_dim=10), "'rotary_dim' is 10"),
    "no scale": (meta(score_scale=0.0), "'score_scale' is 0.0"),
    "tokens": (lambda t: replaced(t, tokens=t.meta.tokens[1:]), "12 tokens, 13 token ids"),
    "next tokens": (
        lambda t: replaced(t, top_tokens=tuple(row[:4] for row in t.meta.top_tokens)),
        "'top_tokens' should have 5",
    ),
    "prompt too long": (meta(n_prompt=14), "'n_prompt' is 14, which does not fit 13 tokens"),
    "prompt of only bos": (meta(n_prompt=1), "'n_prompt' is 1"),
    "featured layer": (meta(featured=Featured(2, 0)), "featured layer 2, head 0 is outside"),
    "featured head": (meta(featured=Featured(0, 4)), "featured layer 0, head 4 is outside"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_trace_is_neither_written_nor_read(
    name: str, rotary: Trace, tmp_path: Path
) -> None:
    damage, message = DAMAGES[name]
    damaged = damage(rotary)
    file = tmp_path / "trace.safetensors"

    with pytest.raises(TraceError, match=message) as refused:
        damaged.save(file)
    assert str(refused.value).startswith(f"{file}: not written: ")
    assert not list(tmp_path.iterdir())

    tensors = {key: np.ascontiguousarray(array) for key, array in damaged.tensors.items()}
    file.write_bytes(sealed(save(tensors, metadata={"trace": damaged.meta.to_json()})))
    with pytest.raises(TraceError, match=message) as refused:
        Trace.load(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert "\n" not in str(refused.value)


def json_with(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    """Return a function that changes the JSON document of the metadata."""

    def edit(text: str) -> str:
        document = json.loads(text)
        result = change(document)
        return json.dumps(document if result is None else result)

    return edit


METADATA: dict[str, tuple[Callable[[str], str], str]] = {
    "not json": (lambda text: text[:-1], "is not JSON"),
    "a list": (lambda text: "[]", r"its metadata should be an object, not \[\]"),
    "older": (json_with(lambda d: d.update(schema=0)), "schema is 0.*extract it again"),
    "newer": (json_with(lambda d: d.update(schema=9)), "schema is 9.*update this project"),
    "missing": (json_with(lambda d: d.pop("n_prompt") and None), "has no 'n_prompt'"),
    "unknown": (json_with(lambda d: d.update(mood="good")), r"unknown fields \(mood\)"),
    "text": (json_with(lambda d: d.update(model=3)), "'model' should be text, not 3"),
    "whole": (json_with(lambda d: d.update(d_qk=1.5)), "'d_qk' should be a whole number"),
    "truth as whole": (json_with(lambda d: d.update(n_heads=True)), "'n_heads' should be a whole"),
    "number": (json_with(lambda d: d.update(score_scale="1")), "'score_scale' should be a finite"),
    "finite": (
        json_with(lambda d: d.update(score_scale=1e999)),
        "'score_scale' should be a finite",
    ),
    "truth": (json_with(lambda d: d.update(has_bos=1)), "'has_bos' should be true or false"),
    "list": (json_with(lambda d: d.update(tokens="The")), "'tokens' should be a list"),
    "list of text": (json_with(lambda d: d["tokens"].append(None)), "'tokens' should be text"),
    "list of ids": (json_with(lambda d: d["token_ids"].append("1")), "'token_ids' should be a who"),
    "rows": (
        json_with(lambda d: d["top_tokens"].append("a")),
        "'top_tokens' should be a list, not 'a'",
    ),
    "object": (json_with(lambda d: d.update(versions=[])), "'versions' should be an object"),
    "version": (json_with(lambda d: d["versions"].update(numpy=2)), "'numpy' should be text"),
    "error": (json_with(lambda d: d["self_check"].update(q="low")), "'q' should be a finite"),
    "latent": (json_with(lambda d: d.update(latent=[1])), "'latent' should be an object"),
    "featured": (json_with(lambda d: d["featured"].pop("head") and None), "has no 'head'"),
    "source": (json_with(lambda d: d["source"].update(url="")), r"unknown fields \(url\)"),
    "revision": (json_with(lambda d: d["source"].pop("revision") or None), "has no 'revision'"),
}


@pytest.mark.parametrize("name", METADATA)
def test_damaged_metadata_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    edit, message = METADATA[name]
    trace = make_trace()
    file = tmp_path / "trace.safetensors"
    metadata = {"trace": edit(trace.meta.to_json())}
    file.write_bytes(sealed(save(dict(trace.tensors), metadata=metadata)))
    with pytest.raises(TraceError, match=message) as refused:
        Trace.load(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert "\n" not in str(refused.value)


def test_files_that_are_not_traces(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    with pytest.raises(TraceError, match="there is no such file; make it with 'python -m extract'"):
        Trace.load(file)
    file.write_bytes(b"")
    with pytest.raises(TraceError, match="not a readable trace"):
        Trace.load(file)
    file.write_bytes(b"attention " * 100)
    with pytest.raises(TraceError, match="not a readable trace"):
        Trace.load(file)
    with pytest.raises(TraceError, match="not a readable trace"):
        Trace.load(tmp_path)
    save_file({"x": np.zeros(3)}, file)
    with pytest.raises(TraceError, match="is not a trace"):
        Trace.load(file)


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace().save(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(TraceError, match="damaged, or changed since it was written"):
        Trace.load(file)


# Writing that fails


def test_a_full_disk_is_one_line_and_leaves_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace(seed=1).save(file)
    older = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        TraceError,
        match=r"cannot write .*: No space left on device; make room on that disk and run again",
    ):
        make_trace(seed=2).save(file)
    assert file.read_bytes() == older
    assert list(tmp_path.iterdir()) == [file]


def test_an_interrupt_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_trace().save(tmp_path / "trace.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match=r"cannot write .*; choose another place and run again"):
        make_trace().save(tmp_path / "file" / "trace.safetensors")


# The package


def test_the_submodule_and_the_function_share_a_name() -> None:
    assert callable(extract.trace)
    assert extract.Trace is Trace
    assert sys.modules["extract.trace"].Trace is Trace


@pytest.mark.parametrize(
    "first", ["import extract", "import extract.trace", "from extract.trace import Trace"]
)
def test_reading_traces_loads_no_model_library(first: str, tmp_path: Path) -> None:
    make_trace().save(tmp_path / "trace.safetensors")
    program = (
        f"{first}\n"
        "import sys, extract\n"
        "from extract.trace import Trace\n"
        "assert callable(extract.trace)\n"
        f"Trace.load({str(tmp_path / 'trace.safetensors')!r})\n"
        "print(sorted({'torch', 'transformers', 'transformer_lens', 'manim'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_axes_are_named_as_in_the_documentation() -> None:
    trace = make_trace(positions="rotary")
    assert trace.axes("q_rot.1") == ("pos", "n_heads", "d_qk")
    assert trace.axes("pattern.0") == ("n_heads", "query_pos", "key_pos")
    assert trace.axes("x.0") == ("pos", "d_model")
    with pytest.raises(TraceError, match="no tensor 'nothing'"):
        trace.axes("nothing")
    for name, tensor in trace.tensors.items():
        assert len(trace.axes(name)) == tensor.ndim


def test_axes_of_all_tensors_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every panel of every picture asks for them."""
    trace = make_trace(positions="rotary")
    assert trace.axes("q.0")
    monkeypatch.delattr(activations, "required_axes")
    assert trace.axes("x.0") == ("pos", "d_model")


def test_a_trace_can_be_sent_to_another_process() -> None:
    trace = make_trace()
    sent = pickle.loads(pickle.dumps(trace))
    assert sent.digest == trace.digest
    assert not sent["x.0"].flags.writeable
