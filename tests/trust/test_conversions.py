"""A conversion that its own matrices, or the model's patterns, do not give is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.checkout import SHIPPED
from tests.support.damages import TraceFile, refusal, refused, with_meta, with_tensor

AT = "mla.11."
FROM_MATRICES = ", computed again from its matrices, differs by "


def uniform(pattern: np.ndarray) -> np.ndarray:
    """Return causal patterns that give all keys the same."""
    rows = np.tri(pattern.shape[-1], dtype=pattern.dtype)
    return np.broadcast_to(rows / rows.sum(axis=1, keepdims=True), pattern.shape).copy()


def swapped(name: str, other: str) -> Callable[[TraceFile], TraceFile]:
    """Return a function that exchanges two tensors of a file."""
    return lambda file: file._replace(
        tensors=file.tensors | {name: file.tensors[other], other: file.tensors[name]}
    )


def removed(*names: str) -> Callable[[TraceFile], TraceFile]:
    return lambda file: file._replace(
        tensors={n: array for n, array in file.tensors.items() if not n.startswith(names)}
    )


def reported(change: Callable[[dict[str, Any]], Any]) -> Callable[[TraceFile], TraceFile]:
    """Return a function that changes the report on the conversion."""

    def damage(file: TraceFile) -> TraceFile:
        report = copy.deepcopy(file.meta["conversion"])
        change(report)
        return with_meta(conversion=report)(file)

    return damage


def larger(array: np.ndarray) -> np.ndarray:
    return (array * 1.01).astype(array.dtype)


def exchange_rows(report: dict[str, Any], first: str, second: str) -> None:
    """Exchange the ways of two rows of the ladder."""
    rows = {row["way"]: row for row in report["ladder"][:3]}
    for name in ("way", "rotated", "rank"):
        rows[first][name], rows[second][name] = rows[second][name], rows[first][name]
    order = ("model", "mqa", "mqa_fitted")
    report["ladder"][:3] = sorted(report["ladder"][:3], key=lambda row: order.index(row["way"]))


def exchange(record: dict[str, Any], first: str, second: str) -> None:
    record[first], record[second] = record[second], record[first]


def of_stage(name: str) -> str:
    return f"'{name}'{FROM_MATRICES}"


def of_report(name: str) -> str:
    return f"'{name}', in the report on the conversion, computed again, differs by "


UNFIT = "the conversion is damaged: "
DAMAGED = "the report on the conversion is damaged"

LIES: dict[str, tuple[Callable[[TraceFile], TraceFile], str]] = {
    "inputs": (with_tensor(f"{AT}x", larger), of_stage(f"{AT}c")),
    "latent": (with_tensor(f"{AT}c", larger), of_stage(f"{AT}c")),
    "latent of another row": (with_tensor(f"{AT}c", lambda c: c[::-1]), of_stage(f"{AT}c")),
    "down to the latent": (with_tensor(f"{AT}W_DKV", larger), of_stage(f"{AT}c")),
    "rotated key": (with_tensor(f"{AT}k_rot", lambda k: -k), of_stage(f"{AT}k_rot")),
    "weights of the rotated key": (with_tensor(f"{AT}W_KR", larger), of_stage(f"{AT}k_rot")),
    "frequencies": (with_tensor(f"{AT}frequencies", larger), of_stage(f"{AT}k_rot")),
    "rotated queries": (
        with_tensor(f"{AT}q_rot", lambda q: q[:, ::-1]),
        of_stage(f"{AT}q_rot"),
    ),
    "weights of rotated queries": (with_tensor(f"{AT}W_QR", larger), of_stage(f"{AT}q_rot")),
    "scores of the rotated part": (
        with_tensor(f"{AT}scores_rot", larger),
        of_stage(f"{AT}scores_rot"),
    ),
    "the two parts of the scores": (
        swapped(f"{AT}scores_rot", f"{AT}scores_latent"),
        of_stage(f"{AT}scores_rot"),
    ),
    "scores of the latent": (
        with_tensor(f"{AT}scores_latent", lambda s: s + 1),
        of_stage(f"{AT}scores_latent"),
    ),
    "up to the keys": (with_tensor(f"{AT}W_UK", larger), of_stage(f"{AT}scores_latent")),
    "a flat pattern": (with_tensor(f"{AT}pattern", uniform), of_stage(f"{AT}pattern")),
    "patterns of other heads": (
        with_tensor(f"{AT}pattern", lambda p: p[::-1]),
        of_stage(f"{AT}pattern"),
    ),
    "z 3": (with_tensor(f"{AT}z", lambda z: np.full_like(z, 3)), of_stage(f"{AT}z")),
    "up to the values": (with_tensor(f"{AT}W_UV", larger), of_stage(f"{AT}z")),
    "output": (with_tensor(f"{AT}out", larger), of_stage(f"{AT}out")),
    "bias of the output": (with_tensor(f"{AT}b_O", lambda b: b + 1), of_stage(f"{AT}out")),
    "a pattern that sees later keys": (
        with_tensor("mla.4.pattern", lambda p: p.swapaxes(1, 2)),
        f"{UNFIT}'mla.4.pattern' is not a causal attention pattern",
    ),
    "a flat pattern of another layer": (
        with_tensor("mla.4.pattern", uniform),
        of_report("moved"),
    ),
    "patterns of two layers": (swapped("mla.4.pattern", "mla.5.pattern"), of_report("moved")),
    "keys of a rung": (with_tensor("rung.mla.64.k", larger), of_report("errors")),
    "values of a rung": (with_tensor("rung.mla.64.v", lambda v: -v), of_report("errors")),
    "keys of two rungs": (swapped("rung.mla.64.k", "rung.mla.128.k"), of_report("errors")),
    "a flat pattern of a rung": (
        with_tensor("rung.mla.128.pattern", uniform),
        of_stage("rung.mla.128.pattern"),
    ),
    "patterns of two rungs": (
        swapped("rung.mla.128.pattern", "rung.latent_then_rotate.128.pattern"),
        of_stage("rung.latent_then_rotate.128.pattern"),
    ),
    "queries of a rung": (
        with_tensor("rung.mla.16.q_used", larger),
        of_stage("rung.mla.16.pattern"),
    ),
    "a flat pattern with the mean": (
        with_tensor("duel.mqa.pattern", uniform),
        of_stage("duel.mqa.pattern"),
    ),
    "queries of the best set": (
        with_tensor("duel.mqa_fitted.q_used", lambda q: q[:, ::-1]),
        of_stage("duel.mqa_fitted.pattern"),
    ),
    "keys of the best set": (
        with_tensor("duel.mqa_fitted.k_used", lambda k: -k),
        of_stage("duel.mqa_fitted.pattern"),
    ),
    "patterns of both shared sets": (
        swapped("duel.mqa.pattern", "duel.mqa_fitted.pattern"),
        of_stage("duel.mqa.pattern"),
    ),
    "the mean as the best set": (
        lambda file: swapped("duel.mqa.pattern", "duel.mqa_fitted.pattern")(
            swapped("duel.mqa.q_used", "duel.mqa_fitted.q_used")(
                swapped("duel.mqa.k_used", "duel.mqa_fitted.k_used")(file)
            )
        ),
        of_report("moved"),
    ),
    "the stored latent's patterns as those of the duel": (
        swapped("mla.11.pattern", "duel.mla.pattern"),
        of_stage("mla.11.pattern"),
    ),
    "patterns of the duel that see later keys": (
        with_tensor("duel.mla.pattern", lambda p: p.swapaxes(1, 2)),
        f"{UNFIT}'duel.mla.pattern' is not a causal attention pattern",
    ),
    "a latent of the duel that is not the rung's": (
        lambda file: with_tensor("duel.mla.k_used", lambda k: 0 * k)(
            with_tensor("duel.mla.pattern", uniform)(file)
        ),
        of_stage("duel.mla.pattern"),
    ),
    "what the best set moves in the layer": (
        reported(lambda r: r["ladder"][2]["moved_by_layer"].__setitem__(11, 0.5)),
        of_report("moved"),
    ),
    "what the trained set moves": (
        reported(lambda r: r["shared_set"]["healed"].update(moved=0.5)),
        of_report("moved"),
    ),
    "a best set that was trained less": (
        reported(lambda r: r["shared_set"].update(healed=None, healing=[])),
        f"{UNFIT}",
    ),
    "a duel without one side": (
        removed("duel.mqa_fitted."),
        "tensor 'duel.mqa_fitted.q_used' is missing",
    ),
    "a share that moves": (
        reported(lambda r: r["healed"].update(moved=r["healed"]["moved"] / 2)),
        of_report("moved"),
    ),
    "the share of one layer": (
        reported(lambda r: r["healed"]["moved_by_layer"].reverse()),
        of_report("moved"),
    ),
    "before healing as after": (
        reported(lambda r: exchange(r, "stored", "healed")),
        of_report("moved"),
    ),
    "mean and fitted": (
        reported(lambda r: exchange_rows(r, "mqa", "mqa_fitted")),
        of_report("moved"),
    ),
    "errors of keys and values": (
        reported(lambda r: exchange(r["ladder"][5], "key_error", "value_error")),
        of_report("errors"),
    ),
    "probability of the word": (
        reported(lambda r: r["ladder"][0].update(next_word_probability=0.96)),
        of_report("model"),
    ),
    "the model disagrees with itself": (
        reported(lambda r: r["ladder"][0].update(agreement=0.5)),
        of_report("model"),
    ),
    "rank": (
        reported(lambda r: r.update(rank=127)),
        f"{UNFIT}its sizes are not those of its tensors",
    ),
    "another word": (
        reported(lambda r: r.update(next_word=" green")),
        f"{UNFIT}it is about another word",
    ),
    "a layer too few": (
        reported(lambda r: r["stored"]["moved_by_layer"].pop() and None),
        f"{UNFIT}layers are missing",
    ),
    "a share of 1.5": (
        reported(lambda r: r["ladder"][1].update(next_word_probability=1.5)),
        f"{DAMAGED} (the report's 'next_word_probability' is 1.5, and should be 0 to 1)",
    ),
    "sizes of another way": (
        reported(lambda r: r["ladder"][1].update(rotated=32, rank=96)),
        f"{UNFIT}sizes do not add up",
    ),
    "a rung that rotates more": (
        reported(lambda r: r["ladder"][4].update(rotated=8, rank=8)),
        f"{UNFIT}a width is wrong",
    ),
    "a row with more numbers than the model": (
        reported(lambda r: r["ladder"][0].update(numbers=385)),
        f"{UNFIT}a row has too many numbers",
    ),
    "a row of another size": (
        reported(lambda r: r["ladder"][1].update(numbers=127)),
        f"{UNFIT}its ladder has no rows as large as one shared set",
    ),
    "one row without the beginning token": (
        reported(lambda r: r["ladder"][5].update(bos=False)),
        f"{UNFIT}it is about another beginning",
    ),
    "what the model says": (
        reported(lambda r: r["ladder"][0].update(continuation=" green and gold")),
        f"{UNFIT}the model says another text",
    ),
    "the model disagrees with itself on long windows": (
        reported(lambda r: r["windows"][0]["result"].update(kl=0.5)),
        of_report("model"),
    ),
    "long windows of another way": (
        reported(lambda r: r["windows"].reverse()),
        f"{UNFIT}long windows are missing",
    ),
    "no time for the healing": (
        reported(lambda r: r.update(heal_minutes=0)),
        f"{UNFIT}what is stored was not trained as long as it says",
    ),
    "a healing that made it worse": (
        reported(lambda r: exchange(r["healing"][3], "before", "after")),
        f"{UNFIT}the healing made a layer worse",
    ),
    "another size after the healing": (
        reported(lambda r: r["healed"].update(rotated=64, rank=64)),
        f"{UNFIT}what is stored is of another way or size",
    ),
    "windows of half a token": (
        reported(lambda r: r.update(tokens=20_481)),
        f"{UNFIT}its windows are not as long as it says",
    ),
    "a row fitted to other windows": (
        reported(lambda r: r["stored"].update(fitted_window=128)),
        f"{UNFIT}its windows are not as long as it says",
    ),
    "a second text of one row": (
        reported(lambda r: r["ladder"][7].update(second_text=None)),
        f"{UNFIT}a second text is missing",
    ),
    "no ladder": (
        reported(lambda r: r.update(ladder=[])),
        f"{UNFIT}the ladder does not begin with the model",
    ),
    "no ladder at all": (
        reported(lambda r: r.pop("ladder") and None),
        f"{DAMAGED} (the report has no 'ladder')",
    ),
    "a row of the ladder": (
        reported(lambda r: r["ladder"].pop() and None),
        f"{UNFIT}the rungs are not those of its ladder",
    ),
    "no rungs": (removed("rung."), f"{UNFIT}the rungs are not those of its ladder"),
    "no report": (
        with_meta(conversion=None),
        f"{UNFIT}its tensors and its metadata contradict one another",
    ),
    "no tensors": (
        removed("mla.", "duel.", "rung."),
        f"{UNFIT}its tensors and its metadata contradict one another",
    ),
    "an endless continuation": (
        reported(lambda r: r["healed"].update(continuation=" blue" * 20_000)),
        f"{DAMAGED} (the report's 'continuation' has 100,000 ",
    ),
    "an empty latent": (with_meta(latent={}), "it holds a latent of layer 11 that its metadata"),
    "no latent": (with_meta(latent=None), "it holds a latent of layer 11 that its metadata"),
}


@pytest.fixture(scope="module")
def shipped() -> TraceFile:
    return TraceFile.read(SHIPPED)


@pytest.mark.parametrize("name", LIES)
def test_a_false_conversion_is_refused(name: str, shipped: TraceFile, tmp_path: Path) -> None:
    lie, message = LIES[name]
    assert refusal(lie(shipped), tmp_path).startswith(message)


def test_an_untouched_one_is_accepted(shipped: TraceFile, tmp_path: Path) -> None:
    shipped.write_sealed(tmp_path / "trace.safetensors")
    assert refused(tmp_path / "trace.safetensors") is None
