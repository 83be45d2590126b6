"""The command ``explore``: what it writes, prints and refuses."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from extract.trace import Trace
from filmkit.commands import options
from tests.support.calling import Calling, assert_one_line, calling
from tests.support.exploring import ASKED, ASKING
from tests.support.latents import with_latent
from tests.support.traces import make_trace

__all__ = ["calling"]

ALWAYS = ["dot", "softmax", "mix", "memory", "reading"]


@pytest.fixture(autouse=True)
def quick_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scenes that are rehearsed in no time, and show any trace, stand in for the film's."""
    monkeypatch.setattr(options, "whole_story", lambda compare: ASKING)
    monkeypatch.setattr("filmkit.render.rehearsals.with_fitting_scenes", lambda request: request)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explore")
    make_trace(n_tokens=4).save(folder / "trace.safetensors")
    return folder


def explore(calling: Calling, folder: Path, *arguments: object, code: int = 0) -> tuple[str, str]:
    """Run the command; return what it prints and says."""
    done = calling("explore", "--trace", "trace.safetensors", *arguments, folder=folder)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def page_in(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def parts_in(page: str) -> list[str]:
    return re.findall(r'data-part="(\w+)"', page)


def test_it_prints_the_files_that_it_writes(calling: Calling, folder: Path) -> None:
    printed, said = explore(calling, folder, "--out", "page")
    names = ["index.html", "layer.js", "patterns.js", "published.js"]
    names += ["twgl-full.min.js", "twgl-full.min.txt"]
    assert printed.splitlines() == [str(Path("page", name)) for name in names]
    assert sorted(path.name for path in (folder / "page").iterdir()) == names
    assert re.search(r"[\d.]+ MB$", said)
    assert explore(calling, folder, "--quiet") == ("", "")
    assert page_in(folder / "explore") == page_in(folder / "page"), "the folder by default"


def test_questions_are_asked_unless_they_are_left_out(calling: Calling, folder: Path) -> None:
    explore(calling, folder, "--out", "asked")
    explore(calling, folder, "--out", "plain", "--no-questions")
    asked, plain = (page_in(folder / name) for name in ("asked", "plain"))
    assert {question in asked for name, question in ASKED.items() if name in parts_in(asked)} == {
        True
    }
    assert 'class="asked"' not in plain
    assert "hidden>" not in plain.partition("<main>")[2].partition('id="heads"')[0]


@pytest.mark.parametrize("option", ["--layer", "--head"])
def test_what_the_model_does_not_have_is_refused(
    calling: Calling, folder: Path, tmp_path: Path, option: str
) -> None:
    _, said = explore(calling, folder, option, 7, "--out", tmp_path / "page", code=2)
    assert f"has {option[2:]}s 0 to " in said
    assert not (tmp_path / "page").exists()


def test_another_layer_and_head_are_shown(calling: Calling, folder: Path) -> None:
    explore(calling, folder, "--layer", 0, "--head", 1, "--out", "other")
    page = page_in(folder / "other")
    document = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert document["head"] == 1
    assert "layer 0" in page.rpartition("<footer>")[2]
    file = (folder / "other" / "layer.js").read_text().removeprefix("receive(").rstrip(");\n")
    numbers, trace = json.loads(file), Trace.load(folder / "trace.safetensors")
    stored = numbers["arrays"][numbers["numbers"]["dark"]["tensors"]["q"]["array"]]
    wanted = trace.queries(0)[: trace.meta.n_prompt].astype("<f4").tobytes()
    assert b64decode(stored) == wanted


@pytest.mark.parametrize("made", ["a file", "a folder for the page"])
def test_a_folder_that_cannot_be_written_is_refused(
    calling: Calling, folder: Path, tmp_path: Path, made: str
) -> None:
    out = tmp_path / "page"
    if made == "a file":
        out.write_text("something else")
    else:
        (out / "index.html").mkdir(parents=True)
    done = calling("explore", "--trace", "trace.safetensors", "--out", out, folder=folder)
    assert_one_line(done, 1, str(out))
    if made == "a file":
        assert out.read_text() == "something else"
    else:
        assert list(out.iterdir()) == [out / "index.html"], "nothing is left half-written"


def test_the_page_is_in_the_language(calling: Calling, folder: Path) -> None:
    explore(calling, folder, "--language", "fr", "--out", "fr")
    page = page_in(folder / "fr")
    assert '<html lang="fr">' in page
    assert "tête" in page
    _, said = explore(calling, folder, "--language", "xx", code=2)
    assert "there is no language 'xx'" in said


def one_head() -> Trace:
    return make_trace(n_tokens=4, n_heads=1)


def true_mla() -> Trace:
    return make_trace(n_tokens=4, n_heads=2, positions="rotary", mla=True)


def with_latent_of_one_layer() -> Trace:
    return with_latent(n_tokens=4, d_head=16)


KINDS: dict[Callable[[], Trace], list[str]] = {
    make_trace: ["heads", "sets"],
    one_head: [],
    true_mla: ["heads"],
    with_latent_of_one_layer: ["heads", "sets", "latent"],
}
"""Traces, and the parts that they have besides those which all have."""


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_a_page_has_the_parts_that_its_trace_can_show(
    calling: Calling, tmp_path: Path, make: Callable[[], Trace]
) -> None:
    make().save(tmp_path / "trace.safetensors")
    printed, _ = explore(calling, tmp_path, "--out", "page")
    page = page_in(tmp_path / "page")
    assert sorted(parts_in(page)) == sorted([*ALWAYS, *KINDS[make]])
    assert ("rank.js" in printed) is False
    assert ("latent.js" in printed) == ("latent" in KINDS[make])
    assert ("twgl" in printed) == ("heads" in KINDS[make])


def test_another_layer_than_that_of_the_latent_has_no_latent(
    calling: Calling, tmp_path: Path
) -> None:
    with_latent_of_one_layer().save(tmp_path / "trace.safetensors")
    explore(calling, tmp_path, "--layer", 0, "--out", "page")
    assert "latent" not in parts_in(page_in(tmp_path / "page"))


def test_too_many_words_are_refused_in_one_line(calling: Calling, tmp_path: Path) -> None:
    trace = make_trace(n_tokens=4)
    long = make_trace(n_tokens=60)
    replace(long, meta=replace(long.meta, model=trace.meta.model)).save(
        tmp_path / "trace.safetensors"
    )
    done = calling("explore", "--trace", "trace.safetensors", folder=tmp_path)
    assert_one_line(done, 1, "60 tokens")
    assert not (tmp_path / "explore").exists()
