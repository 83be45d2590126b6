"""Headlines: words of a role in its colour, each where it is in the whole line."""

from __future__ import annotations

import numpy as np
import pytest
from manim import color_to_rgb

from filmkit.core.geometry import Frame
from filmkit.core.headline import LINE, Headline
from filmkit.core.language import _, ngettext
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.render.quality import ASPECTS, frame_size

WORDS = "one set of <key>keys</key> and <value>values</value> for all nine heads of it"
FRAMES = {name: Frame(*frame_size(*(120 * side for side in ASPECTS[name]))) for name in ASPECTS}


def test_words_of_a_role_have_its_colour_and_stand_where_they_are_in_the_line() -> None:
    theme = current_theme()
    (line,) = Headline("", WORDS, FRAMES["16:9"]).line
    plain = "one set of keys and values for all nine heads of it"
    assert line.text == plain
    whole = Label(plain, size=LINE).move_to(line)
    assert line.width == pytest.approx(whole.width, rel=1e-3)
    # Together these are the letters of the line, in three colours.
    drawn = np.concatenate([line.ink, *(word.points for word in line.submobjects)])
    for points in (drawn, whole.ink):
        points[:] = points[np.lexsort(np.round(points, 3).T)]
    np.testing.assert_allclose(drawn, whole.ink, atol=2e-3)
    colours = [theme.muted, theme.key, theme.value]
    for part, colour in zip((line, *line.submobjects), colours, strict=True):
        np.testing.assert_allclose(part.fill_rgbas[0, :3], color_to_rgb(colour), atol=1e-6)
    ends = [
        Label(text, size=LINE).width for text in ("one set of keys", "one set of keys and values")
    ]
    for word, end in zip(line.submobjects, ends, strict=True):
        assert word.get_right()[0] == pytest.approx(whole.get_left()[0] + end, abs=1e-3)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_it_stays_at_the_top_of_the_stage(aspect: str) -> None:
    free = FRAMES[aspect].free
    words = Headline("a figure that is long", WORDS, FRAMES[aspect])
    assert words.get_left()[0] >= free.left - 1e-6
    assert words.get_right()[0] <= free.right + 1e-6
    assert words.get_top()[1] <= free.top + 1e-6
    assert words.figure.get_bottom()[1] > words.line.get_top()[1]
    spoken = " ".join(label.text.strip() for label in words.line)
    assert spoken == "one set of keys and values for all nine heads of it"
    assert all(member.pinned for member in words.get_family())


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("", []),
        ("<key>键</key>和值", ["键和值"]),
        ("<key>keys</key>", ["keys"]),
        ("a b", ["a b"]),
        ("several  <key>b  lanks</key>   here", ["several b lanks here"]),
        ("nothing <key></key> tagged", ["nothing tagged"]),
        ("“<b>” is none, <key>keys</key> is", ["“<b>” is none, keys is"]),
    ],
)
def test_it_takes_lines_without_blanks_and_none(text: str, texts: list[str]) -> None:
    assert [label.text for label in Headline("7", text, FRAMES["16:9"]).line] == texts


def test_a_long_figure_is_smaller_and_has_two_lines() -> None:
    frame = FRAMES["9:16"]
    words = Headline("Keep everything that all of these are really made of", "", frame)
    assert len(words.figure) == 2
    assert words.figure.width <= frame.free.width


@pytest.mark.parametrize("word", ["<key>", "</query>", "</b>", "<value>x</value>", "<_>"])
def test_what_is_filled_in_is_no_tag(word: str) -> None:
    texts = [
        _("<query>query of “{word}”</query>, as it is", word=word),
        ngettext("“{word}” and one more", "“{word}” and {number} more", 2, word=word),
    ]
    queried, more = (Headline("7", text, FRAMES["16:9"]).line[0] for text in texts)
    assert queried.text == f"query of “{word}”, as it is"
    (tagged,) = queried.submobjects
    query = color_to_rgb(current_theme().query)
    np.testing.assert_allclose(tagged.fill_rgbas[0, :3], query, atol=1e-6)
    assert more.text == f"“{word}” and 2 more"
    assert not more.submobjects, "it is all of one colour"


def test_tags_of_a_text_that_is_filled_into_another_stay_tags() -> None:
    own = _("<key>keys</key> of “{word}”", word="<value>")
    (line,) = Headline("7", _("{idea}: {count} numbers", idea=own, count=7), FRAMES["16:9"]).line
    assert line.text == "keys of “<value>”: 7 numbers"
    assert len(line.submobjects) == 1
