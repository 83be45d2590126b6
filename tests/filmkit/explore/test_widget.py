"""Live pictures in notebooks: what is chosen in them, and how it comes to Python and back."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from functools import cache
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import traitlets
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import filmkit
from extract.attention.arithmetic import AttentionResult
from extract.attention.arithmetic import softmax as softmax_of
from extract.recompute.sharing import share_heads
from extract.trace import Trace
from extract.trace.contents.conversion_report import conversion_report
from filmkit.commands import notebook
from filmkit.core.numbers import format_share
from filmkit.decks.web import source_hash
from filmkit.explore.widget import PICTURES, TOLD, LiveWidget
from tests.support.browsing import NO_SPACE, browser, wait_until
from tests.support.checkout import PROJECT, SHIPPED
from tests.support.notebooks import cell, choose, framed, shown, value
from tests.support.traces import make_trace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

Show = Callable[..., "Page"]

CALM: dict[str, Any] = {"reduced_motion": "reduce", "viewport": {"width": 900, "height": 700}}


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace.load(SHIPPED)


@pytest.fixture(scope="module")
def small() -> Trace:
    """A trace that takes no time."""
    return make_trace(n_tokens=8)


@pytest.fixture(scope="module")
def made(trace: Trace, small: Trace) -> Callable[[str], LiveWidget]:
    """Function that makes a picture, once: "rank" of the project's trace, others of a small one."""
    return cache(
        lambda picture: filmkit.widget(picture, trace=trace if picture == "rank" else small)
    )


@pytest.fixture(scope="module")
def attention(small: Trace) -> AttentionResult:
    """What numpy computes of the layer of the small trace that is shown."""
    layer, prompt = small.meta.featured.layer, slice(0, small.meta.n_prompt)
    tensors = (small.queries(layer), small.keys(layer), small.get("v", layer))
    return small.attend(layer, *(tensor[prompt] for tensor in tensors))


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Function that shows a widget; see :func:`tests.support.notebooks.shown`."""
    with ExitStack() as stack:

        def show(widget: LiveWidget, **options: Any) -> Page:
            return stack.enter_context(shown(browser, widget, tmp_path, **(CALM | options)))

        yield show


@pytest.fixture(scope="module")
def pattern_page(
    browser: Browser, small: Trace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A notebook with a pattern, which is not what other tests choose in."""
    folder = tmp_path_factory.mktemp("pattern")
    with shown(browser, filmkit.widget("pattern", trace=small), folder, **CALM) as page:
        yield page


@pytest.fixture
def page(pattern_page: Page) -> Page:
    """A notebook with a pattern, as it is at first."""
    choose(pattern_page, {"head": 0, "query": 8, "key": 1})
    wait_for(pattern_page, head=0, query=8, key=1)
    return pattern_page


def wait_until_at(page: Page, query: int, picture: int = 0) -> None:
    """Wait until a word is the one that looks, in a picture of the page."""
    framed(page, picture).wait_for_selector(
        f"#query input[value='{query}']:checked", state="attached"
    )


def wait_for(page: Page, **told: Any) -> dict[str, Any]:
    """Wait until the picture has answered with some entries of the widget's value; return it."""
    wait_until(page, "'layer' in model.get('value')")
    for name, entry in told.items():
        wait_until(page, f"model.get('value').{name} === {entry}")
    return value(page)


def wait_until_heard(page: Page, messages: int) -> None:
    """Wait until the notebook has heard so many values of its pictures."""
    wait_until(page, f"saved === {messages}")


def assert_agree(widget: LiveWidget, page: dict[str, Any]) -> None:
    """Choose in Python what a page tells, and compare what both compute of it."""
    made_up = dict.fromkeys(
        ("query_word", "score", "scores", "weight", "weights", "moved", "mla"), 9
    )
    widget.value = {name: made_up.get(name, told) for name, told in page.items()}
    assert list(widget.value) == list(page)
    for name, told in page.items():
        assert widget.value[name] == pytest.approx(told, abs=1e-6), name


def test_a_cell_of_a_pattern_tells_its_score_and_its_weight(
    page: Page, small: Trace, attention: AttentionResult, made: Callable[[str], LiveWidget]
) -> None:
    cell(page, 4, 2)
    told = wait_for(page, query=5, key=3)
    assert_agree(made("pattern"), told)
    assert told.pop("score") == pytest.approx(attention.scores[0, 5, 3], abs=1e-5)
    assert told.pop("weight") == pytest.approx(attention.pattern[0, 5, 3], abs=1e-6)
    assert told == {
        "layer": small.meta.featured.layer,
        "head": 0,
        "query": 5,
        "query_word": small.meta.tokens[5].strip(),
        "key": 3,
        "key_word": small.meta.tokens[3].strip(),
    }
    assert format_share(attention.pattern[0, 5, 3]) in framed(page).inner_text("#dot-read")
    framed(page).select_option("#head", "2")
    weight = attention.pattern[2, 5, 3]
    assert wait_for(page, head=2)["weight"] == pytest.approx(weight, abs=1e-6)


@pytest.mark.parametrize("chosen", [{"query": 4}, {}, {"weight": 5, "query_word": "made up"}])
def test_the_same_choice_again_is_answered(page: Page, chosen: dict[str, Any]) -> None:
    choose(page, {"query": 4, "key": 2})
    told = wait_for(page, query=4, key=2)
    for _ in range(2):
        choose(page, chosen)
        assert wait_for(page, query=4, key=2) == told


def test_what_python_chooses_is_shown(page: Page) -> None:
    choose(page, {"query": 2, "key": 1, "head": 3})
    assert wait_for(page, query=2, key=1)["head"] == 3
    assert framed(page).input_value("#head") == "3"
    choose(page, {"query": 4})
    assert wait_for(page, query=4)["head"] == 3, "what is not named stays"
    choose(page, {"query": 4, "key": 4, "weight": 5})
    assert wait_for(page, key=4)["weight"] < 1, "what follows is computed"


def test_a_picture_that_is_shown_twice_is_one(page: Page) -> None:
    saved = page.evaluate("saved")
    page.evaluate("() => { globalThis.leave_again = again(); }")
    wait_until_heard(page, saved + 1)
    # One tells what a hand has chosen, and the other answers: they do not go on for ever.
    cell(page, 3, 1)
    wait_until_heard(page, saved + 3)
    wait_until_at(page, 4, 1)
    cell(page, 1, 0, picture=1)
    wait_until_heard(page, saved + 5)
    wait_until_at(page, 2)
    page.evaluate("leave_again()")
    assert page.evaluate("hearers.size") == 1
    choose(page, {"query": 3})
    wait_for(page, query=3)
    assert page.evaluate("saved") == saved + 6
    assert framed(page, 1).is_checked("#query input[value='2']"), "it no longer listens"
    page.evaluate("document.querySelector('#cell iframe:last-child').remove()")


def test_an_answer_that_comes_late_undoes_nothing(show: Show, small: Trace) -> None:
    page = show(filmkit.widget("pattern", trace=small))
    # What a second picture answers is heard later than what a hand chooses in the first one.
    page.evaluate(
        """() => {
          const { MessageChannel } = globalThis;
          globalThis.late = [];
          globalThis.MessageChannel = function () {
            const { port1, port2 } = new MessageChannel();
            globalThis.port = { postMessage: (given) => port1.postMessage(given) };
            port1.onmessage = (event) => event.data.value && late.push(event);
            return { port1: port, port2 };
          };
          again();
        }"""
    )
    wait_until(page, "late.length === 1")
    cell(page, 3, 1)
    wait_for(page, query=4)
    page.evaluate("port.onmessage(late[0])")
    assert value(page)["query"] == 4
    wait_until(page, "late.length === 2 && late[1].data.value.query === 4")


def test_the_last_of_two_choices_of_python_is_kept(page: Page) -> None:
    told = value(page)
    page.evaluate("(told) => { model.set('value', { query: 4 }); model.set('value', told); }", told)
    choose(page, {"head": 2})
    assert wait_for(page, head=2)["query"] == told["query"]


def test_a_hand_is_not_called_back(page: Page) -> None:
    saved = page.evaluate("saved")
    # What a notebook tells of the first choice comes after the second one.
    framed(page).evaluate(
        """async () => {
          choose({ query: 3 });
          for (let i = 0; i < 9; i++) await null;
          choose({ query: 5 });
        }"""
    )
    choose(page, {"key": 2})  # which is heard after all that it may be told of its own choices
    assert wait_for(page, key=2)["query"] == 5
    assert page.evaluate("saved") == saved + 3


def test_only_its_notebook_is_heard(page: Page) -> None:
    framed(page).evaluate(
        """() => {
          globalThis.heard = 0;
          addEventListener("message", () => heard++);
          const { port1, port2 } = new MessageChannel();
          postMessage(null, "*", [port2]);
          port1.postMessage({ value: { query: 1 }, turn: 1 });
        }"""
    )
    page.evaluate(
        """document.querySelector('iframe').contentWindow
            .postMessage({ value: { query: 1 }, turn: 1 }, '*')"""
    )
    wait_until(framed(page), "heard === 2")
    choose(page, {"key": 2})
    assert wait_for(page, key=2)["query"] == 8
    shut_in = "document.querySelector('iframe').contentDocument === null"
    assert page.evaluate(shut_in), "and neither reads the other's page"


def test_a_frame_that_is_moved_keeps_what_is_chosen(page: Page) -> None:
    choose(page, {"query": 5, "key": 2})
    wait_for(page, query=5)
    saved = page.evaluate("saved")
    page.evaluate("document.body.append(document.querySelector('iframe'))")
    wait_until_heard(page, saved + 1)
    wait_until_at(page, 5)
    cell(page, 6, 2)
    wait_for(page, query=7, key=3)


def test_a_row_tells_its_temperature_and_what_is_off(
    show: Show, small: Trace, attention: AttentionResult
) -> None:
    widget = filmkit.widget("rows", trace=small)
    widget.value = {"query": np.int64(6), "head": 2, "temperature": 2, "off": [3, 1]}
    assert type(widget.value["query"]) is int, "else no notebook could be told"
    page = show(widget)
    assert_agree(filmkit.widget("rows", trace=small), value(page))
    told = value(page)
    assert (told["query"], told["head"], told["off"]) == (6, 2, [1, 3])
    assert told["temperature"] == pytest.approx(2)
    scores = attention.scores[2, 6, :7]
    np.testing.assert_allclose(told["scores"], scores, atol=1e-5)
    np.testing.assert_allclose(told["weights"], softmax_of(scores / 2), atol=1e-5)
    framed(page).click("#mix-rows button >> nth=2")
    assert wait_for(page, **{"off.length": 1})["off"] == [1]
    widget.set_state({"value": value(page)})  # as a notebook brings it to Python
    assert json.loads(json.dumps(widget.value)) == value(page)
    with pytest.raises(ValueError, match="assign what to choose"):
        widget.value["query"] = 2
    choose(page, {"temperature": 3})
    assert_agree(widget, wait_for(page, temperature="2 ** 1.6"))


@pytest.mark.parametrize("space", [pytest.param(True, marks=pytest.mark.slow), False])
def test_heads_are_chosen_in_space_or_in_a_row(show: Show, small: Trace, space: bool) -> None:
    widget = filmkit.widget("heads", trace=small)
    if not space:
        # In the picture's own page: a browser may run its scripts before those of a test.
        script = f"<script>{NO_SPACE}</script>"
        allowed = widget._page.replace("script-src", f"script-src {source_hash(NO_SPACE)}")
        widget._page = allowed.replace("<title>", f"{script}<title>")
    page = show(widget)
    picture = framed(page)
    if space:
        for key in ("ArrowRight", *["ArrowLeft"] * 4, "Enter"):
            picture.press("#arc", key)
    else:
        picture.click("#row-of-heads button >> nth=0")
    assert picture.is_visible("#arc") == space
    told = wait_for(page, head=0)
    assert (told["sets"], told["moved"]) == (small.meta.n_kv_heads, 0)
    before = told["weight"]
    picture.click("#sets-choice label >> nth=-1")
    told = wait_for(page, sets=1)
    assert_agree(widget, told)
    shared = share_heads(small, small.meta.featured.layer, 1)
    assert told["moved"] == pytest.approx(shared.row_distances.mean(), abs=1e-5)
    assert told["weight"] != pytest.approx(before, abs=1e-3), "what heads look at follows"
    weight = shared.pattern[0, told["query"], told["key"]]
    assert told["weight"] == pytest.approx(weight, abs=1e-5)
    assert format_share(weight) in picture.inner_text("#head-read")
    assert "multi-query attention" in picture.inner_text("#head-read")
    marked = picture.locator("#sets-choice label").all_inner_texts()
    assert marked == [f"{small.meta.n_heads}, as trained", "2", "1"]


@pytest.mark.slow
def test_a_rank_tells_what_was_measured(
    show: Show, trace: Trace, made: Callable[[str], LiveWidget]
) -> None:
    page = show(made("rank"))
    choose(page, {"numbers": 48})
    told = wait_for(page, numbers=48)
    rows = {(row.way, row.numbers): row for row in conversion_report(trace).ladder}
    for way in ("latent_then_rotate", "mla"):
        row = rows[way, 48]
        assert told[way] == {
            "moved": row.moved,
            "next_word": row.next_word_probability,
            "key_error": row.key_error,
            "value_error": row.value_error,
        }
    assert_agree(made("rank"), told)
    assert not framed(page).is_visible("#query"), "it follows no word"


@pytest.mark.slow
@pytest.mark.parametrize("picture", PICTURES)
def test_a_frame_is_as_large_as_its_picture(
    show: Show, made: Callable[[str], LiveWidget], picture: str
) -> None:
    page = show(made(picture), viewport={"width": 1366, "height": 768})
    hidden = """(() => {
      const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
      return scrollWidth > clientWidth || scrollHeight !== clientHeight;
    })()"""
    below = "innerHeight - document.querySelector('footer').getBoundingClientRect().bottom"
    for width in (1366, 390, 1366):
        page.set_viewport_size({"width": width, "height": 768})
        wait_until(framed(page), f"innerWidth === {width} && !{hidden} && Math.abs({below}) < 2")
        height = framed(page).evaluate("innerHeight")
        page.wait_for_timeout(100)
        assert framed(page).evaluate("innerHeight") == height, "it rests"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theme", "scheme", "drawn"),
    [("light", "dark", "light"), ("print", "dark", "light"), ("dark", "light", "dark")],
)
def test_its_theme_is_what_was_asked_for(
    show: Show, small: Trace, theme: str, scheme: str, drawn: str
) -> None:
    page = show(filmkit.widget("pattern", trace=small, theme=theme), color_scheme=scheme)
    picture = framed(page)
    assert picture.evaluate("themeName()") == drawn
    picture.evaluate(
        """() => {
          globalThis.changes = 0;
          matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => changes++);
        }"""
    )
    for change, preferred in enumerate((drawn, scheme), 1):
        page.emulate_media(color_scheme=preferred)
        wait_until(picture, f"changes === {change}")
    assert picture.evaluate("themeName()") == drawn


def test_it_speaks_other_languages(small: Trace) -> None:
    page = filmkit.widget("pattern", trace=small, language="fr")._page
    assert "Où un mot regarde-t-il ?" in page
    assert "Where does a word look?" not in page


@pytest.mark.parametrize("picture", PICTURES)
def test_without_python_it_is_a_page_by_itself(
    made: Callable[[str], LiveWidget], picture: str
) -> None:
    widget = made(picture)
    bundle, _ = widget._repr_mimebundle_()
    assert bundle["text/plain"].startswith(f"<{picture} of ")
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    html = bundle["text/html"]
    assert 'sandbox="allow-scripts"' in html
    page = unescape(re.search('srcdoc="([^"]+)"', html)[1])  # type: ignore[index]
    outside = re.sub(r"<script>.*</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"src=|href=|url\((?!\"data:)|https?:", outside), "it loads nothing"
    assert len(page) < 400_000


@pytest.mark.parametrize(
    ("picture", "wrong", "message"),
    [
        ("pattern", {"querry": 3}, "no 'querry' to choose in this picture; there are layer, head,"),
        ("pattern", {"query": 9}, "query is 9; it may be 1 to 8"),
        ("pattern", {"query": "it"}, "query is 'it'; it may be 1 to 8, or one of the words The,"),
        ("pattern", {"query": ","}, "query is ',', which stands at 6, 8: choose one"),
        ("rows", {"off": ["is", "it"]}, "off is 'it'; it may be"),
        ("pattern", {"query": 0}, "query is 0; it may be 1 to 8"),
        ("pattern", {"key": None}, "key is None; it may be"),
        ("pattern", {"query": 2, "key": 3}, "key 3 comes after query 2, “flag” after “American”,"),
        ("pattern", {"layer": 0}, "layer is 0; it may be 1"),
        ("pattern", {"head": 4}, "head is 4; it may be 0 to 3"),
        ("rows", {"temperature": 0}, "temperature is 0; it may be 0.0625 to 16.0"),
        ("rows", {"temperature": math.nan}, "temperature is nan"),
        ("rows", {"temperature": "hot"}, "temperature is 'hot'"),
        ("rows", {"off": [1, 9]}, "off is 9; it may be 1 to 8"),
        ("rows", {"off": 9}, "off is 9; it may be 1 to 8"),
        ("heads", {"sets": 3}, "sets is 3; it may be 4, 2, 1"),
        ("rank", {"numbers": 17}, "numbers is 17; it may be 16, 32, 48"),
        ("rank", {"query": 3}, "no 'query' to choose"),
    ],
)
def test_what_cannot_be_chosen_is_refused(
    made: Callable[[str], LiveWidget], picture: str, wrong: dict[str, Any], message: str
) -> None:
    widget = made(picture)
    before = widget.value
    with pytest.raises(ValueError, match=re.escape(message)):
        widget.value = wrong
    assert widget.value == before
    no_dict: Any
    for no_dict in (5, None, [("query", 3)]):
        with pytest.raises(
            traitlets.TraitError, match="expected a dict of what to choose"
        ) as error:
            widget.value = no_dict
        assert len(error.traceback) < 3, "the line is not lost among calls of others"
        assert "\n" not in str(error.value)


def test_a_word_may_stand_for_its_position(small: Trace) -> None:
    words = [token.strip() for token in small.meta.tokens]
    widget = filmkit.widget("rows", trace=small)
    widget.value = {"query": "white", "off": ["red", 1]}
    assert widget.value["query"] == words.index("white")
    assert widget.value["off"] == (1, words.index("red"))
    widget.value = {"off": "red"}
    assert widget.value["off"] == (words.index("red"),)


# What Python knows before a picture is drawn


@pytest.fixture
def pattern(small: Trace) -> LiveWidget:
    return filmkit.widget("pattern", trace=small, head=2)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_value_is_whole_at_once(made: Callable[[str], LiveWidget], picture: str) -> None:
    widget = made(picture)
    chosen = {"rank": {"layer", "head", "numbers"}}.get(picture, {"layer", "head", "query"})
    assert widget.value.keys() >= chosen | set(TOLD[picture])
    assert None not in widget.value.values()


def test_a_choice_is_whole_at_once_and_again(
    pattern: LiveWidget, attention: AttentionResult
) -> None:
    for _ in range(2):
        pattern.value = {"query": 5, "key": 3, "weight": 9}
        told = pattern.value
        assert (told["head"], told["query"], told["key"]) == (2, 5, 3)
        assert told["score"] == pytest.approx(attention.scores[2, 5, 3], abs=1e-6)
        assert told["weight"] == pytest.approx(attention.pattern[2, 5, 3], abs=1e-6)
    pattern.value = {}
    assert pattern.value == told
    pattern.value = {"query": 4}
    assert pattern.value["key"] == 3, "what is not named stays"
    pattern.value = {"query": 2}
    strongest = 1 + attention.pattern[2, 2, 1:3].argmax()
    assert pattern.value["key"] == strongest, "unless it cannot stay"
    with pytest.raises(ValueError, match="key 5 comes after query 2"):
        pattern.value = {"key": 5}


@pytest.mark.parametrize("kind", [{"window": 2}, {"sinks": True}])
def test_windows_and_sinks_count(kind: dict[str, Any]) -> None:
    trace = make_trace(n_tokens=8, **kind)
    widget = filmkit.widget("rows", trace=trace)
    widget.value = {"query": 6}
    head, layer = widget.value["head"], trace.meta.featured.layer
    hidden = trace.scores(layer, masked=True).mask[head, 6, :7]
    assert [score is None for score in widget.value["scores"]] == hidden.tolist()
    given = trace.get("pattern", layer)[head, 6, :7]
    np.testing.assert_allclose(widget.value["weights"], given, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(query=2),
        lambda value: value.__setitem__("query", 2),
        lambda value: value.pop("query"),
        lambda value: value.clear(),
    ],
)
def test_a_value_is_not_changed_in_place(
    pattern: LiveWidget, change: Callable[[dict[str, Any]], None]
) -> None:
    before = dict(pattern.value)
    with pytest.raises(ValueError, match=r"assign what to choose, w.value = \{...\}$"):
        change(pattern.value)
    assert pattern.value == before
    copied = deepcopy(pattern.value)
    change(copied)
    assert copied != before, "a copy may be"


def test_a_notebook_shows_the_line_of_a_mistake_alone(
    pattern: LiveWidget, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = InteractiveShell(
        user_ns={"w": pattern}, config=Config({"HistoryManager": {"enabled": False}})
    )
    shell.run_cell("w.value = {'query': 99}")
    assert capsys.readouterr().out == "ValueError: query is 99; it may be 1 to 8\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"picture": "patern"}, "there is no picture 'patern'; did you mean pattern?"),
        ({"picture": "cat"}, "There are pattern, rank, rows, heads"),
        ({"picture": 5}, "there is no picture '5'; there are pattern,"),
        ({"layer": "x"}, "layer is 'x'; it has to be a whole number"),
        ({"head": 1.5}, "head is 1.5; it has to be a whole number"),
        ({"theme": "drak"}, "did you mean dark"),
        ({"palette": "grey"}, "there is no palette 'grey'"),
        ({"language": "it"}, "no language 'it'"),
        ({"layer": 99}, "has layers 0 to 1"),
        ({"head": -1}, "has heads 0 to 3"),
        ({"picture": "rank"}, "no conversion is in this trace: python -m extract convert"),
        ({"picture": "rank", "trace": SHIPPED, "layer": 3}, "was measured in layer 11, head 3"),
        ({"picture": "rank", "trace": SHIPPED, "head": 4}, "was measured in layer 11, head 3"),
        ({"picture": "heads", "trace": make_trace(n_heads=1)}, "has one head in each layer"),
        ({"trace": make_trace(n_tokens=30)}, "the pictures hold 2 to 24"),
    ],
)
def test_wrong_arguments_are_explained(
    small: Trace, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        filmkit.widget(**({"picture": "pattern", "trace": small} | arguments))
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None, "no other error stands before it"
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_without_anywidget_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: Any = lambda name: None if name == "anywidget" else find_spec(name)  # noqa: E731
    monkeypatch.setattr(notebook, "find_spec", lacking)
    with pytest.raises(ImportError, match=re.escape("pip install -e '.[notebook]'")):
        filmkit.widget("pattern")


def test_a_model_trained_with_mla_shares_no_sets() -> None:
    widget = filmkit.widget(
        "heads", trace=make_trace(n_tokens=4, n_heads=2, mla=True, positions="rotary")
    )
    with pytest.raises(ValueError, match="no 'sets' to choose"):
        widget.value = {"sets": 1}


def test_importing_it_loads_nothing() -> None:
    code = (
        "import sys; from filmkit import widget; "
        "assert not {'manim', 'anywidget', 'ipywidgets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
