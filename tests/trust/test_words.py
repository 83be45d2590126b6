"""Scenes show every word of a prompt as it is, also one that looks like markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from filmkit.core.language import NO_TAG
from filmkit.core.text import Label
from filmkit.core.token_text import printable
from scenes.registry import SCENES
from tests.support.staging import play
from tests.support.traces import make_trace

TAGS = ["</b>", "</s>", "<script>", "<query>", "</query><key>", "<query></query>", "<key>x</key>"]
AWKWARD = [
    *TAGS,
    "",
    *(
        "<value>",
        "<_>",
        "<b",
        "b>",
        "<",
        ">",
        "<!--",
        "-->",
        "]]>",
        "<?x?>",
        "<![CDATA[",
        "&",
        "&lt;",
    ),
    *(
        "{",
        "}",
        "{query}",
        "{0}",
        "{{x}}",
        "{% x %}",
        "{!r}",
        "%s",
        "%(x)s",
        "%",
        "$x$",
        "${x}",
        "\\",
    ),
    *(
        "[",
        "]",
        "[x]",
        "[a|b]",
        "[]",
        "(",
        ")",
        "*b*",
        "_i_",
        "`c`",
        "#let",
        "@ref",
        "~",
        "//",
        "/*",
    ),
    *(
        '"',
        "'",
        "“",
        "’",
        "«",
        "'''",
        '"""',
        "--",
        "---",
        "...",
        "|",
        ";",
        ":",
        "=",
        "\\n",
        "\\u0041",
    ),
    *("\n", "\r\n", "\t", " ", "  ", "a  b", "\0", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u3000"),
    *("\u00a0", "\u00ad", "\u200b", "\u200d", "\u2060", "\ufeff", "\u202eabc", "\u2066a", "\ufffd"),
    *(
        "שלום",
        "سلام",
        "ﷺ",
        "नमस्ते",
        "สวัสดี",
        "旗",
        "ᄀ",
        "é̂̃",
        "ⴰ",
        "𓀀",
        "𒀀",
        "ꙮ",
        "\ue000",
        "\U0010fffd",
    ),
    *("👩\u200d👩\u200d👧", "🇩🇪", "🧿", "☺\ufe0f", "x" * 60, "ｘ", "İ", "ß", "<0xE7>", "1e9", "-0"),
]
PROMPT = 9  # words
PROMPTS = [AWKWARD[start : start + PROMPT] for start in range(0, len(AWKWARD), PROMPT)]
CONVERTED = "scene_mla", "scene_rotation", "scene_answer"  # need more than a made-up trace has


def shown(monkeypatch: pytest.MonkeyPatch, words: Sequence[str]) -> list[str]:
    """Run the scenes with a prompt, and return all texts that they made."""
    texts: list[str] = []
    make = Label.__init__

    def note(label: Label, text: str, **options: Any) -> None:
        make(label, text, **options)
        texts.append(text.replace(NO_TAG, ""))

    # With a blank before it a word is no sign that is left out at the end of a headline.
    trace = make_trace(n_tokens=len(words), words=[*words, " next"], n_generated=1)
    monkeypatch.setattr(Label, "__init__", note)
    for entry in SCENES:
        if entry.slug not in CONVERTED:
            texts += [picture.record.narration for picture in play(entry.load(), trace)]
    return texts


@pytest.mark.parametrize(
    "words", [PROMPTS[0], *(pytest.param(words, marks=pytest.mark.slow) for words in PROMPTS[1:])]
)
def test_words_are_shown_as_they_are(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    texts = shown(monkeypatch, words)
    seen = {printable(word) for word in words}
    missing = seen.difference(texts, [""])
    assert not missing
    asked = re.findall("that of “(.+?)” answers, “I do”", "\n".join(texts))
    assert asked
    # A line that may be broken has one blank for several.
    assert {*asked} <= {re.sub(" +", " ", word) for word in seen}
