"""Traces that lie or are damaged are refused when they are loaded, in one line and at once."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from extract.__main__ import main
from extract.attention.self_check import largest_errors
from extract.limits import MAX_LAYERS, MAX_NAME, MAX_TOKEN_TEXT
from extract.trace import Trace, TraceError
from extract.trace.proof.prove import ProofError, layer_errors
from tests.support.checkout import SHIPPED
from tests.support.damages import (
    TraceFile,
    damaged_metadata,
    damaged_tensors,
    put,
    refusal,
    refused,
    with_meta,
    with_tensor,
)
from tests.support.latents import with_latent
from tests.support.traces import make_trace, replaced

KINDS: dict[str, dict[str, Any]] = {
    "learned": {"biases": True},
    "one token": {"n_tokens": 1, "has_bos": False},
    "grouped, rotary": {"n_kv_heads": 2, "positions": "rotary", "n_generated": 3},
    "interleaved": {"positions": "rotary", "rotary_style": "interleaved", "rotary_dim": 4},
    "multi-query, alibi": {"n_kv_heads": 1, "positions": "alibi"},
    "mla": {"mla": True, "positions": "rotary", "d_head": 16},
}


@pytest.fixture
def shipped() -> TraceFile:
    return TraceFile.read(SHIPPED)


# --- Damage that once gave other pictures silently ------------------------------------------------


def computed_again(stage: str, layer: int) -> str:
    return f"'{stage}' of layer {layer}, computed again from the step before it, differs by "


DAMAGES: dict[str, tuple[Callable[[TraceFile], TraceFile], str]] = {
    "q zeroed": (with_tensor("q.3", np.zeros_like), computed_again("q_rot", 3)),
    "q zeroed, with weights": (with_tensor("q.11", np.zeros_like), computed_again("q", 11)),
    "q_rot zeroed": (with_tensor("q_rot.3", np.zeros_like), computed_again("q_rot", 3)),
    "k scaled": (with_tensor("k.11", lambda k: k * np.float32(1.01)), computed_again("k", 11)),
    "k permuted": (with_tensor("k.7", lambda k: k[::-1]), computed_again("k_rot", 7)),
    "v of one token": (with_tensor("v.20", lambda v: v * 2), computed_again("z", 20)),
    "z 1e6": (with_tensor("z.0", put((3, 2, 1), 1e6)), computed_again("z", 0)),
    "out": (with_tensor("out.11", lambda out: out + 1), computed_again("out", 11)),
    "x": (with_tensor("x.11", lambda x: x[::-1]), computed_again("q", 11)),
    "W_O": (with_tensor("W_O.11", lambda w: w[::-1]), computed_again("out", 11)),
    "pattern of another head": (
        with_tensor("pattern.5", lambda p: p[::-1]),
        computed_again("pattern", 5),
    ),
    "latent": (
        with_tensor("latent.11.W_UV", lambda w: w * np.float32(1.1)),
        computed_again("latent", 11),
    ),
    "score_scale": (with_meta(score_scale=0.12), computed_again("pattern", 0)),
    "score_scale 1e300": (with_meta(score_scale=1e300), "its 'score_scale' is 1e+300 and should"),
    "n_prompt": (
        with_meta(n_prompt=9),
        "its prompt is spelled by the tokens 1 to 9, and its 'has_bos' and 'n_prompt' say 1 to 8",
    ),
    "a prompt of other words": (
        with_meta(prompt="The Canadian flag is red, white, and"),
        "its prompt is 'The Canadian flag is red, white, and', and its tokens spell 'The American ",
    ),
    "a prompt with more words": (
        with_meta(prompt="The American flag is not red, white, and"),
        "its prompt is 'The American flag is not red, white, and', and its tokens spell ",
    ),
    "no bos": (
        with_meta(has_bos=False),
        "its prompt is spelled by the tokens 1 to 9, and its 'has_bos' and 'n_prompt' say 0 to 9",
    ),
    "generated": (
        lambda file: with_tensor("top_ids", lambda ids: np.roll(ids, 1, axis=1))(
            with_meta(top_tokens=[[*row[-1:], *row[:-1]] for row in file.meta["top_tokens"]])(file)
        ),
        "its token 10 was generated, and is not the likeliest one after those before it",
    ),
    "a token of two texts": (
        with_meta(top_tokens=[["x"] * 5] * 14),
        "its token 28 is ',' in one place and 'x' in another",
    ),
    "rotary_style": (with_meta(rotary_style="interleaved"), computed_again("q_rot", 0)),
    "rotary_dim": (
        with_meta(rotary_dim=32),
        "tensor 'rope_cos' has shape [14, 32] and should have [14, 16] [pos, n_pairs]",
    ),
    "angles": (with_tensor("rope_sin", lambda sin: -sin), computed_again("q_rot", 0)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_is_refused_by_its_stage(
    name: str, shipped: TraceFile, tmp_path: Path
) -> None:
    damage, message = DAMAGES[name]
    assert refusal(damage(shipped), tmp_path).startswith(message)


def test_a_refusal_says_how_far_off_and_what_to_do(shipped: TraceFile, tmp_path: Path) -> None:
    damage, _ = DAMAGES["z 1e6"]
    assert refusal(damage(shipped), tmp_path) == (
        "'z' of layer 0, computed again from the step before it, differs by 1.0e+00 (limit 1e-04),"
        " so its numbers are not the model's; extract it again"
    )


def test_a_word_is_no_beginning_of_sequence_token(tmp_path: Path) -> None:
    """Also where the prompt was changed to match."""
    make_trace(has_bos=False).save(tmp_path / "whole.safetensors")
    whole = TraceFile.read(tmp_path / "whole.safetensors")
    assert refusal(with_meta(has_bos=True)(whole), tmp_path).startswith(
        "its 'has_bos' is true, and its first token is no beginning-of-sequence token but a word, "
        "'The'; "
    )


@pytest.mark.parametrize("kind", KINDS)
def test_random_damage_is_refused(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(20)
    path = tmp_path / "trace.safetensors"
    make_trace(**KINDS[kind]).save(path)
    whole = TraceFile.read(path)
    accepted = []
    for damages in (damaged_tensors(whole, random), damaged_metadata(whole, random)):
        for what, damaged in islice(damages, 60):
            damaged.write(path)
            if (error := refused(path)) is None:
                accepted.append(what)
            else:
                assert "\n" not in error
    assert accepted == []


# The next tokens come from the whole model, and a norm after W_DKV takes away its scale.
NOT_PROVABLE = re.compile(r"top_\w+ |W_DKV\.\d (1 % larger|halved)")


def test_wrong_numbers_are_found_where_the_seal_fits(tmp_path: Path) -> None:
    """In every layer that has its weights."""
    random = np.random.default_rng(21)
    path = tmp_path / "trace.safetensors"
    for kind in ("grouped, rotary", "mla"):
        make_trace(weights_of=(0,), **KINDS[kind]).save(path)
        whole = TraceFile.read(path)
        accepted = []
        for what, damaged in islice(damaged_tensors(whole, random), 200):
            damaged.write_sealed(path)
            if refused(path) is None and not NOT_PROVABLE.match(what):
                accepted.append(what)
        assert accepted == [], kind


def test_a_latent_with_another_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.safetensors"
    with_latent(rank=8, n_tokens=12).save(path)
    whole = TraceFile.read(path)
    Trace.load(path)
    report, damaged = whole.meta["latent"]["1"], "the report on the latent of layer 1 is damaged"
    moves = {"mean": report["rotation_moves"]["mean"] + 0.01, "worst": 1.0}
    ladder = report["ladder"]
    for changes, message in (
        ({"rotation_moves": moves}, computed_again("latent", 1)),
        ({"error_k": report["error_k"] + 0.01}, f"{damaged}: its errors are not those of its lad"),
        (
            {"rotation_moves": {"mean": 0.5, "worst": 0.4}},
            f"{damaged}: a mean is above the largest",
        ),
        ({"n_cached": 65}, f"{damaged}: it is about another model"),
        ({"full_rank": 64}, f"{damaged}: it is about another model"),
        ({"ladder": ladder[::-1]}, f"{damaged}: its ranks do not ascend to the full rank"),
        ({"ladder": [*ladder, ladder[-1] | {"rank": 999}]}, f"{damaged}: its ranks do not ascend"),
        (
            {"calibration": report["calibration"] | {"n_passage": 0}},
            f"{damaged} (the report's 'n_passage' is 0, and should be 1 to 1e+12)",
        ),
        (
            {"calibration": report["calibration"] | {"sha256": "0"}},
            f"{damaged} (the report's 'sha256' is 0, and should be a SHA-256 checksum)",
        ),
        ({"error_k": -0.1}, f"{damaged} (the report's 'error_k' is -0.1, and should be 0 or more)"),
        ({"ladder": 7}, f"{damaged} (the report's 'ladder' should be a list, not 7)"),
        ({"rotation_moves": {"mean": "x", "worst": 0.0}}, f"{damaged} (the report's 'mean' should"),
    ):
        latents = {"1": report | changes}
        assert refusal(with_meta(latent=latents)(whole), tmp_path).startswith(message)
    moved = with_meta(latent={"0": report})(whole)
    assert "describes a latent of layer 0 that it does not hold" in refusal(moved, tmp_path)


# --- What can be proved ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_of_a_good_trace_is_proved(kind: str) -> None:
    trace = make_trace(**KINDS[kind])
    with_weights, without = layer_errors(trace, 1), layer_errors(trace, 0)
    rotated = ["q_rot", "k_rot"] * trace.rotates + ["k_rope"] * (trace.meta.attention == "mla")
    latent = ["kv_latent"] * (trace.meta.attention == "mla")
    assert list(with_weights) == ["q", *latent, "k", "v", *rotated, "pattern", "z", "out"]
    assert list(without) == [*rotated, "pattern", "z"]
    assert max(trace.prove().values()) < 1e-5


def test_what_a_trace_does_not_hold_is_not_proved() -> None:
    """Such as in a trace of patterns only."""
    whole = make_trace(positions="rotary")
    patterns = Trace(whole.meta, {f"pattern.{i}": whole[f"pattern.{i}"] for i in range(2)})
    assert patterns.prove() == {}


def test_what_is_no_number_counts_as_the_largest_error() -> None:
    errors = largest_errors([{"q": 1e-7}, {"q": float("nan")}, {"q": 1e-6, "z": 1e-7}])
    assert np.isnan(errors["q"])
    assert errors["z"] == 1e-7


# --- Content --------------------------------------------------------------------------------------


def test_a_digest_is_of_the_content() -> None:
    trace = make_trace()
    assert trace.digest == make_trace().digest
    others = [
        make_trace(seed=1),
        replaced(trace, n_prompt=9),
        replaced(trace, {"x.0": trace["x.1"], "x.1": trace["x.0"]}),
        dataclasses.replace(trace, meta=dataclasses.replace(trace.meta, model="another")),
    ]
    assert len({trace.digest, *(other.digest for other in others)}) == 5


# --- info -----------------------------------------------------------------------------------------


def info(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["info", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_info_reports_the_proof(tmp_path: Path) -> None:
    file = tmp_path / "trace.safetensors"
    make_trace().save(file)
    code, output, _ = info(file)
    assert code == 0
    facts = dict(line.split(maxsplit=1) for line in output.splitlines())
    stages = [part.split()[0] for part in facts["proof"].split(", ")]
    assert stages == ["q", "k", "v", "pattern", "z", "out"]
    proved = json.loads(info(file, "--json")[1])["proof"]
    assert list(proved) == stages
    assert max(proved.values()) < 1e-5


def test_info_of_a_trace_that_fails_exits_with_1(tmp_path: Path) -> None:
    path = tmp_path / "trace.safetensors"
    make_trace().save(path)
    with_tensor("z.0", put((1, 0, 0), 1e6))(TraceFile.read(path)).write_sealed(path)
    code, output, error = info(path)
    assert code == 1
    assert output.startswith("proof ")
    assert "z 1e+00" in output
    (line,) = error.splitlines()
    assert line.startswith(f"Error: {path}: 'z' of layer 0, computed again from ")
    code, output, _ = info(path, "--json")
    assert code == 1
    assert json.loads(output)["proof"]["z"] == pytest.approx(1, abs=1e-3)


def test_a_trace_that_is_not_true_is_not_written(tmp_path: Path) -> None:
    trace = make_trace()
    with pytest.raises(TraceError, match=r"not written: 'z' of layer 1, computed again"):
        replaced(trace, {"z.1": trace["z.1"] * 2}).save(tmp_path / "trace.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))
    with pytest.raises(ProofError) as failure:
        replaced(trace, {"z.1": trace["z.1"] * 2}).prove()
    assert failure.value.errors["z"] == pytest.approx(0.5)


# --- Metadata that lie about sizes ----------------------------------------------------------------

HUGE = 10**4000

LIES: dict[str, tuple[Callable[[TraceFile], TraceFile], str]] = {
    **{
        f"{name} {str(value)[:9]}": (with_meta(**{name: value}), f"its '{name}' is ")
        for name in ("n_layers", "n_heads", "n_kv_heads", "d_model", "d_qk", "d_v")
        for value in (10**6, HUGE, -1)
    },
    "layers": (
        with_meta(n_layers=10**6),
        f"its 'n_layers' is 1000000 and should be 1 to {MAX_LAYERS:,}; extract it again",
    ),
    "n_prompt": (with_meta(n_prompt=HUGE), "its 'n_prompt' is 1000"),
    "rotary_dim": (with_meta(rotary_dim=HUGE), "its 'rotary_dim' is 1000"),
    "featured": (with_meta(featured={"layer": 10**9, "head": 0}), "its featured layer 1000000000"),
    "ids": (with_meta(token_ids=[10**9] * 14), "its 'token_ids' should be 0 to 9,999,999"),
    "tokens": (
        with_meta(tokens=["a"] * 9999),
        "it has 9,999 tokens, and at most 2,000 can be read",
    ),
    "a long token": (
        lambda file: with_meta(tokens=["a" * 10_000, *file.meta["tokens"][1:]])(file),
        f"it has 10,000 characters in a token, and at most {MAX_TOKEN_TEXT} can be read",
    ),
    "a long next token": (
        with_meta(top_tokens=[["a" * 10_000] * 5] * 14),
        "it has 10,000 characters in a token",
    ),
    "a long name": (
        with_meta(model="a" * 200_000),
        f"it has 200,000 characters in its 'model', and at most {MAX_NAME} can be read",
    ),
    "no name": (with_meta(model=" "), "its 'model' has no name"),
    "a name that moves the cursor": (
        with_meta(model="evil\x1b[2J"),
        "its 'model' holds characters that cannot be shown: 'evil\\x1b[2J'",
    ),
    "half a character": (
        lambda file: with_meta(tokens=["\ud800", *file.meta["tokens"][1:]])(file),
        "its metadata cannot be written",
    ),
    "a long prompt": (with_meta(prompt="a" * 60_000), "it has 60,000 characters in its prompt"),
    "a long sentence": (
        with_meta(featured_criterion="a" * 2000),
        "it has 2,000 characters in its 'featured_criterion'",
    ),
    "a source": (
        lambda file: with_meta(source=file.meta["source"] | {"name": "a" * 999})(file),
        "it has 999 characters in its 'source'",
    ),
    "a kind of source": (
        lambda file: with_meta(source=file.meta["source"] | {"kind": "dream"})(file),
        "its 'source' is 'dream', not one of hub, ",
    ),
    "a checksum": (
        lambda file: with_meta(source=file.meta["source"] | {"sha256": "abc"})(file),
        "its source's 'sha256' is 'abc', which is not a SHA-256 checksum",
    ),
    "versions": (
        with_meta(versions={str(i): "1" for i in range(200)}),
        "it has 200 versions of libraries",
    ),
    "a version": (with_meta(versions={"numpy": "\x07"}), "its 'versions' holds characters that"),
    "stages": (with_meta(self_check=dict.fromkeys(map(str, range(200)), 0.0)), "it has 200 errors"),
    "no number": (with_meta(latent={"11": float("nan")}), "its metadata cannot be written"),
    "a check": (with_meta(check={}), "the check's 'figures' should be text, not None"),
    "a check that contradicts itself": (
        with_meta(check={"figures": "known", "agrees": False, "comparisons": []}),
        "its 'check' contradicts itself",
    ),
    "an error of the self-check": (
        with_meta(self_check={"q": -1.0}),
        "its metadata's 'q' is -1.0, and should be 0 to 0.0001",
    ),
    "a large error of the self-check": (
        with_meta(self_check={"q": 0.5}),
        "its metadata's 'q' is 0.5, and should be 0 to 0.0001",
    ),
    "an error": (with_meta(attention="a" * 10_000), f"its 'attention' is '{'a' * 57}...', not one"),
    "unknown": (with_meta(**{"a" * 9999: 1}), f"its metadata has unknown fields ({'a' * 57}...)"),
    "of another type": (with_meta(n_prompt="a" * 9999), "its metadata's 'n_prompt' should be a wh"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_small_file_that_lies_is_refused_within_a_second(
    name: str, shipped: TraceFile, tmp_path: Path
) -> None:
    lie, message = LIES[name]
    file = lie(shipped._replace(tensors={"top_ids": shipped.tensors["top_ids"]}))
    start = time.process_time()
    error = refusal(file, tmp_path)
    assert time.process_time() - start < 1
    assert error.startswith(message)
    assert len(error) < 300
    assert error.isprintable()


@pytest.mark.parametrize(
    "document", ["[" * 100_000, '{"a":' * 100_000, '{"schema": ' + "9" * 5000, "x" * 9_000_000]
)
def test_metadata_that_cannot_be_parsed_are_refused(document: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.safetensors"
    save_file({"x.0": np.zeros(1, dtype=np.float32)}, path, metadata={"trace": document})
    start = time.process_time()
    with pytest.raises(TraceError, match="metadata"):
        Trace.load(path)
    assert time.process_time() - start < 1


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(TraceError, match=r"not a readable trace \(not a file\); name another"):
            Trace.load(path)
    with pytest.raises(TraceError, match=r"not a readable trace \(.*File name too long"):
        Trace.load("a" * 5000)


def test_names_of_tensors_reach_no_terminal(tmp_path: Path) -> None:
    trace = make_trace()
    path = tmp_path / "trace.safetensors"
    trace.save(path)
    file = TraceFile.read(path)
    strange = {"\x1b]0;evil\x07": np.zeros(1, dtype=np.float32)}
    file._replace(tensors=file.tensors | strange).write_sealed(path)
    with pytest.raises(TraceError, match=r"tensor '\\x1b\]0;evil\\x07' is not part of a trace"):
        Trace.load(path)
