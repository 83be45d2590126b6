"""The page to explore answers to pointer, keys and fingers, and speaks to a screen reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from filmkit.explore.parts import PARTS
from tests.support.browsing import Open, browser, wait_until
from tests.support.exploring import (
    ASKED,
    STILL,
    file,
    open_page,
    open_part,
    open_parts,
    opened_page,
    page,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["browser", "file", "open_page", "opened_page", "page"]

CHOSEN = "[chosen.query, chosen.head]"
CONTROLS = {"button", "radio", "slider", "combobox", "application", "image", "checkbox", "group"}
"""Roles that must have a name; those of groups are of sets of radio buttons."""


def tree(page: Page) -> list[dict[str, Any]]:
    """Return what a screen reader sees: roles, names and states, in the order of the page."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        {
            "role": node["role"]["value"],
            "name": node.get("name", {}).get("value", ""),
            **{each["name"]: each["value"].get("value") for each in node.get("properties", [])},
        }
        for node in nodes
        if not node["ignored"]
    ]


def middle_of_cell(canvas: Locator, row: int, column: int, count: int) -> Any:
    box = canvas.bounding_box()
    assert box
    return {
        "x": (column + 0.5) / count * box["width"],
        "y": (row + 0.5) / count * box["height"],
    }


def query_everywhere(page: Page) -> set[str]:
    """Return the words that the parts say or mark as the one that looks."""
    return set(
        page.evaluate(
            """[
            document.querySelector('#query :checked').parentElement.textContent,
            document.querySelector('#dot-matrix .rows .at').textContent,
            document.querySelector('#head-matrix .rows .at').textContent,
            byId('dot-read').textContent.split('“')[1].split('”')[0],
            byId('head-read').textContent.split('“')[1].split('”')[0],
            [...document.querySelectorAll('#softmax-bars > div:not(.later) span')]
                .at(-1).textContent,
            [...document.querySelectorAll('#mix-rows > div:not(.later) button')]
                .at(-1).textContent,
            [...document.querySelectorAll('#reading-words button:not([hidden]) span')]
                .at(-1).textContent,
        ]"""
        )
    )


def test_a_pointer_chooses_a_cell_for_all_parts(page: Page) -> None:
    words = page.evaluate("data.tokens.slice(data.first)")
    for name in ("#dot-matrix", "#head-matrix"):
        canvas = page.locator(f"{name} canvas")
        for row, column in ((3, 1), (8, 8)):
            canvas.click(position=middle_of_cell(canvas, row, column, len(words)))
            assert query_everywhere(page) == {words[row]}
            marked = page.locator(f"{name} .columns .at").text_content()
            assert marked == words[column]
        # A cell that the mask hides cannot be chosen.
        canvas.click(position=middle_of_cell(canvas, 2, 6, len(words)))
        assert query_everywhere(page) == {words[8]}


def test_a_pointer_that_is_dragged_chooses_what_it_passes(page: Page) -> None:
    canvas = page.locator("#dot-matrix canvas")
    canvas.scroll_into_view_if_needed()
    box, count = canvas.bounding_box(), 9
    assert box
    start, end = (middle_of_cell(canvas, row, 0, count) for row in (2, 6))
    page.mouse.move(box["x"] + start["x"], box["y"] + start["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + end["x"], box["y"] + end["y"], steps=4)
    page.mouse.up()
    assert page.evaluate(CHOSEN) == [7, 3]
    page.mouse.move(box["x"] + start["x"], box["y"] + start["y"])
    assert page.evaluate(CHOSEN) == [7, 3], "a pointer that hovers chooses nothing"


@pytest.mark.parametrize("part", ["dot", "head"])
def test_arrow_keys_choose_a_cell(page: Page, part: str) -> None:
    words = page.evaluate("data.tokens.slice(data.first)")
    canvas = page.locator(f"#{part}-matrix canvas")
    canvas.click(position=middle_of_cell(canvas, 4, 2, len(words)))
    for key, (row, column) in {
        "ArrowDown": (5, 2),
        "ArrowRight": (5, 3),
        "ArrowLeft": (5, 2),
        "ArrowUp": (4, 2),
    }.items():
        canvas.press(key)
        assert query_everywhere(page) == {words[row]}
        assert page.locator(f"#{part}-matrix .columns .at").text_content() == words[column]
    for _ in range(10):
        canvas.press("ArrowLeft")
        canvas.press("ArrowUp")
    assert query_everywhere(page) == {words[0]}, "it stays at the edge"
    box = canvas.bounding_box()
    canvas.press("ArrowDown")
    assert canvas.bounding_box() == box, "the page does not move away below the hand"


def test_words_are_chosen_with_keys(page: Page) -> None:
    open_part(page, "heads")
    at = page.locator("#arc").bounding_box()
    page.locator("#query input[value='7']").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(CHOSEN) == [8, 3]
    assert page.locator("#arc").bounding_box() == at, "what is looked at does not move"
    words = page.evaluate("data.tokens")
    assert query_everywhere(page) == {words[8]}
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(CHOSEN) == [7, 3]
    page.set_viewport_size({"width": 390, "height": 844})
    for query in (9, 1, 5):
        page.evaluate(f"choose({{ query: {query} }})")
        bar, word = (
            page.locator(name).bounding_box() for name in ("#query", "#query label:has(:checked)")
        )
        assert bar
        assert word
        start, room = word["x"] - bar["x"], bar["width"] - word["width"]
        assert -1 <= start <= room + 1, "the chosen word is in view, to a pixel"
    page.set_viewport_size({"width": 1280, "height": 720})


def test_radio_buttons_and_buttons_obey_keys(page: Page) -> None:
    page.locator("#sets-choice input:checked").focus()
    before = page.text_content("#sets-read")
    page.keyboard.press("ArrowRight")  # from the last one to the first
    assert page.evaluate("drawers.sets.sets") == page.evaluate("data.sets[0]")
    assert page.text_content("#sets-read") != before
    page.keyboard.press("ArrowLeft")
    assert page.text_content("#sets-read") == before
    page.locator("#mix-rows button").first.focus()
    for key, pressed in (("Enter", "false"), ("Space", "true")):
        page.keyboard.press(key)
        assert page.locator("#mix-rows button").first.get_attribute("aria-pressed") == pressed
    page.locator("#reading-ways input").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("drawers.reading.way") == "last"
    # Who switches one of these words chooses by hand from then on, beginning with them.
    last = page.evaluate("byId('reading-count').value")
    page.locator("#reading-words button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#reading-ways input").first.is_checked()
    pressed = "#reading-words button[aria-pressed=true]:visible"
    assert page.locator(pressed).count() == int(last) + 1
    page.locator("#theme").focus()
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    for theme, other in (("Light", "Dark"), ("Dark", "Light")):
        assert page.text_content("#theme") == theme
        page.keyboard.press("Enter")
        assert page.text_content("#theme") == other
        assert (page.evaluate(background) == dark) == (theme == "Dark")


def test_the_arc_turns_by_keys_and_enter_chooses(page: Page) -> None:
    arc = page.locator("#arc")
    arc.focus()
    for key, front in (("ArrowRight", 4), ("ArrowRight", 5), ("ArrowLeft", 4)):
        page.keyboard.press(key)
        assert arc.get_attribute("aria-valuetext") == f"head {front}"
        assert page.evaluate(CHOSEN) == [7, 3], "to turn is not to choose"
    page.keyboard.press("Enter")
    assert page.evaluate(CHOSEN) == [7, 4]
    assert (page.text_content("#head-read") or "").startswith("Head 4:")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    assert arc.get_attribute("aria-valuenow") == arc.get_attribute("aria-valuemax") == "8"
    page.keyboard.press("Space")
    assert page.evaluate(CHOSEN) == [7, 8]


def test_the_arc_is_dragged_and_a_click_chooses(page: Page) -> None:
    arc = page.locator("#arc")
    arc.scroll_into_view_if_needed()
    box = arc.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 0.4 * box["width"], middle[1], steps=3)
    page.mouse.up()
    front = page.evaluate("drawers.heads.inFront")
    assert page.evaluate(CHOSEN) == [7, 3], "a drag chooses nothing"
    assert front > 3
    wait_until(page, "drawers.heads.frame === null")
    # The card that is in front of all others is the chosen one, so the middle may be behind it.
    x, y = page.evaluate(
        """(head) => {
            const { heads } = drawers;
            const matrix = twgl.m4.multiply(heads.camera, heads.placed(head, QUADS.pattern));
            const [x, y] = twgl.m4.transformPoint(matrix, [0, 0, 0]);
            return [(1 + x) / 2, (1 - y) / 2];
        }""",
        front,
    )
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    assert page.evaluate(CHOSEN) == [7, front]


def test_fingers_choose_and_turn(open_page: Open) -> None:
    page = open_page(
        has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844}, **STILL
    )
    open_part(page, "dot")
    canvas = page.locator("#dot-matrix canvas")
    # A tap becomes a click a moment later.
    canvas.tap(position=middle_of_cell(canvas, 4, 2, 9))
    wait_until(page, "chosen.query === 5 && drawers.dot.key === 3")
    page.locator("#query label").last.tap()
    wait_until(page, "chosen.query === 9")
    open_part(page, "mix")
    page.locator("#mix-rows button").first.tap()
    wait_until(page, "document.querySelectorAll('#mix-rows .off').length === 1")
    open_part(page, "heads")
    box = page.locator("#arc").bounding_box()
    assert box
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": x, "y": box["y"] + box["height"] / 2} for x in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    front = page.evaluate(
        """() => {
          globalThis.lifted = false;
          byId("arc").addEventListener("pointerup", () => (lifted = true));
          return drawers.heads.inFront;
        }"""
    )
    touch("touchStart", 300)
    for x in (260, 200, 120, 60):
        touch("touchMove", x)
    touch("touchEnd")
    wait_until(page, "lifted")
    assert page.evaluate("drawers.heads.inFront") > front
    assert page.evaluate("chosen.head") == 3


def test_a_question_stands_before_its_answer(open_page: Open) -> None:
    page = open_page(**STILL)
    open_part(page, "dot")
    assert "“white”" in page.inner_text("#dot-read")
    assert "“red”" not in page.inner_text("#dot-read"), "nothing above the question answers it"
    for name, question in ASKED.items():
        assert not page.locator(f"#{name} .answer").is_visible()
        page.evaluate(f"document.querySelector('#{name} .waiting button')?.click()")
        page.evaluate(f"byId('{name}').scrollIntoView({{ behavior: 'instant' }})")
        wait_until(page, f"byId('{name}').dataset.state === 'ready'")
        assert page.locator(f"#{name} .asked p").first.text_content() == question
        assert not page.locator(f"#{name} .shown").is_visible()
    premises = ["The premise of sets.", "The premise of rank."]
    assert page.locator(".premise").all_text_contents() == premises
    assert page.is_visible("#sets .premise")
    said = {node["name"] for node in tree(page)}
    assert set(ASKED.values()) <= said
    answers = (
        *("Temperature, here and in what is passed on", "Sets of keys and values", "GPU"),
        "What is read",
    )
    assert not said.intersection(answers), "a screen reader reads no answer before it is asked for"
    for name in ASKED:
        page.locator(f"#{name} .asked button").first.focus()
        page.keyboard.press("Enter")
        assert page.locator(f"#{name} .shown").is_visible()
        assert page.locator(f"#{name} .asked p").first.is_visible(), "the question stays"
        answer = page.locator(f"#{name} .answer").text_content() or ""
        assert answer.endswith(f"The answer of {name}.")
        assert page.locator(f"#{name} .asked button:enabled").count() == 0
        # The next key goes on from the answer, not from the beginning of the page.
        assert page.evaluate("document.activeElement.closest('.part')?.id") == name
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.part')?.id") == name
    assert set(answers) <= {node["name"] for node in tree(page)}


@pytest.mark.parametrize(
    ("guess", "marked", "heard"),
    [
        ("half", ["", "right", "your guess"], "a third: right. half: your guess. "),
        ("a third", ["", "your guess, and right", ""], "a third: your guess, and right. "),
    ],
)
def test_a_guess_stays_beside_what_is_right(
    open_page: Open, guess: str, marked: list[str], heard: str
) -> None:
    page = open_page(has_touch=True, viewport={"width": 390, "height": 844}, **STILL)
    choices = page.locator("#sets .guesses button")
    assert choices.all_text_contents() == ["a tenth", "a third", "half"]
    for choice in choices.all():
        box = choice.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44
        assert choice.get_attribute("aria-pressed") == "false"
    assert not {"right", "your guess"} & {node["name"] for node in tree(page)}
    choices.get_by_text(guess).tap()
    page.wait_for_selector("#sets .shown")  # a tap becomes a click a moment later
    told = choices.evaluate_all("(all) => all.map((each) => each.children[0]?.textContent ?? '')")
    assert told == marked
    assert page.text_content("#sets .answer") == f"{heard}The answer of sets."
    (pressed,) = page.locator("#sets [aria-pressed=true]").all_text_contents()
    assert pressed.startswith(guess)
    shapes = choices.evaluate_all(
        "(all) => all.map((each) => getComputedStyle(each)).map(({ borderStyle, borderWidth }) => "
        "`${borderWidth} ${borderStyle}`)"
    )
    assert len(set(shapes)) == len(set(marked)), "not told by its colour alone"
    choices.first.evaluate("(choice) => choice.click()")
    assert page.locator("#sets [aria-pressed=true]").all_text_contents() == [pressed]


def test_what_tells_an_answer_waits_for_it(open_page: Open) -> None:
    page = open_page(**STILL)
    waiting = {part.name: part.waits for part in PARTS if part.waits}
    assert set(waiting) == {"mix", "heads", "latent"}
    told = {name: page.locator(f"#{name} .told") for name in waiting}
    assert not any(each.is_visible() for each in told.values())
    page.click("#softmax .asked button")
    assert {name for name, each in told.items() if each.is_visible()} == {"mix", "heads"}
    assert not page.is_visible("#mix .waiting")
    page.locator("#latent .waiting button").focus()
    page.keyboard.press("Enter")
    assert told["latent"].is_visible(), "who wants to see it may"
    assert page.evaluate("document.activeElement.id") == "latent-title"


def test_a_question_may_be_guessed_again(open_page: Open) -> None:
    page = open_page(**STILL)
    assert page.evaluate("[drawers.sets.sets, ...data.sets]") == [3, 9, 3, 1], "first as trained"
    choices = page.locator("#sets .guesses button")
    choices.first.click()
    assert page.is_visible("#latent .told")
    page.click("#sets .again button")
    for selector in ("#sets .answer", "#sets .shown", "#sets .again", "#latent .told"):
        assert not page.is_visible(selector), selector
    assert choices.all_text_contents() == ["a tenth", "a third", "half"]
    assert page.locator("#sets .guesses [aria-pressed=true]").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "a tenth", "keys go on there"
    choices.nth(1).click()
    heard = "a third: your guess, and right. The answer of sets."
    assert page.text_content("#sets .answer") == heard


def test_an_answer_keeps_the_word_that_a_reader_has_chosen(open_page: Open) -> None:
    page = open_page(**STILL)
    words = page.evaluate("data.tokens")
    open_part(page, "softmax")
    row = page.locator("#softmax-row")
    assert (row.text_content() or "").startswith(f"How “{words[7]}” shares out its attention")
    assert not page.is_visible("#softmax-row button")
    open_part(page, "reading")
    assert page.evaluate("chosen.query") == 9, "the question is about the last word"
    assert (row.text_content() or "").startswith(f"How “{words[9]}” "), "and the bars say whose"
    page.check("#query input[value='4']", force=True)
    page.evaluate("answer('softmax'); answer('reading')")
    assert page.evaluate("chosen.query") == 4
    assert (row.text_content() or "").startswith(f"How “{words[4]}” ")
    page.click("#softmax-row button")
    assert page.evaluate("chosen.query") == 7, "a way back to the word of the question"
    assert page.evaluate("document.activeElement.value") == "7"


def test_a_masked_cell_says_why(page: Page) -> None:
    words = page.evaluate("data.tokens.slice(data.first)")
    for name in ("dot", "head"):
        canvas = page.locator(f"#{name}-matrix canvas")
        for _ in range(2):
            canvas.click(position=middle_of_cell(canvas, 2, 6, len(words)))
        (why,) = page.locator(f"#{name}-read small").all_text_contents()
        assert why.startswith(f"This cell is masked: “{words[6]}” comes after “{words[2]}”")
        canvas.click(position=middle_of_cell(canvas, 2, 1, len(words)))
        assert page.locator(f"#{name}-read small").count() == 0


@pytest.mark.parametrize("viewport", [(1280, 720), (390, 844)], ids=["desk", "telephone"])
def test_every_control_has_a_name(page: Page, viewport: tuple[int, int]) -> None:
    page.set_viewport_size({"width": viewport[0], "height": viewport[1]})
    nodes = tree(page)
    assert {"button", "radio", "slider", "combobox", "application", "group"} <= {
        node["role"] for node in nodes
    }
    nameless = [
        node
        for node in nodes
        if not node["name"].strip() and (node["role"] in CONTROLS or node.get("focusable"))
        # The page itself and the words of an answer receive the focus, and are no controls.
        if node["role"] not in ("RootWebArea", "paragraph")
    ]
    assert nameless == []
    for slider, text in (("memory-tokens", "100,000"), ("temperature", "1.00")):
        assert page.get_attribute(f"#{slider}", "aria-valuetext") == text, "not where it stands"
    page.set_viewport_size({"width": 1280, "height": 720})


def test_what_the_hand_finds_is_said_once_it_rests(open_page: Open) -> None:
    page = open_page(held=True, **STILL)
    open_parts(page)
    page.evaluate("choose({ query: 7, head: 3 })")
    page.clock.run_for(3600)  # what was said of that is over
    spoken = """[...document.querySelectorAll('[role=status], [role=alert], [aria-live]')]
        .filter((each) => each.getAttribute('aria-live') !== 'off').map((each) => each.id)"""
    assert page.evaluate(spoken) == ["rank-read", "said"]
    page.evaluate(
        """window.heard = [];
        new MutationObserver(() => heard.push(byId('said').textContent))
            .observe(byId('said'), { childList: true, characterData: true, subtree: true });
        new MutationObserver(() => heard.push('rank'))
            .observe(byId('rank-read'), { childList: true });"""
    )
    slider = page.locator("#dot-count")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
        page.clock.run_for(300)  # milliseconds
    assert page.evaluate("heard") == []
    page.clock.run_for(300)
    total = page.text_content("#dot-total") or ""
    assert total.startswith("59 of 64")
    assert page.evaluate("heard") == [f"{page.text_content('#dot-read')} {total}"]
    slider.press("End")
    page.evaluate("byId('heads').scrollIntoView({ behavior: 'instant' })")
    page.locator("#query input[value='7']").press("ArrowLeft")
    page.clock.run_for(600)
    assert page.evaluate("heard.slice(1)") == [page.text_content("#head-read")]
