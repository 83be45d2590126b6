"""Scripts of scenes, read back as the Markdown that they are."""

from __future__ import annotations

import pytest

from filmkit.core.beat_records import BeatRecord, Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.words.script import script

markdown_it = pytest.importorskip("markdown_it")


@pytest.mark.parametrize(
    "words",
    [
        *(
            "a </b> and <script>",
            "“*a*” **b**",
            "_a_ __b__ c_d _e",
            "`b` ``c``",
            "\\ and \\* and \\n\\",
        ),
        *("&amp; &#65;", "[a](b) ![c](d) [e]: f", "<http://a.b>", "{{x}} {% x %} $x$ ~~y~~ #let"),
        *("# one", "- one", "+ one", "> one", "1. one", "12) one", "---", "==="),
    ],
)
def test_words_are_not_markdown(words: str) -> None:
    record = BeatRecord("one", words, 0.0, 2.0, tail=1.0, title=words)
    text = script(SceneEntry("mine", words, "mine", "Mine"), Rehearsal((record,), 2.0))
    tokens = markdown_it.MarkdownIt().parse(text)
    kinds = [token.tag for token in tokens if token.nesting == 1]
    assert kinds == ["h1", "p", "h2", "p", "p"]
    shown = [token.children for token in tokens if token.type == "inline"]
    title, _, beat, narration, _ = (
        "".join(child.content for child in children or []) for children in shown
    )
    assert (title, beat.partition(" ")[2], narration) == (words, words, words)
