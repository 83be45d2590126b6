"""The trace that comes with the project, its conversion, and that both can be made again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from extract.models.loading import PACKAGED, LoadedModel
from extract.support.kept import FOLDER_VARIABLE
from extract.trace import Trace
from extract.trace.contents.conversion_names import DUEL_WAYS
from extract.trace.contents.conversion_report import ConversionReport, Row, conversion_report
from extract.trace.proof.conversion import conversion_errors, report_errors
from tests.support.checkout import PROJECT, SHIPPED


def row(rows: tuple[Row, ...], way: str, numbers: int) -> Row:
    return next(row for row in rows if (row.way, row.numbers) == (way, numbers))


def test_it_is_small_and_its_own_proof_holds(shipped: Trace) -> None:
    assert SHIPPED.stat().st_size < 16 * 2**20
    tensors, report = conversion_errors(shipped), report_errors(shipped)
    assert len(tensors) == 8 + 3 + 16
    assert list(report) == ["moved", "model", "errors"]
    assert max(*tensors.values(), *report.values()) < 1e-5


def test_absorbed_is_the_naive_form(report: ConversionReport) -> None:
    assert report.absorbed < 1e-5


def test_the_duel_in_one_setting(report: ConversionReport) -> None:
    """The figures of the film: every side at 128 numbers, fitted alike, and nothing trained."""
    model = row(report.ladder, "model", 384)
    mean, best, latent = (row(report.ladder, way, 128) for way in DUEL_WAYS)
    assert (latent.rotated, latent.rank) == (32, 96)
    assert len({one.fitted_window for one in report.ladder}) == 1
    assert model.continuation.startswith(" blue")
    assert mean.continuation == "--------"
    assert not best.continuation.startswith(" blue")
    assert latent.continuation.startswith(" blue")
    assert model.perplexity < latent.perplexity < best.perplexity < mean.perplexity
    assert mean.moved == pytest.approx(0.562, abs=0.01)
    assert latent.moved < 0.6 * best.moved < best.moved < mean.moved


def test_what_is_stored_is_as_large_as_one_set_and_says_the_word(report: ConversionReport) -> None:
    assert (report.rotated, report.rank, report.window) == (32, 96, 1024)
    assert report.heal_minutes == 3.0
    assert report.shared_set is not None
    assert report.shared_set.final.numbers == report.final.numbers == 128
    assert report.final.continuation.startswith(" blue")
    # Trained for as long, a shared set comes closer, and not as close.
    assert report.final.moved < 0.8 * report.shared_set.final.moved
    assert report.final.perplexity < report.shared_set.final.perplexity


def test_healing_helps_at_the_full_length_of_a_window(report: ConversionReport) -> None:
    by_way = {(one.way, one.healed): one.result for one in report.windows}
    assert report.shared_set is not None
    for way, healing in (("mla", report.healing), ("mqa_fitted", report.shared_set.healing)):
        plain, healed = by_way[way, False], by_way[way, True]
        assert by_way["model", False].perplexity < healed.perplexity < plain.perplexity
        assert healed.kl < plain.kl
        assert healed.agreement > plain.agreement
        assert all(layer.after < layer.before for layer in healing)


# Made again


@pytest.fixture(scope="module")
def command(
    packaged_model: LoadedModel, kept: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Trace, str]:
    """Make the shipped trace again in a subprocess: its output and its memory are tested too.

    `packaged_model` is only needed to skip these tests if the model is not installed.

    Returns
    -------
    trace : Trace
        The new one.
    output : str
        What the command printed.
    """
    out = tmp_path_factory.mktemp("trace") / "again.safetensors"
    # With as many threads as when the shipped trace was made: on their number depend last digits of
    # sums, and where two directions are about as large, which of them a fit takes.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    result = subprocess.run(
        [sys.executable, "-m", "extract", "--model", PACKAGED, "--out", str(out)],
        cwd=PROJECT,
        env=os.environ | threads | {FOLDER_VARIABLE: str(kept)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return Trace.load(out), result.stdout


@pytest.mark.slow
@pytest.mark.model
def test_the_trace_can_be_made_again(command: tuple[Trace, str], shipped: Trace) -> None:
    again, _ = command
    # The conversion, which another command heals, has tests of its own.
    measured = ("versions", "self_check", "latent", "conversion")
    for field in set(vars(shipped.meta)) - set(measured):
        assert getattr(again.meta, field) == getattr(shipped.meta, field), field
    assert again.tensors.keys() == shipped.tensors.keys()
    actual, expected = comparable(again), comparable(shipped)
    for name, array in expected.items():
        if name.startswith("mla."):
            continue
        scale = np.abs(array).max()
        np.testing.assert_allclose(actual[name], array, atol=1e-4 * scale, rtol=0, err_msg=name)
    np.testing.assert_array_equal(again["top_ids"], shipped["top_ids"])


def comparable(trace: Trace) -> dict[str, np.ndarray]:
    """Return a trace's tensors, with the factors of a fitted latent replaced by their products.

    Only the products are unique: the factors of two fits can differ, for instance by a sign.
    """
    tensors = dict(trace.tensors)
    for down in [name for name in tensors if name.endswith(".W_DKV")]:
        for up in (down.replace("W_DKV", "W_UK"), down.replace("W_DKV", "W_UV")):
            tensors[up] = np.einsum("mr,rhd->mhd", tensors[down], tensors[up])
        del tensors[down]
    return tensors


def unhealed(report: ConversionReport) -> list[Row]:
    """Return all rows of a report but those after healing."""
    assert report.shared_set is not None
    return [*report.ladder, report.stored, report.shared_set.stored]


@pytest.mark.slow
@pytest.mark.model
def test_the_command_reports_a_moderate_peak_memory(command: tuple[Trace, str]) -> None:
    _, output = command
    peak = re.search(r"peak memory ([\d.]+) GiB", output)
    assert peak is not None, output
    assert 0.5 < float(peak[1]) < 2.5


@pytest.mark.slow
@pytest.mark.model
def test_its_prompt_is_read_as_before(
    command: tuple[Trace, str], shipped: Trace, report: ConversionReport
) -> None:
    """Without measuring anything on texts, as in an extraction."""
    made, _ = command
    made.prove()
    names = [name for name in made.tensors if name.startswith(("rung.", "duel."))]
    assert len(names) == 16 * 5 + 3 * 3
    for name in names:
        own = shipped[name]
        limit = 1e-5 * max(1.0, float(np.abs(own).max()))
        np.testing.assert_allclose(made[name], own, atol=limit, rtol=0, err_msg=name)
    again = conversion_report(made)
    assert again.ladder[0].perplexity == report.ladder[0].perplexity
    assert again.windows == tuple(one for one in report.windows if not one.healed)
    for new, old in zip(unhealed(again), unhealed(report), strict=True):
        assert (new.way, new.numbers, new.perplexity) == (old.way, old.numbers, old.perplexity)
        assert new.continuation == old.continuation
        assert new.moved == pytest.approx(old.moved, abs=1e-5)
        assert new.next_word_probability == pytest.approx(old.next_word_probability, abs=1e-5)
        if old.key_error is not None:
            assert new.key_error == pytest.approx(old.key_error, abs=1e-5)
            assert new.value_error == pytest.approx(old.value_error, abs=1e-5)


@pytest.mark.slow
@pytest.mark.model
def test_it_can_be_made_again(
    shipped: Trace,
    report: ConversionReport,
    packaged_model: LoadedModel,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rung of the duel, without healing: as in the shipped trace."""
    from extract.conversion import kept as pieces
    from extract.conversion.convert import Settings, convert

    whole = pieces.ladder_sizes
    monkeypatch.setattr(
        pieces,
        "ladder_sizes",
        lambda *sizes, quick: [size for size in whole(*sizes, quick=quick) if size.numbers == 128],
    )
    monkeypatch.setenv(FOLDER_VARIABLE, str(kept))
    made = convert(shipped, packaged_model, Settings())
    again = conversion_report(made)
    pairs = [(one, row(report.ladder, one.way, one.numbers)) for one in again.ladder]
    pairs += zip(unhealed(again)[-2:], unhealed(report)[-2:], strict=True)
    assert len(pairs) == 5 + 2
    for new, old in pairs:
        assert new.perplexity == pytest.approx(old.perplexity, rel=0.02)
        assert new.agreement == pytest.approx(old.agreement, abs=0.02)
        assert new.moved == pytest.approx(old.moved, abs=0.002)
        assert new.continuation == old.continuation
    assert again.texts == report.texts
