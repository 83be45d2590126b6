"""The page for people who program: it has every option, and its examples run as they stand."""

from __future__ import annotations

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import extract
import filmkit
from extract import models
from extract.models.loading import PACKAGED, LoadedModel
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.cache import FOLDER_VARIABLE
from filmkit.render.quality import ASPECTS, QUALITIES
from tests.support.checkout import PROJECT

PAGE = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
DOCUMENTED = re.findall(r"^\.\. auto(?:function|class):: (\S+)$", PAGE, re.MULTILINE)
NEED_NO_MODEL = ("Trace", "architecture", "attend", "decoding_work", "kv_cache_bytes", "widget")


def object_named(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def examples(name: str) -> doctest.DocTest:
    """Return the example in the docstring of a documented object; it is empty if there is none."""
    text = inspect.getdoc(object_named(name)) or ""
    return doctest.DocTestParser().get_doctest(text, {}, name, f"{name} in api.md", 0)


def run(name: str, namespace: dict[str, Any]) -> None:
    """Run an example, and keep in the namespace what it defines."""
    test = examples(name)
    test.globs = namespace
    result = doctest.DocTestRunner().run(test, clear_globs=False)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    "function", [filmkit.show, filmkit.widget, extract.trace], ids=lambda each: each.__name__
)
def test_every_option_is_documented(function: Any) -> None:
    documented = re.findall(r"^(\w+)(?: : .+)?\n    \S", inspect.getdoc(function) or "", re.M)
    assert [name for name in inspect.signature(function).parameters if name not in documented] == []


@pytest.mark.parametrize("choices", [QUALITIES, ASPECTS, THEMES, PALETTES])
def test_show_names_every_choice(choices: Any) -> None:
    assert [name for name in choices if f'"{name}"' not in (filmkit.show.__doc__ or "")] == []


def test_trace_takes_what_it_passes_on() -> None:
    pytest.importorskip("torch")
    from extract.models.capture import trace_model

    assert inspect.signature(extract.trace) == inspect.signature(trace_model)


def test_what_the_page_names_first_has_an_example() -> None:
    first = re.findall(r"\{py:\w+\}`~?([\w.]+)`", PAGE)
    assert len(first) >= 7
    assert set(first) <= set(DOCUMENTED)
    assert [name for name in first if not examples(name).examples] == []


@pytest.mark.parametrize("name", NEED_NO_MODEL)
def test_an_example_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    (full_name,) = [known for known in DOCUMENTED if known.endswith(f".{name}")]
    run(full_name, {})


@pytest.mark.slow
@pytest.mark.model
def test_the_other_examples_run_one_after_the_other(
    packaged_model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Loaded once for all of them, as loading takes some twenty seconds.
    monkeypatch.setattr(models, "load_model", {PACKAGED: packaged_model}.__getitem__)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    rest = [name for name in DOCUMENTED if name.rpartition(".")[2] not in NEED_NO_MODEL]
    rest = [name for name in rest if examples(name).examples]
    assert {"filmkit.show", "extract.trace", "extract.latent.add_latent"} <= set(rest)
    namespace: dict[str, Any] = {}
    for name in rest:
        run(name, namespace)
