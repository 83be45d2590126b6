"""A sentence typed in a real browser: a model reads it, and the scene is drawn from its trace."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from extract.support.temporary import held
from extract.trace import Trace
from tests.support.browsing import browser, wait_until
from tests.support.studio import TIMEOUT, Studio, open_studio, wait_for_all

pytest.importorskip("torch")
pytest.importorskip("transformer_lens")

from tests.support.extract_models import KINDS, TOKENIZER, tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

pytestmark = pytest.mark.slow

TINY, COMMIT = "Org/tiny", "b" * 40
SENTENCE, SECOND = "The American flag", "The red, white flag"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """The studio on a machine where a tiny model has been downloaded."""
    home, folder = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("studio")
    model = home / "hub" / f"models--{TINY.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    for part in (tiny_model(KINDS["llama"][0]), TOKENIZER):
        part.save_pretrained(model / "snapshots" / COMMIT)
    (folder / "traces").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(home))
        with open_studio(folder) as studio:
            yield studio


@pytest.fixture(scope="module")
def page(browser: Browser, studio: Studio) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(1000 * TIMEOUT)
    open_page(page, studio)
    yield page
    context.close()


def open_page(page: Page, studio: Studio) -> None:
    page.goto(studio.address)
    wait_for_all(page)
    if page.locator("#sentence-model option").count() > 1:
        page.select_option("#sentence-model", TINY)


def test_a_sentence_becomes_a_trace_and_the_scene(page: Page, studio: Studio) -> None:
    page.evaluate(
        """window.heard = []; new MutationObserver(() =>
            heard.push([byId("own-told").textContent, state.choices.trace]))
            .observe(byId("own-told"), { childList: true })"""
    )
    page.fill("#sentence", SENTENCE)
    page.press("#sentence", "Enter")
    page.wait_for_selector("#stop-it", state="hidden")
    assert page.inner_text("#own-told").startswith("Traced after")
    (file,) = (studio.folder / "traces").iterdir()
    assert file.name == "the-american-flag-tiny.safetensors"
    # The scene was drawn while the model was converted.
    heard = page.evaluate("heard")
    assert str(file) in [trace for told, trace in heard if "is being converted" in told]
    trace = Trace.load(file)  # which proves it
    meta = trace.meta
    assert (meta.prompt, meta.source.name, meta.source.revision) == (SENTENCE, TINY, COMMIT)
    assert meta.latent is not None
    assert meta.conversion is not None
    wait_until(page, f"state.tokens.length === {len(meta.tokens)}", TIMEOUT)
    wait_for_all(page)
    assert page.inner_text("#control-trace option:checked").endswith(f"traces/{file.name}")


def test_a_sentence_that_has_its_trace_is_only_shown(page: Page, studio: Studio) -> None:
    (file,) = (studio.folder / "traces").iterdir()
    before = file.stat().st_mtime_ns
    tokens = page.evaluate("state.tokens.length")
    page.select_option("#control-trace", str(studio.folder / "trace.safetensors"))
    wait_until(page, f"state.tokens.length !== {tokens}", TIMEOUT)
    page.press("#sentence", "Enter")
    wait_until(page, f"state.choices.trace === {str(file)!r}", TIMEOUT)
    page.wait_for_selector("#stop-it", state="hidden")
    wait_until(page, f"state.tokens.length === {tokens}", TIMEOUT)
    wait_for_all(page)
    assert file.stat().st_mtime_ns == before


def test_an_error_leaves_the_picture(page: Page, studio: Studio) -> None:
    tokens = page.evaluate("state.tokens")
    for prompt, words in (
        ("The", "has 1 token, and the pictures have room for 2 to 24; give a longer one"),
        ("flag " * 40, "and the pictures have room for 2 to 24; give a shorter one"),
    ):
        page.fill("#sentence", prompt)
        page.press("#sentence", "Enter")
        page.wait_for_selector(f"#own-error:has-text('{words}')")
        assert page.inner_text("#own-error").endswith(words)
    assert page.evaluate("state.tokens") == tokens
    assert page.is_hidden("#error")
    assert len([*(studio.folder / "traces").iterdir()]) == 1


def test_a_second_sentence_is_one_to_compare_with(page: Page, studio: Studio) -> None:
    assert page.is_hidden("#compare-it")
    studio.edit("self.clear()", "self.clear(); self.compared")
    page.wait_for_selector("#error:has-text('name the second')")
    file = studio.folder / "traces" / "the-red-white-flag-tiny.safetensors"
    (kept,) = studio.folder.glob("cache/*/conversion-*")
    with held(kept / ".lock"):  # as by another program that converts the model
        page.fill("#sentence", SECOND)
        page.click("#compare-it")
        page.wait_for_selector("#steps li:has-text('waiting for another run')")
        page.wait_for_selector("#error", state="hidden")
        assert page.evaluate("state.choices.compare") == str(file)
        assert page.evaluate("state.choices.trace").endswith("the-american-flag-tiny.safetensors")
        steps = page.locator("#steps span:first-child").all_inner_texts()
        page.reload()  # which finds its sentence again, and the steps that were done
        page.wait_for_selector("#steps li:has-text('waiting for another run')")
        assert page.locator("#steps span:first-child").all_inner_texts() == steps
        assert page.input_value("#sentence") == SECOND
        assert page.inner_text("#own-told").startswith("Traced after")
        early = Trace.load(file)
    page.wait_for_selector("#stop-it", state="hidden")
    whole = Trace.load(file)
    assert (early.meta.conversion, whole.meta.conversion is not None) == (None, True)
    assert early.tensors.keys() < whole.tensors.keys()
    studio.edit("self.clear(); self.compared", "self.clear()")


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_a_closed_page_ends_the_process_and_leaves_whole_files(page: Page, studio: Studio) -> None:
    page.fill("#sentence", "white and red")
    page.press("#sentence", "Enter")
    page.goto("about:blank")
    studio.wait_until_idle()
    for file in (studio.folder / "traces").iterdir():
        Trace.load(file)


def test_ctrl_c_ends_the_studio_while_a_model_is_in_memory(page: Page, studio: Studio) -> None:
    open_page(page, studio)
    page.fill("#sentence", "red and white")
    page.press("#sentence", "Enter")
    page.wait_for_selector("#own-told:has-text('Traced after')")
    studio.process.send_signal(signal.SIGINT)
    assert studio.process.wait(TIMEOUT) == 130
