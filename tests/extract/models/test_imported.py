"""Tensors of other programs become a trace that is proved as far as they allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from extract.__main__ import main
from extract.attention.arithmetic import attend
from extract.errors import ExtractError, TraceError
from extract.models.imported import imported_trace
from extract.trace import Trace
from filmkit.core.stage import Stage, StageError, beat

WORDS = ["The", " cat", " sat", " on", " it"]


def arrays(n_layers: int = 2, n_heads: int = 4, n_kv_heads: int = 2) -> dict[str, Any]:
    """Queries, keys, values and the patterns that follow from them."""
    rng = np.random.default_rng(0)
    n = len(WORDS)
    q = rng.normal(size=(n_layers, n, n_heads, 8))
    k, v = rng.normal(size=(2, n_layers, n, n_kv_heads, 8))
    pattern = [attend(*layer, 8**-0.5).pattern for layer in zip(q, k, v, strict=True)]
    return {"pattern": np.stack(pattern), "q": q, "k": k, "v": v, "words": np.array(WORDS)}


def written(folder: Path, **changed: Any) -> Path:
    file = folder / "mine.npz"
    kept = {key: value for key, value in changed.items() if value is not None}
    np.savez(file, **kept)
    return file


def imported(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


def test_a_file_becomes_a_trace_that_is_labelled_and_proved(tmp_path: Path) -> None:
    given = arrays()
    result = imported(written(tmp_path, **given), "--name", "my model")
    assert result.exit_code == 0, result.stderr
    assert "imported pattern, q, k, v of 2 layers, 5 tokens; proved: pattern" in result.stdout
    trace = Trace.load(tmp_path / "mine.safetensors")
    assert (trace.meta.model, trace.meta.source.kind) == ("my model", "imported")
    assert trace.meta.tokens == tuple(WORDS)
    for layer in range(2):
        for key in ("pattern", "q", "k", "v"):
            np.testing.assert_allclose(trace.get(key, layer), given[key][layer], atol=1e-6)
    np.testing.assert_allclose(
        trace.scores(1),
        8**-0.5 * np.einsum("qhd,khd->hqk", given["q"][1], np.repeat(given["k"][1], 2, axis=1)),
        atol=1e-5,
    )
    told = CliRunner().invoke(main, ["info", str(tmp_path / "mine.safetensors")]).stdout
    assert "imported from mine.npz" in told
    damaged = np.array(trace["pattern.0"])
    damaged[0, 1] = [0.5, 0.5, 0, 0, 0]
    with pytest.raises(TraceError, match="'pattern' of layer 0, computed again"):
        Trace(trace.meta, {**trace.tensors, "pattern.0": damaged}).prove()


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        (("q", "k"), (4, 5, 5)),
        (("pattern",), (4, 5, 5)),
        (("pattern", "v", "words"), (4, 5, 5)),
    ],
)
def test_part_of_it_is_enough(
    keys: tuple[str, ...], shape: tuple[int, ...], tmp_path: Path
) -> None:
    given = arrays(n_layers=1, n_kv_heads=4)
    trace = imported_trace(written(tmp_path, **{key: given[key] for key in keys}))
    assert trace["pattern.0"].shape == shape
    np.testing.assert_allclose(trace["pattern.0"], given["pattern"][0], atol=1e-6)
    assert trace.has("v", 0) == ("v" in keys)


def test_one_head_needs_no_axes_and_halves_are_enough(tmp_path: Path) -> None:
    given = arrays(n_layers=1, n_heads=1, n_kv_heads=1)
    alone = {key: given[key][0, :, 0].astype(np.float16) for key in ("q", "k")}
    alone["pattern"] = given["pattern"][0, 0].astype(np.float16)
    trace = imported_trace(written(tmp_path, **alone))
    assert trace["pattern.0"].shape == (1, 5, 5)
    assert trace["q.0"].shape == (5, 1, 8)
    assert trace.meta.tokens == (" 1", " 2", " 3", " 4", " 5")
    del alone["q"], alone["k"]
    imported_trace(written(tmp_path, **alone))


def faulty(**changed: Any) -> dict[str, Any]:
    return arrays() | changed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (faulty(pattern=arrays()["pattern"][:, ::-1]), "not the softmax of q k\\^T"),
        (faulty(scale=1.0), "the right scale"),
        (faulty(pattern=np.full((2, 4, 5, 5), 0.2), q=None, k=None), "see a later key"),
        (faulty(pattern=arrays()["pattern"] * 0.9, q=None, k=None), "do not sum to 1"),
        (faulty(pattern=np.full((2, 4, 5, 5), np.nan), q=None, k=None), "not finite"),
        (faulty(k=None), "go together"),
        (faulty(k=arrays()["k"][:, :4]), "do not fit one another"),
        (faulty(v=arrays()["v"][:1]), "'v' has 1 layers"),
        (faulty(words=np.array(["one"])), "5 texts"),
        (faulty(words=np.array(["a"] * 5, dtype=object)), "cannot be read"),
        (faulty(z=np.zeros(3)), "'z', which is not one of"),
        (faulty(q=np.array(["no"])), "not numbers"),
        ({"v": np.zeros((5, 8))}, "neither 'pattern' nor"),
    ],
)
def test_what_does_not_fit_is_one_line(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = written(tmp_path, **given)
    with pytest.raises(ExtractError, match=words):
        imported_trace(file)
    result = imported(file)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert not (tmp_path / "mine.safetensors").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("no arrays")
    for name in ("one.npy", "text.npz", "nothing.npz"):
        result = imported(tmp_path / name)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1), result.stderr


class Shown(Stage):
    """A scene of one's own for imported tensors."""

    tensors = ("pattern", "q")

    @beat
    def numbers(self) -> None:
        """These are my own numbers."""
        assert self.provenance_notes()[0].startswith("imported  ·  my model")
        assert self.head.scores.shape == (5, 5)
        self.hold(0.2)


def test_a_scene_shows_it_and_says_so(tmp_path: Path) -> None:
    given = arrays()
    Shown.rehearse(imported_trace(written(tmp_path, **given), "my model"))
    for key in ("q", "k"):
        del given[key]
    trace = imported_trace(written(tmp_path, **given), "my model")
    with pytest.raises(StageError, match="imported without them, and this scene also shows q;"):
        Shown.rehearse(trace)
