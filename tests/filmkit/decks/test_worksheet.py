"""Worksheets, read back from their PDFs: who calculates right finds the printed solutions."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import tanh
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pypdf import PageObject, PdfReader

from extract.attention.head_norm import HeadNorm
from extract.trace import Trace
from filmkit.commands import options
from filmkit.core.card import FILM_TITLE
from filmkit.core.token_text import printable
from filmkit.core.view import LayerView, best_match
from filmkit.decks.worksheet import make_worksheet
from tests.support.asking import ASKING, SAID
from tests.support.calling import Calling, assert_one_line, calling
from tests.support.filming import render_request
from tests.support.kinds import KINDS, SHIPPED_KIND, trace_of_kind
from tests.support.pdfs import alt_texts_of
from tests.support.traces import make_trace, replaced

__all__ = ["calling"]


def small_numbers() -> Trace:
    """A trace whose values are so small that one decimal would leave nothing of them."""
    trace = make_trace(n_tokens=7)
    layer = trace.meta.featured.layer
    names = [f"{name}.{layer}" for name in ("v", "z", "out", "W_V")]
    return replaced(trace, {name: trace[name] * np.float32(1e-3) for name in names})


MADE: dict[str, Callable[[], Trace]] = {
    "grouped, rotary": lambda: make_trace(n_tokens=12, n_kv_heads=2, positions="rotary", d_head=16),
    "latents": lambda: make_trace(n_heads=2, positions="rotary", mla=True),
    "all at once": lambda: make_trace(
        n_tokens=24, positions="alibi", sinks=True, score_cap=3.0, window=9
    ),
    "two words": lambda: make_trace(n_tokens=2, has_bos=False, d_head=2, d_v=1),
    "one shared set, QK norm": lambda: make_trace(
        n_kv_heads=1, qk_norm=HeadNorm("rms", "head", 1e-6), d_v=5
    ),
    "reads itself": lambda: make_trace(n_tokens=6, window=1, biases=True),
    "small numbers": small_numbers,
    "scores below zero": lambda: make_trace(n_tokens=3, has_bos=False, seed=8),
}
ALL = [
    SHIPPED_KIND,
    *list(MADE)[:4],
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (*list(MADE)[4:], *(name for name in KINDS if name != SHIPPED_KIND))
    ),
]
PAPER_SIZES = {"a4": (210, 297), "us-letter": (215.9, 279.4)}

NUMBER = re.compile(r"(?<![\w.−])−?\d+(?:\.\d+)?(?![\w.])")


class Line(NamedTuple):
    """A line of a table: its name, and its numbers."""

    name: str
    numbers: list[Decimal]

    @property
    def masked(self) -> bool:
        """Whether a word is masked, which its line says before its numbers."""
        return self.name.endswith(" masked")


class Sheet(NamedTuple):
    """A worksheet, and the trace that it was made from."""

    trace: Trace
    pages: list[str]
    document: PdfReader

    @property
    def view(self) -> Any:
        """The head that it shows."""
        return LayerView.of_prompt(self.trace, None, show_first_token=False).head(None)

    @property
    def row(self) -> tuple[int, int]:
        """Positions of the query and of its best key."""
        query, key = best_match(self.view)
        return self.view.layer.first + query, self.view.layer.first + key

    def position(self, name: str) -> int:
        """Position of a word, by the name of its line."""
        if name.startswith("beginning token"):
            return 0
        return int(name.split()[0]) - 1 + self.trace.meta.has_bos

    def positions(self, name: str) -> range:
        """Positions of the words of a line, by its name, which may say the first and the last."""
        if not (span := re.match(r"(\d+)–(\d+) ", name)):
            return range(self.position(name), self.position(name) + 1)
        first, last = (int(number) - 1 + self.trace.meta.has_bos for number in span.groups())
        return range(first, last + 1)


def numbers_in(text: str) -> list[Decimal]:
    """Return the numbers in a text; they keep their last zeros."""
    return [Decimal(number.replace("−", "-")) for number in NUMBER.findall(text)]


def line_of(text: str) -> Line:
    """Read the line of a table; all numbers at its end are its own."""
    *_, end = re.finditer(r"(?:^|\s)(?![−\d. ]*$)\S+|^", text)
    return Line(text[: end.end()].strip(), numbers_in(text[end.end() :]))


def between(page: str, begin: str, end: str) -> list[str]:
    """Return the lines of a page after one that begins so, and before the next that begins so."""
    lines = iter(page.splitlines())
    for line in lines:
        if re.match(begin, line):
            break
    found = []
    for line in lines:
        if re.match(end, line):
            return found
        found.append(line)
    raise AssertionError(f"no {begin!r} to {end!r} in {page}")


def half_up(number: Fraction, places: int) -> Decimal:
    """Round as pupils do."""
    whole = int(abs(number) * 10**places + Fraction(1, 2))
    return Decimal(whole if number >= 0 else -whole).scaleb(-places)


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Sheet]:
    """Function that returns the worksheet of a trace, by its name."""
    folder = tmp_path_factory.mktemp("sheets")
    made: dict[tuple[str, str], Sheet] = {}

    def make(name: str, paper: str = "a4") -> Sheet:
        if (name, paper) not in made:
            trace = MADE[name]() if name in MADE else trace_of_kind(name)
            file = folder / "trace.safetensors"
            trace.save(file)
            target = folder / f"{len(made)}.pdf"
            request = render_request((), file, folder, theme="print")
            assert make_worksheet(request, target, paper, exercises=True)
            document = PdfReader(target)
            pages = [page.extract_text() for page in document.pages]
            made[name, paper] = Sheet(trace, pages, document)
        return made[name, paper]

    return make


# What pupils calculate


class Match(NamedTuple):
    """A table of a dot product: the key's word, the names of the columns, and three lines."""

    word: str
    top: str
    query: list[Decimal]
    key: list[Decimal]
    products: list[Decimal]


def matches(page: str) -> list[Match]:
    tables = re.findall(
        r"asks, “(.*?)” answers\n(channel .*)\nquery of “.*?”(.*)\nkey of “.*?”(.*)\nproducts(.*)",
        page,
    )
    return [Match(word, top, *map(numbers_in, lines)) for word, top, *lines in tables]


@pytest.mark.parametrize("name", ALL)
def test_who_multiplies_and_adds_finds_the_scores(sheet: Callable[..., Sheet], name: str) -> None:
    exercise, exercise_2, solution = sheet(name).pages
    factor = Fraction(1)
    if step := re.search(r"Divide the sum by ([\d.]+):", exercise):
        factor = 1 / Fraction(step[1])
    tables, solved = matches(exercise), matches(solution)
    assert len(tables) == len(solved) > 0
    scores = []
    for table, printed in zip(tables, solved, strict=True):
        given = iter(table.products)
        wanted = [a * b for a, b in zip(table.query, table.key, strict=True)]
        wanted.append(next(given))
        total = sum(wanted)
        wanted.append(Decimal(total))
        score = factor * Fraction(total)
        if "distance" in table.top:
            wanted.append(next(given))
            score += Fraction(wanted[-1])
        scores.append(half_up(score, 1))
        assert printed == table._replace(products=[*wanted, scores[-1]])
        assert next(given, None) is None
    if not sheet(name).trace.meta.score_cap:
        lines = softmax_lines(exercise_2)
        for table, score in zip(tables, scores, strict=True):
            here = [line.numbers for line in lines if line.name.endswith(f" {table.word}")]
            assert [score] in here, "the second page goes on with what was found on the first"
    if len(scores) > 1:
        equal = "Rounded, both match equally well." in solution
        assert equal == (scores[0] == scores[1])
        better = tables[scores.index(max(scores))].word
        assert equal or f"“{better}” matches better." in solution


def softmax_lines(page: str) -> list[Line]:
    lines = between(page, "word score ", "e to the power of|The shares add up")
    return [line_of(line) for line in lines]


def powers_of(page: str) -> dict[Decimal, Decimal]:
    """Return the table of powers of e."""
    top, *lines = between(page, "e to the power of", "3 ")
    tenths = numbers_in(top)
    table = {}
    for line in lines:
        whole, *entries = numbers_in(line)
        table |= {whole - t: entry for t, entry in zip(tenths, entries, strict=True)}
    return table


@pytest.mark.parametrize("name", ALL)
def test_who_looks_up_and_divides_finds_the_shares(sheet: Callable[..., Sheet], name: str) -> None:
    _, exercise, solution = sheet(name).pages
    table = powers_of(exercise)
    solved = {line.name: line.numbers for line in softmax_lines(solution)}
    given, words = [], []
    for line in softmax_lines(exercise):
        if re.search(r"^all others \(\d+\)$|^the sink$", line.name):
            given.append(line)
        elif line.name != "sum" and not line.masked:
            words.append(line)
    largest = max(line.numbers[0] for line in words)
    sign, amount = ("−", largest) if largest >= 0 else ("+", -largest)
    assert f"score {sign} {amount} " in exercise
    differences = [line.numbers[0] - largest for line in words]
    beyond = {each: Decimal("0.00") for each in differences if each not in table}
    assert ("Beyond the table it is 0.00." in exercise) == bool(beyond)
    powers = [(table | beyond)[difference] for difference in differences]
    total = sum(powers, start=Decimal(0)) + sum(line.numbers[0] for line in given)
    assert solved["sum"] == [total]
    shares = []
    for line, difference, power in zip(words, differences, powers, strict=True):
        shares.append(half_up(Fraction(power) / Fraction(total), 2))
        assert solved[line.name][:-1] == [*line.numbers, difference, power, shares[-1]]
    for line in given:
        shares.append(half_up(Fraction(line.numbers[0]) / Fraction(total), 2))
        assert solved[line.name][:-1] == [*line.numbers, shares[-1]]
    added = sum(shares)
    told = f"{added}, not to 1, because each is rounded." if added != 1 else "1."
    assert f"The shares add up to {told}\n" in solution


@pytest.mark.parametrize("name", ALL)
def test_who_weighs_and_adds_finds_the_output(sheet: Callable[..., Sheet], name: str) -> None:
    _, exercise, solution = sheet(name).pages
    shares = {line.name: line.numbers[-2] for line in softmax_lines(solution)[:-1]}
    lines = [line_of(line) for line in between(exercise, "word share", "sum")]
    solved = [line_of(line) for line in between(solution, "word share", "What differs")]
    sums = [Decimal(0)] * len(lines[0].numbers)
    for line, printed in zip(lines, solved, strict=False):
        share = shares[line.name]
        products = [share * number for number in line.numbers]
        pairs = [number for pair in zip(line.numbers, products, strict=True) for number in pair]
        assert printed == Line(line.name, [share, *pairs])
        sums = [a + b for a, b in zip(sums, products, strict=True)]
    assert solved[len(lines)] == Line("sum", sums)


# What the model has


@pytest.mark.parametrize("name", ALL)
def test_printed_numbers_are_those_of_the_trace_rounded(
    sheet: Callable[..., Sheet], name: str
) -> None:
    made = sheet(name)
    trace, meta = made.trace, made.trace.meta
    layer, head = meta.featured.layer, meta.featured.head
    kv_head = head * meta.n_kv_heads // meta.n_heads
    at, best = made.row
    query = trace.get(trace.used("q"), layer)[at, head].astype(float)
    keys = trace.get(trace.used("k"), layer)[:, kv_head].astype(float)
    pattern = trace.get("pattern", layer)[head, at].astype(float)
    values = trace.get("v", layer)[:, kv_head].astype(float)
    slope = trace["alibi_slopes"][head] if meta.positions == "alibi" else 0.0
    scores = keys @ query * meta.score_scale + slope * (np.arange(len(keys)) - at)
    if meta.score_cap:
        scores = np.array([meta.score_cap * tanh(score / meta.score_cap) for score in scores])
    exercise, second, solution = made.pages

    tables = matches(exercise)
    channels = list(map(int, numbers_in(tables[0].top)))
    own = [numbers_in(line) for line in re.findall("not rounded:(.*)[.]", solution)]
    for table, told in zip(tables, own, strict=True):
        here = [k for k in range(at + 1) if printable(meta.tokens[k]) == table.word]
        assert table is not tables[0] or best in here
        shown = sum(a * b for a, b in zip(table.query, table.key, strict=True))
        total = float(table.products[0] + shown)
        assert any(
            rounds(table.query, query[channels])
            and rounds(table.key, keys[k][channels])
            and rounds(
                [*table.products[1:], *told],
                [
                    *[slope * (k - at)] * ("distance" in table.top),
                    keys[k] @ query,
                    keys[k] @ query * meta.score_scale + slope * (k - at),
                ],
            )
            and abs(total - keys[k] @ query) * meta.score_scale < 0.06
            for k in here
        )
    leads = (
        [query * (keys[best] - keys[k]) for k in here] if len(tables) > 1 else [query * keys[best]]
    )
    assert any(sorted(lead)[-len(channels) :] == sorted(lead[channels]) for lead in leads), (
        "the channels that decide between the two"
    )

    lines = [line for line in softmax_lines(solution) if re.match(r"[\d–]+  |begin", line.name)]
    masked = {k for line in lines if line.masked for k in made.positions(line.name)}
    shown = {made.position(line.name): line.numbers for line in lines if not line.masked}
    window = trace.window(layer)
    first_read = max(0, at + 1 - window) if window else 0
    hidden = {0} if meta.has_bos and first_read > 1 else set()  # it stands in no sentence
    assert masked == {*range(first_read), *range(at + 1, meta.n_prompt)} - hidden
    for k, numbers in shown.items():
        assert rounds([numbers[0], numbers[-1]], [scores[k], pattern[k]])
    told = "The beginning token stands before every text." in " ".join(second.split())
    assert told == (meta.has_bos and first_read < 2), "it is read, or named as masked"
    read = range(first_read, at + 1)
    left_out = [k for k in read if k not in shown]
    assert max(pattern[left_out], default=0) <= min(pattern[list(shown)]), "the largest shares"
    first = made.view.layer.first
    for key in sorted(shown, key=lambda k: scores[k]):
        if first <= key != at and key != best and meta.tokens[key].strip().isalnum():
            assert printable(meta.tokens[key]) == tables[1].word, "the lowest score of these"
            break
    largest = float(max(numbers[0] for numbers in shown.values()))
    together = {
        f"all others ({len(left_out)})": np.exp(scores[left_out] - largest).sum(),
        "the sink": np.exp(trace.get("sinks", layer)[head] - largest) if meta.sinks else 0,
    }
    found = {line.name: line.numbers for line in softmax_lines(second)}
    for name, power in together.items():
        assert (name in found) == bool(power)
        assert not power or rounds(found[name], [power])

    z = trace.get("z", layer)[at, head].astype(float)
    (top,) = re.findall(r"^word share (.*)$", second, re.MULTILINE)
    chosen = list(map(int, numbers_in(top)))
    assert sorted(abs(z))[-len(chosen) :] == sorted(abs(z[chosen]))
    for name, numbers in map(line_of, between(second, "word share", "sum")):
        if name.startswith("all others"):
            wanted = pattern[left_out] @ values[left_out][:, chosen] / pattern[left_out].sum()
        else:
            wanted = values[made.position(name)][chosen]
        assert rounds(numbers, wanted)
        assert rounds(
            line_of(re.findall("\nthe model’s own (.*)", solution)[-1]).numbers, z[chosen]
        )


def rounds(printed: list[Decimal], exact: Any) -> bool:
    """Whether numbers are printed as they are, to half of their last digit."""
    return all(
        abs(float(number) - wanted) <= 0.5001 * 10.0 ** number.as_tuple().exponent
        for number, wanted in zip(printed, exact, strict=True)
    )


def squares_of(page: PageObject) -> float:
    """Return the area that squares cover, in square points."""
    path = rb"/Pattern cs/p\d+ scn 0 0 m ([\d.]+) 0 l \S+ ([\d.]+) l"
    sides = re.findall(path, page.get_contents().get_data())
    return sum(float(width) * float(height) for width, height in sides)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("paper", PAPER_SIZES)
def test_there_are_two_pages_of_exercises_and_one_of_solutions(
    sheet: Callable[..., Sheet], name: str, paper: str
) -> None:
    made = sheet(name, paper)
    titles = ["How well do two words match?", "From scores to shares", "Solutions"]
    assert [any(title in page for title in titles) for page in made.pages] == [True] * 3
    for page, text, title in zip(made.document.pages, made.pages, titles, strict=True):
        assert title in text
        assert made.trace.meta.model in text
        assert ("random weights" in text) == made.trace.meta.random_weights
        width, height = page.mediabox[2:]
        wanted = [72 / 25.4 * side for side in PAPER_SIZES[paper]]
        assert (width, height) == pytest.approx(wanted, abs=0.5)
    first, second, solved = map(squares_of, made.document.pages)
    assert second > first / 2, "both pages have room to calculate"
    assert solved == 0


# Scenes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trace, a scene that asks, and the first worksheet of it."""
    folder = tmp_path_factory.mktemp("worksheets")
    make_trace(n_tokens=4).save(folder / "trace.safetensors")
    (folder / "asking.py").write_text(ASKING)
    return folder


def make(calling: Calling, folder: Path, *arguments: object) -> PdfReader:
    """Run the command; return the worksheet that it names."""
    done = calling(
        *("worksheet", "--trace", "trace.safetensors", "--quality", "draft", *arguments),
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    return PdfReader(folder / done.stdout.strip())


def widths_of_pictures(page: PageObject) -> list[float]:
    """Return how wide each picture of a page is, in mm."""
    drawn = re.findall(
        rb"([\d.]+) 0 0 [-\d.]+ \S+ \S+ cm\s*/\w+ Do", page.get_contents().get_data()
    )
    return [float(width) * 25.4 / 72 for width in drawn]


def test_each_of_two_questions_has_a_page_and_answers_come_last(
    calling: Calling, folder: Path
) -> None:
    document = make(calling, folder, "asking.py")
    assert (folder / "worksheets" / "asking.pdf").exists()
    *questions, answers = (page.extract_text() for page in document.pages)
    for page, question, answer in zip(questions, SAID[1::2], SAID[2::2], strict=True):
        assert page.index("Asking") < page.index(question) < page.index("Why do you think so?")
        assert answers.index(question) < answers.index(answer)
        assert "Name" in page
        assert not [said for said in SAID if said in page and said != question], "it asks only"
    assert re.search(r"5\s+4\nWhy", questions[0]), "the answers to choose from"
    assert "Name" not in answers
    widths = [widths_of_pictures(page) for page in document.pages]
    assert [len(found) for found in widths] == [1, 1, 2]
    assert min(map(min, widths)) > 120, "their letters can be read"
    alt_texts = list(alt_texts_of(document.trailer["/Root"]["/StructTreeRoot"]))
    assert [text.partition(".")[0] for text in alt_texts] == ["Opening", "Sides", "Sides", "Others"]
    assert [mark.title for mark in document.outline] == ["Questions", "Answers"]
    assert document.metadata
    assert (document.metadata.title, document.metadata.author) == ("Asking", FILM_TITLE)


def test_what_comes_from_elsewhere_does_not_lead_to_a_question(
    calling: Calling, folder: Path
) -> None:
    notes = """
    def provenance_notes(self):
        return self.trace.meta.model if self.playing != "others" else "published", ""

    def variant("""
    (folder / "mixed.py").write_text(ASKING.replace("\n    def variant(", notes))
    document = make(calling, folder, "mixed.py")
    assert [len(widths_of_pictures(page)) for page in document.pages] == [1, 2], (
        "no picture of the model leads to published sizes; both questions have room on a page"
    )
    questions, answers = (page.extract_text() for page in document.pages)
    assert "American\n2\nflag\n3" in questions, "the sentence that the model reads"
    model = Trace.load(folder / "trace.safetensors").meta.model
    for page, said in ((questions, SAID[1::2]), (answers, SAID[2::2])):
        assert model in page
        assert all(text in page for text in said)


def test_the_right_answer_is_ticked_among_the_answers_alone(calling: Calling, folder: Path) -> None:
    pages = make(calling, folder, "asking.py", "--out", "ticked.pdf").pages
    drawn = [page.get_contents().get_data().split() for page in pages]
    assert [operators.count(b"B") for operators in drawn] == [0, 0, 1], "filled boxes with an edge"


def test_a_scene_that_asks_nothing_is_described(calling: Calling, folder: Path) -> None:
    document = make(calling, folder, "asking.py", "--no-questions", "--out", "plain.pdf")
    page, answers = (page.extract_text() for page in document.pages)
    assert "What does this picture show?" in page
    assert SAID[-1] not in page
    assert SAID[-1] in answers


def test_all_is_exercises_and_scenes_and_then_all_solutions(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filmkit.commands.options import scenes_named

    monkeypatch.chdir(folder)
    story = scenes_named(["asking.py"])
    monkeypatch.setattr(options, "whole_story", lambda compare: story)
    monkeypatch.setattr("filmkit.render.rehearsals.with_fitting_scenes", lambda request: request)
    document = make(calling, folder, "--all", "--paper", "letter")
    titles = ["How well", "From scores", "Questions", SAID[3], "Solutions", "Answers"]
    for page, title in zip(document.pages, titles, strict=True):
        assert title in page.extract_text()
    assert (folder / "worksheets" / "all.letter.pdf").exists()


# The command


def test_a_worksheet_is_the_same_each_time_and_for_paper(calling: Calling, folder: Path) -> None:
    make(calling, folder)
    file = folder / "worksheets" / "exercises.pdf"
    before = file.read_bytes()
    make(calling, folder, "--theme", "print", "--out", "again.pdf")
    assert (folder / "again.pdf").read_bytes() == before
    make(calling, folder, "--theme", "dark")
    assert (folder / "worksheets" / "exercises.dark.pdf").read_bytes() != before
    found = PdfReader(file)
    root: Any = found.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert not any("Date" in key for key in found.metadata or {})


def test_another_layer_and_head_are_shown(calling: Calling, folder: Path) -> None:
    document = make(calling, folder, "--layer", 0, "--head", 1, "--out", "other.pdf")
    text = document.pages[0].extract_text()
    assert "layer 0, head 1" in text
    trace = Trace.load(folder / "trace.safetensors")
    view = LayerView.of_prompt(trace, 0, show_first_token=False).head(1)
    query, key = best_match(view)
    (table, *_) = matches(text)
    channels = list(map(int, numbers_in(table.top)))
    assert rounds(table.query, view.q_used[query][channels])
    assert rounds(table.key, view.k_used[key][channels])


@pytest.mark.parametrize(
    ("language", "words"), [("fr", ["Un produit scalaire", "−", ","]), ("zh", ["点积"])]
)
def test_it_speaks_each_language(
    calling: Calling, folder: Path, language: str, words: list[str]
) -> None:
    document = make(calling, folder, "--language", language)
    assert (folder / "worksheets" / f"exercises.{language}.pdf").exists()
    texts = [page.extract_text() for page in document.pages]
    assert len(texts) == 3
    assert all(word in texts[0] for word in words)
    decimal = "," if language == "fr" else "."
    assert re.search(rf"\d{re.escape(decimal)}\d", texts[1])
    assert "{" not in "".join(texts)
    assert document.trailer["/Root"]["/Lang"] == language


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["asking.py", "--all"], 2, ["not both"]),
        (["--out", "sheet.png"], 2, ["--out", ".pdf"]),
        (["--paper", "a5"], 2, ["--paper", "letter"]),
        (["--layer", "7"], 2, ["--layer", "0 to 1"]),
        (["--head", "9"], 2, ["--head", "0 to 3"]),
        (["--language", "xx"], 2, ["there is no language 'xx'"]),
        (["scene_milk"], 2, ["scene_m"]),
        (["--trace", "missing.safetensors"], 1, ["missing.safetensors"]),
        (["--out", "asking.py/sheet.pdf"], 1, ["asking.py"]),
        (["--out", "taken.pdf"], 1, ["taken.pdf"]),
    ],
)
def test_a_wrong_call_makes_nothing(
    calling: Calling, folder: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    (folder / "taken.pdf").mkdir(exist_ok=True)
    before = sorted(folder.rglob("*"))
    done = calling("worksheet", "--trace", "trace.safetensors", *arguments, folder=folder)
    assert done.returncode == code, done.stderr
    assert all(word in done.stderr.splitlines()[-1] for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert "mistake in the program" not in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_a_prompt_that_is_too_long_is_refused_in_one_line(calling: Calling, tmp_path: Path) -> None:
    make_trace(n_tokens=60).save(tmp_path / "trace.safetensors")
    done = calling("worksheet", "--trace", "trace.safetensors", folder=tmp_path)
    assert_one_line(done, 1, "60 tokens")
    assert not list(tmp_path.rglob("*.pdf"))


def test_a_full_disk_leaves_the_worksheet_of_before(
    calling: Calling, folder: Path, full_disk: None
) -> None:
    (folder / "kept.pdf").write_text("before")
    done = calling(
        *("worksheet", "--trace", "trace.safetensors", "--out", "kept.pdf"),
        folder=folder,
    )
    assert_one_line(done, 1, "kept.pdf")
    assert (folder / "kept.pdf").read_text() == "before"
    assert not list(folder.glob("*.part*"))


def test_what_no_font_has_is_said_once_and_drawn_as_its_code(
    calling: Calling, tmp_path: Path
) -> None:
    words = ["One", " \U00013000", " \U00013001", " end"]
    make_trace(len(words), words=words).save(tmp_path / "trace.safetensors")
    done = calling("worksheet", "--trace", "trace.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("No font here has U+13000, U+13001: what it lacks is drawn as") == 1
    assert done.stderr.count("No font") == 1
    pages = PdfReader(tmp_path / "worksheets" / "exercises.pdf").pages
    assert "13000" in pages[0].extract_text()
