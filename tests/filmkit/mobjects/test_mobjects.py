"""Mobjects: their parts, their places, their roles."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from cmap import Colormap
from hypothesis import given
from hypothesis import strategies as st
from manim import Mobject, Text

from filmkit.core.errors import SceneCodeError
from filmkit.core.fonts import lacks_fonts
from filmkit.core.geometry import FRAME_HEIGHT, Box, row_points
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_number, format_share
from filmkit.core.text import (
    RENDER_SIZE,
    Label,
    LabelGroup,
    Number,
    Symbol,
    TextLine,
    break_lines,
    fit_word,
    unknown_letters,
)
from filmkit.core.theme import DARK, LIGHT, current_theme, use_theme
from filmkit.core.token_text import printable
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.marks import CellLabels, ColourBar, Highlight, TokenLabels
from filmkit.mobjects.panel import Header, Panel
from filmkit.render.manim_config import changed_config

NORM = Norm(-2.0, 2.0, "viridis")
BOX = Box(1.0, -0.5, 6.0, 3.0)
SHAPES = [(1, 1), (1, 7), (9, 64), (5, 1)]


def panel(shape: tuple[int, int]) -> Heatmap:
    values = np.random.default_rng(1).normal(size=shape)
    return Heatmap(values, NORM, width=1, height=1).place(BOX)


def bounds(mobject: Mobject) -> Box:
    return Box.between(mobject.get_corner([-1, -1, 0]), mobject.get_corner([1, 1, 0]))


# Heatmaps


@pytest.mark.parametrize("shape", SHAPES)
def test_cells_tile_the_box(shape: tuple[int, int]) -> None:
    heatmap = panel(shape)
    rows, columns = shape
    assert heatmap.box == BOX
    assert heatmap.cell(0, 0).left == pytest.approx(BOX.left)
    assert heatmap.cell(rows - 1, columns - 1).bottom == pytest.approx(BOX.bottom)
    assert heatmap.row(rows - 1).width == pytest.approx(BOX.width)
    assert heatmap.column(0).height == pytest.approx(BOX.height)
    assert heatmap.block((0, rows), (0, columns)) == heatmap.box


@pytest.mark.parametrize("shape", SHAPES)
def test_all_rows_together_are_the_picture(shape: tuple[int, int]) -> None:
    heatmap = panel(shape)
    heatmap.set_masked(np.arange(shape[1]) % 2)
    rows = heatmap.split_rows()
    np.testing.assert_array_equal(
        np.concatenate([row.texture().cells for row in rows]), heatmap.texture().cells
    )
    for above, below in pairwise(rows):
        np.testing.assert_allclose(above.corners[[3, 2]], below.corners[:2])
    np.testing.assert_allclose([*rows[0].corners[:2], *rows[-1].corners[2:]], heatmap.corners)


def test_parts_know_where_they_come_from() -> None:
    source = TensorSource("q.3", index=((2, 6), 5, (0, 7)))
    heatmap = Heatmap(np.zeros((4, 7)), NORM, width=1, height=1, source=source)
    piece = heatmap.part((1, 3), (2, 7))
    assert piece.source == TensorSource("q.3", index=((3, 5), 5, (2, 7)))
    turned = heatmap.transposed().part((2, 7), (1, 3))
    assert turned.source == TensorSource("q.3", index=((3, 5), 5, (2, 7)), transposed=True)
    first, *_, last = heatmap.split_rows()
    assert first.source == TensorSource("q.3", index=((2, 3), 5, (0, 7)))
    assert last.source == TensorSource("q.3", index=((5, 6), 5, (0, 7)))


def test_a_transpose_is_the_same_picture_read_the_other_way() -> None:
    heatmap = panel((2, 5))
    turned = heatmap.transposed()
    assert turned.shape == (5, 2)
    for row in range(2):
        for column in range(5):
            np.testing.assert_allclose(
                heatmap.at(row + 0.5, column + 0.5), turned.at(column + 0.5, row + 0.5)
            )
            assert heatmap.values[row, column] == turned.values[column, row]


@pytest.mark.parametrize("name", ["viridis", "magma", "berlin"])
def test_colours_are_matplotlibs(name: str) -> None:
    expected = np.rint(Colormap(name).lut(256)[:, :3] * 255)
    norm = Norm(0.0, 1.0, name)
    np.testing.assert_array_equal(norm.colours(np.arange(256) / 255), expected)
    np.testing.assert_array_equal(norm.colours([-9.0, 9.0]), expected[[0, -1]])


def test_symmetric_norms_keep_zero_in_the_middle_and_cut_outliers() -> None:
    values = np.r_[np.linspace(-1, 1, 999), 1000.0]
    norm = Norm.symmetric(values, percentile=99)
    assert norm.vmin == -norm.vmax
    assert norm.vmax < 1.1
    assert norm.scaled(8).vmax == 8 * norm.vmax
    assert Norm.symmetric([0.0]).vmax > 0


def test_masked_cells_have_their_own_look() -> None:
    heatmap = panel((2, 2)).set_masked([[False, True], [False, False]])
    cells = heatmap.texture().cells
    theme = current_theme()
    masked = tuple(int(theme.masked[i : i + 2], 16) for i in (1, 3, 5))
    assert tuple(cells[0, 1, :3]) == masked
    np.testing.assert_array_equal(cells[1, 1, :3], NORM.colours(heatmap.values[1, 1]))


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 4)), np.zeros((0, 3))])
def test_what_is_no_matrix_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a heatmap takes a matrix"):
        Heatmap(bad, NORM, width=1, height=1)


def test_other_numbers_must_have_the_same_shape() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\) cannot show \(3, 2\)"):
        panel((2, 3)).set_values(np.zeros((3, 2)))


# Text


def test_lines_share_height_and_baseline_whatever_their_letters() -> None:
    labels = [Label(text) for text in ("acme", "gypsy", ",", "HÄ", "")]
    size = current_theme().shape_size * FRAME_HEIGHT
    for label in labels:
        label.on_line(2.0, 1.0)
        assert label.line_height == pytest.approx(size)
    feet = [label.points[-12][1] for label in labels]
    assert feet == pytest.approx([feet[0]] * len(labels))


def test_texts_are_arranged_on_lines_whatever_their_letters() -> None:
    def feet(group: LabelGroup) -> list[float]:
        return [label.points[-12][1] for label in group]

    words = ["acme", "gypsy", ",", "HÄ", "yes", "(no)"]
    row = LabelGroup(*map(Label, words)).arrange(buff=0.3)
    assert feet(row) == pytest.approx([feet(row)[0]] * 6)
    gaps = [b.get_left()[0] - a.get_right()[0] for a, b in pairwise(row)]
    assert gaps == pytest.approx([0.3] * 5)
    grid = LabelGroup(*map(Label, words)).arrange_in_grid(cols=3, buff=(0.3, 0.5))
    first, second = feet(grid)[:3], feet(grid)[3:]
    line = grid[0].line_height
    assert first == pytest.approx([first[0]] * 3)
    assert second == pytest.approx([first[0] - line - 0.5] * 3)
    assert [grid[n].get_x() for n in range(3)] == pytest.approx([w.get_x() for w in grid[3:]])


@pytest.mark.parametrize(("kind", "content"), [(Label, "flag"), (Number, -1.5), (Symbol, "W_Q")])
def test_lines_keep_their_height_when_turned_and_scaled(kind: type[TextLine], content: Any) -> None:
    line = kind(content)
    height = line.line_height
    line.rotate(np.pi / 2).scale(2)
    assert line.line_height == pytest.approx(2 * height)


def test_a_long_line_is_not_broken() -> None:
    short, long = Label("forty words"), Label(" ".join(["forty words"] * 20))
    assert np.ptp(long.ink[:, 1]) == pytest.approx(np.ptp(short.ink[:, 1]), rel=0.02)
    assert long.width > 19 * short.width


def test_a_symbol_stands_on_the_line_of_words() -> None:
    # The foot of an upright capital is the baseline in both.
    word, symbol = Label("H").on_line(0, 0), Symbol("upright(H)").on_line(0, 0)
    assert symbol.ink[:, 1].min() == pytest.approx(word.ink[:, 1].min(), abs=0.01)
    assert symbol.ink[:, 1].max() == pytest.approx(word.ink[:, 1].max(), abs=0.01)


def test_rules_of_a_formula_are_drawn() -> None:
    root, bare = Symbol("sqrt(64)"), Symbol("64")
    assert root.ink[:, 1].max() > bare.ink[:, 1].max()
    assert root.fill_opacity == 1


def test_a_number_changes_in_place() -> None:
    number = Number(9.5).move_to([1, 2, 0])
    right, height = number.get_right()[0], number.line_height
    number.set_value(-123.45)
    assert number.text == "−123.5" or number.text == "−123.4"
    assert number.get_right()[0] == pytest.approx(right)
    assert number.line_height == pytest.approx(height)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.500"), (-0.123456, "−0.123"), (999.6, "1,000"), (47.84, "47.8")],
)
def test_numbers_have_three_digits_and_a_true_minus(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.0424, "4.2%"), (0.0996, "10%"), (1.0, "100%")])
def test_shares_are_percentages(share: float, text: str) -> None:
    assert format_share(share) == text


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (" flag", "flag"),
        ("\n", "↵"),
        ("\n\n", "↵↵"),
        (" ", "·"),
        ("  ", "··"),
        ("\t", "⇥"),
        ("", "∅"),
        ("a b", "a b"),
        ("\u200b", "\ufffd"),
        ("\u200d", "\ufffd"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("旗", "旗"),
        ("<0xE7><0x8C>", "‹E7 8C›"),
        (" x<0xF0>", "x‹F0›"),
    ],
)
def test_every_token_can_be_seen(token: str, text: str) -> None:
    assert printable(token) == text


SCRIPTS = {
    "Latin": ("fläche", "Việt"),
    "Greek": ("Ωμ", "λγ"),
    "Cyrillic": ("флаг", "синий"),
    "Hebrew": ("דגל", "כחול"),
    "Arabic": ("علم", "أزرق"),
    "Devanagari": ("हिन्दी", "झंडा"),
    "Thai": ("ธง", "สีฟ้า"),
    "Chinese": ("旗", "蓝"),
    "Japanese": ("はた", "アオ"),
    "Korean": ("국기", "파랑"),
    "emoji": ("👍", "🚩"),
    "joined emoji": ("👍🏽", "👨\u200d👩\u200d👧"),
    "flags": ("🇺🇸", "🇩🇪"),
    "symbols": ("☎", "★"),
    "what stands for the unseen": ("↵", "⏎"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_letters(script: str) -> None:
    first, second = (Label(text) for text in SCRIPTS[script])
    # A font that lacks characters draws the same box for each.
    assert len(first.ink)
    assert len(second.ink)
    assert first.ink.shape != second.ink.shape or not np.allclose(first.ink, second.ink)
    # The letter that marks the baseline has been removed.
    assert min(first.width, second.width) < 3 * first.line_height


def test_east_asian_words_ask_for_their_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not lacks_fonts(["旗"])
    monkeypatch.setattr("filmkit.core.fonts.find_spec", lambda name: None)
    assert lacks_fonts([" flag", "旗"])
    assert lacks_fonts(["はた"])
    assert not lacks_fonts([" flag", "флаг", "👍"])


@given(st.text(min_size=0, max_size=15))
def test_no_token_is_invisible(token: str) -> None:
    shown = printable(token)
    assert shown.strip()
    assert "\n" not in shown


@pytest.mark.parametrize("text", ["“", "”", "’", "红”", "“红”", "红 ”"])
def test_every_letter_has_an_outline(text: str) -> None:
    if lacks_fonts([text]):
        pytest.skip("there are no fonts for Chinese")
    letters = text.replace(" ", "")
    for count in range(1, len(letters)):
        assert len(Label(text).ink) > len(Label(letters[:count]).ink)
    assert len(Label(text).ink)


def test_long_texts_are_broken_without_measuring_all_of_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = 0

    def width(text: str, *, size: float | None = None) -> float:
        nonlocal measured
        measured += len(text)
        return float(len(text))

    monkeypatch.setattr("filmkit.core.text.text_width", width)
    words = [f"word{number}" for number in range(2_000)]
    lines = break_lines(" ".join(words), 60.0)
    assert " ".join(lines).split(" ") == words
    assert max(map(len, lines)) <= 60
    assert measured < 40 * len(" ".join(words))


NO_FONT = "\U00013000\U0010fffd\ue123\u0378"  # a hieroglyph, two private letters, and no letter


def test_letters_that_no_font_has_are_found() -> None:
    assert unknown_letters(f"a{NO_FONT} é👍 \n\N{ZERO WIDTH JOINER}") == "".join(sorted(NO_FONT))


@pytest.mark.parametrize("letter", NO_FONT)
def test_a_letter_that_no_font_has_is_a_frame_around_its_code(letter: str) -> None:
    code = Label(f"{ord(letter):04X}").ink
    box = Label(letter)
    frame = box.ink[:32]  # two rectangles of four curves with four points each
    assert len(box.ink) > len(frame) + len(code) / 2
    assert np.allclose(frame.max(axis=0), box.ink.max(axis=0))
    assert np.allclose(frame.min(axis=0), box.ink.min(axis=0))
    outer, inner = (np.ptp(part, axis=0)[:2] for part in np.split(frame, 2))
    assert np.all(inner < outer)
    assert np.all(inner > 0.8 * outer)


@pytest.mark.parametrize("width", [0.3, 0.6, 1.0, 3.0])
def test_words_fit_and_stay_readable(width: float) -> None:
    label = fit_word("Donaudampfschiff", width, size=0.028)
    assert label.width <= width + 1e-6
    assert label.size >= current_theme().min_text_size
    assert label.text.endswith("…") or label.text == "Donaudampfschiff"


def test_words_that_fit_when_they_are_smaller_are_whole() -> None:
    text = "Can a model remember less, and think as well?"
    widths = np.linspace(0.6, 1.0, 40) * Label(text, size=0.04).width
    assert {fit_word(text, width, size=0.04).text for width in widths} == {text}


def test_words_beside_rows_end_and_words_above_columns_begin_at_their_points() -> None:
    points = row_points(1.0, BOX, 3)
    across = TokenLabels([" a", " longer", ","], points, width=2)
    assert [w.get_right()[0] for w in across] == pytest.approx([1.0] * 3, abs=0.05)
    upright = TokenLabels([" a", " longer", ","], points, width=2, vertical=True)
    for word, (x, y) in zip(upright, points, strict=True):
        assert word.get_bottom()[1] == pytest.approx(y, abs=0.05)
        assert word.get_x() == pytest.approx(x, abs=0.05)


# Headers, wires, marks


def test_a_header_stands_above_its_panel() -> None:
    for align in ("left", "right", "center"):
        header = Header("queries", "Q", (9, 64)).stand_on(BOX, align=align)
        assert header.get_bottom()[1] > BOX.top
    assert Panel(np.zeros((2, 3)), NORM, BOX, name="keys").header.shape is not None


def test_a_wire_goes_from_start_to_end_with_right_angles() -> None:
    wire = Wire([(0, 0), (1, 0), (1, 2), (3, 2)])
    points = wire.line.points
    np.testing.assert_allclose(points[0], [0, 0, 0])
    np.testing.assert_allclose(wire.get_right()[0], 3, atol=1e-6)
    assert wire.tip is not None
    steps = np.abs(np.diff(np.array(wire.line.get_anchors())[:, :2], axis=0))
    straight = steps[steps.max(axis=1) > Wire.CORNER * 1.01]
    assert (straight.min(axis=1) < 1e-9).all()
    assert Wire([(0, 0), (1, 0)], arrow=False).tip is None


def test_marks_surround_and_fill_their_boxes() -> None:
    assert bounds(Highlight(BOX)).contains(BOX)
    bar = ColourBar(NORM, "scores", BOX)
    assert bar.bar.box == BOX
    assert [label.text for label in bar.labels] == ["−2.0", "0", "2.0", "scores"]
    zero = bar.labels[1]
    assert zero.get_x() == pytest.approx(BOX.x)
    assert zero.get_top()[1] < BOX.bottom


def test_words_on_cells_are_black_or_white_and_fit() -> None:
    cells = Heatmap([[0.0, 1.0, 0.5], [1.0, 0.0, 1.0]], Norm.unit(), width=6, height=2)
    cells.set_shown([[1, 1, 1], [0, 1, 1]])
    cells.set_masked([[0, 0, 1], [0, 0, 0]])
    numbers = CellLabels(cells)
    assert [label.text for label in numbers] == ["0", "1.00", "0", "1.00"]
    words = CellLabels(cells, [["one", "a very long word", ""], ["none", "", "two"]], size=0.1)
    by_text = {label.text: label for label in words}
    inks = {text: label.get_fill_color().to_hex() for text, label in by_text.items()}
    # Where a cell is hidden, words stand on the dark background.
    assert inks == {
        "one": "#FFFFFF", "a very long word": "#000000", "none": "#FFFFFF", "two": "#000000",
    }  # fmt: skip
    for text, (row, column) in {"one": (0, 0), "a very long word": (0, 1), "two": (1, 2)}.items():
        assert cells.cell(row, column).contains(bounds(by_text[text]))
    for texts in ([["one"]], [["a", "b", "c"]], [["a"] * 3, ["b"] * 2]):
        with pytest.raises(SceneCodeError, match="2 x 3 takes 2 rows of 3 texts"):
            CellLabels(cells, texts)


def test_a_colour_bar_says_how_its_colours_are_to_be_read() -> None:
    def words(norm: Norm, name: str = "") -> str:
        return ColourBar(norm, name, Box(0, 0, 12, 0.1)).labels[-1].text

    values = np.linspace(-1, 1, 99)
    with use_theme(palette="film"):
        assert words(Norm.unit()) == ""
        assert words(Norm.stretched(values), "keys") == "keys, small numbers amplified"
    with use_theme(palette="roles"):
        assert words(Norm.unit(), "share") == "share"
        assert words(Norm.symmetric(values, role="scores"), "scores") == "scores, stronger: larger"
        assert words(Norm.stretched(values), "keys") == (
            "keys, small numbers amplified, stronger: larger"
        )


@pytest.mark.parametrize(
    ("norm", "width", "texts"),
    [
        (Norm.unit(), 4, ["0", "100%"]),
        (Norm(0, 1, "inferno"), 4, ["0", "1.0"]),
        (Norm.symmetric([2.5]), 4, ["negative", "0", "positive"]),
        (Norm.symmetric([2.5]), 1, ["−2.5", "2.5"]),
    ],
)
def test_a_colour_bar_without_a_name_says_its_ends(
    norm: Norm, width: float, texts: list[str]
) -> None:
    *numbers, title = ColourBar(norm, "", Box(0, 0, width, 0.1)).labels
    assert ([number.text for number in numbers], title.text) == (texts, "")


def test_a_line_tells_how_high_its_letters_reach() -> None:
    low, high = Label("nose").on_line(0.0, 1.0), Label("Éa").on_line(0.0, 1.0)
    assert low.rise < low.line_height / 2 < high.rise


# Theme


def test_the_theme_is_asked_when_things_are_built() -> None:
    dark = Label("a").fill_color
    with use_theme("light"):
        light = Label("a").fill_color
    assert dark != light
    assert Label("a").fill_color == dark


def test_unknown_themes_and_roles_are_refused() -> None:
    with (
        pytest.raises(ValueError, match="no theme 'sepia'; there are dark, light, print"),
        use_theme("sepia"),
    ):
        pass
    with pytest.raises(ValueError, match="no colour role 'name'"):
        current_theme().role("name")


def test_roles_have_colours_of_their_own() -> None:
    for theme in (DARK, LIGHT):
        colours = [theme.role(name) for name in ("query", "key", "value", "latent")]
        assert len(set(colours)) == len(colours)


def test_no_group_shares_a_part() -> None:
    def every_part(mobject: Mobject) -> list[int]:
        # Manim's own list of a family names each part only once, however often it is there.
        return [id(mobject), *(part for sub in mobject.submobjects for part in every_part(sub))]

    parts = every_part(Header("queries", "Q", (9, 64)))
    assert len(parts) == len(set(parts)) > 3


def test_a_text_is_broken_into_few_even_lines_that_fit() -> None:
    text = "in the row of “and” no word gets more than 19 %; the beginning token gets 3.4 %"
    for width in (1.0, 2.9, 4.8, 20.0):
        lines = break_lines(text, width)
        assert " ".join(lines) == text
        assert all(Label(line).width <= width for line in lines if " " in line)
    assert break_lines(text, 20.0) == [text]
    assert break_lines("one two", 0.1) == ["one", "two"]
    assert break_lines("9 ×\N{NO-BREAK SPACE}9 cells", 0.1) == ["9 × 9", "cells"]
    long, short = (
        Label(line).width for line in break_lines("one two three four", Label(text).width / 6)
    )
    assert short > 0.6 * long


@pytest.mark.parametrize("words", ["queries AV", "é, ü: (ñ)", "69 % of −5.2"])
@pytest.mark.parametrize("weight", ["normal", "semibold"])
def test_letters_stand_where_manim_sets_them(words: str, weight: str) -> None:
    with changed_config({"pixel_width": 10**5}):
        theirs = Text(
            f"H{words}",
            font=DARK.font,
            font_size=RENDER_SIZE,
            weight=weight.upper(),
            disable_ligatures=True,
        )
    cap, *letters = theirs.family_members_with_points()
    scale = np.ptp(Label("H", weight=weight).ink[:, 1]) / cap.height
    # Blanks are points without a size for Manim.
    expected = np.concatenate([letter.points for letter in letters if letter.width])
    found = Label(words, weight=weight).ink
    for axis in (0, 1):
        theirs_reach = np.ptp(expected[:, axis]) * scale
        assert np.ptp(found[:, axis]) == pytest.approx(theirs_reach)
    # What curves enclose, which no closing line changes.
    assert area(found) == pytest.approx(area(expected) * scale**2)


def area(curves: np.ndarray) -> float:
    """Signed area inside cubic curves (n, 3), four points each, by their control points."""
    x, y = curves[:, 0].reshape(-1, 4), curves[:, 1].reshape(-1, 4)
    t = np.linspace(0, 1, 33)[:, None, None]
    bases = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    across, up = (sum(b[..., 0] * part[:, i] for i, b in enumerate(bases)) for part in (x, y))
    return float((across[:-1] * up[1:] - across[1:] * up[:-1]).sum() / 2)


def test_words_that_no_font_has_letters_for_are_drawn_all_the_same() -> None:
    assert len(Label("🙂 smile").ink) >= len(Label("smile").ink)
