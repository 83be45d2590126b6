"""The conversion in the trace that comes with the project, and that it can be made again."""

from __future__ import annotations

import numpy as np
import pytest

from extract.models.loading import LoadedModel
from extract.trace import Trace
from extract.trace.contents.conversion_report import ConversionReport, Row, conversion_report
from extract.trace.proof.conversion import conversion_errors, report_errors
from tests.support.checkout import SHIPPED


@pytest.fixture(scope="module")
def shipped() -> Trace:
    return Trace.load(SHIPPED)


@pytest.fixture(scope="module")
def report(shipped: Trace) -> ConversionReport:
    return conversion_report(shipped)


def row(rows: tuple[Row, ...], way: str, numbers: int) -> Row:
    return next(row for row in rows if (row.way, row.numbers) == (way, numbers))


def test_it_is_small_and_its_own_proof_holds(shipped: Trace) -> None:
    assert SHIPPED.stat().st_size < 16 * 2**20
    tensors, report = conversion_errors(shipped), report_errors(shipped)
    assert len(tensors) == 8 + 16
    assert list(report) == ["moved", "model", "errors"]
    assert max(*tensors.values(), *report.values()) < 1e-5


def test_absorbed_is_the_naive_form(report: ConversionReport) -> None:
    assert report.absorbed < 1e-5


def test_the_duel_at_128_numbers(report: ConversionReport) -> None:
    """The figures of the film: a mean says nothing, a latent still says the word."""
    model = row(report.ladder, "model", 384)
    mean = row(report.ladder, "mqa", 128)
    fitted = row(report.ladder, "mqa_fitted", 128)
    latent = row(report.ladder, "latent_then_rotate", 128)
    assert model.continuation.startswith(" blue")
    assert mean.continuation == "--------"
    assert latent.continuation.startswith(" blue")
    assert model.perplexity < latent.perplexity < fitted.perplexity < mean.perplexity
    assert latent.moved < fitted.moved < mean.moved
    assert mean.moved == pytest.approx(0.562, abs=0.01)


def test_half_the_cache_holds_at_the_full_length_of_a_window(report: ConversionReport) -> None:
    assert (report.rotated, report.rank, report.window) == (64, 128, 1024)
    model, plain, healed = (one.result for one in report.windows)
    assert plain.perplexity < 1.3 * model.perplexity
    assert healed.perplexity < 1.2 * model.perplexity
    assert healed.kl < plain.kl
    assert healed.agreement > plain.agreement
    assert all(layer.after < layer.before for layer in report.healing)


@pytest.mark.slow
@pytest.mark.model
def test_its_prompt_is_read_as_before(
    shipped: Trace, report: ConversionReport, packaged_model: LoadedModel
) -> None:
    """Without measuring anything on texts, as in an extraction."""
    from extract.conversion.convert import convert

    made = convert(shipped, packaged_model)
    made.prove()
    names = [name for name in made.tensors if name.startswith("rung.")]
    assert len(names) == 16 * 5
    for name in names:
        own = shipped[name]
        limit = 1e-5 * max(1.0, float(np.abs(own).max()))
        np.testing.assert_allclose(made[name], own, atol=limit, rtol=0, err_msg=name)
    again = conversion_report(made)
    assert again.ladder[0].perplexity == report.ladder[0].perplexity
    assert again.windows == report.windows[:2]
    pairs = zip((*again.ladder, again.stored), (*report.ladder, report.stored), strict=True)
    for new, old in pairs:
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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two rungs, without healing: as in the shipped trace."""
    from extract.conversion import kept
    from extract.conversion.convert import Settings, convert

    whole = kept.ladder_sizes
    monkeypatch.setattr(
        kept, "ladder_sizes", lambda *sizes, quick: whole(*sizes, quick=quick)[5::2]
    )
    made = convert(shipped, packaged_model, Settings())
    again = conversion_report(made)
    pairs = [(one, row(report.ladder, one.way, one.numbers)) for one in again.ladder]
    pairs.append((again.stored, report.stored))
    assert len(pairs) == 7 + 1
    for new, old in pairs:
        assert new.perplexity == pytest.approx(old.perplexity, rel=0.02)
        assert new.agreement == pytest.approx(old.agreement, abs=0.02)
        assert new.moved == pytest.approx(old.moved, abs=0.002)
        assert new.continuation == old.continuation
    assert again.texts == report.texts
