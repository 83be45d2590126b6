"""Rules for the words of all scenes and pages: each term and each note means one thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.language import QUESTION
from filmkit.core.stage import Stage
from filmkit.render.manim_config import changed_config
from filmkit.tools.messages import catalogue_sources, messages_of
from scenes.registry import SCENES
from tests.support.checkout import SHIPPED
from tests.support.figures import FIGURE
from tests.support.references import reference_of

MEANT = 10  # a number that is lower is too common to mean one thing
MODELS_WITH_DIGITS = re.compile(r"\b(?:DeepSeek|GPT|V\d)[\w.-]*|\b\d+B\b")
QUIET = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """All scenes of the film, played."""
    trace = Trace.load(SHIPPED)
    with changed_config(QUIET):
        stages = [entry.load()(trace) for entry in SCENES]
        for stage in stages:
            stage.render()
    return stages


def figures(text: str) -> set[str]:
    """Return the numbers in a text that may mean something."""
    found = FIGURE.findall(MODELS_WITH_DIGITS.sub(" ", text))
    return {figure for figure in found if float(figure.replace(",", "")) >= MEANT}


def meanings(stage: Stage, figure: str) -> set[object]:
    """Return what a number means in a scene: what computes it again."""
    facts = {fact.name for fact in stage.ledger if figure in FIGURE.findall(fact)}
    return {reference_of(stage, name) for name in facts}


def wrong_answers(stage: Stage, asked: BeatRecord) -> Iterator[tuple[str, object]]:
    """Yield the numbers of the wrong answers of a question, and what computes each again."""
    mark = getattr(stage, asked.name.removeprefix(QUESTION)).beat
    offered = {n for text in mark.questions.values() for n in re.findall(r"\[\{(\w+)\}\]", text)}
    for name in sorted(offered - {mark.answer}):
        for figure in figures(stage.facts[name]):
            yield figure, reference_of(stage, name)


def test_a_wrong_answer_is_no_number_that_means_something_else(stages: list[Stage]) -> None:
    """Who has heard a number in the film believes it, and would choose it for that."""
    said = [
        (stage, record, figure)
        for stage in stages
        for record in stage.beats
        for figure in figures(record.narration)
    ]
    n_answers, wrong = 0, []
    for stage in stages:
        for asked in (record for record in stage.beats if record.choices):
            for answer, meaning in wrong_answers(stage, asked):
                n_answers += 1
                wrong += [
                    f"{asked.name}: {answer}, which is said in {record.name}"
                    for other, record, figure in said
                    if figure == answer
                    and record is not asked
                    and meaning not in meanings(other, figure)
                ]
    assert n_answers >= 8
    assert wrong == []


@cache
def english_texts() -> tuple[str, ...]:
    """Return every English text of the film and of its pages."""
    messages = (m for files in catalogue_sources().values() for m in messages_of(files))
    ids = (m.id if isinstance(m.id, tuple) else (m.id,) for m in messages)
    return tuple(text for texts in ids for text in texts)


SAID_TOGETHER = {
    # Weights are there first in any other, and fill more of it than caches do.
    "a GPU that so many tokens fill": (
        r"(?s)(?=.*\{)(?=.*\bGPU\b).*\b(full|fills?)\b",
        r"empty GPU",
    ),
    "every number": (r"Every number in this film", r"worked out"),
    "what a latent takes": (r"\{kilobytes\}", r"with the part for position"),
    "what DeepSeek has published": (
        r"\{(saving|cache|arithmetic)\} (?!less)",
        r"DeepSeek( says|’s)",
    ),
    "how much less there is": (r"times (smaller|as much)", r"\b(than|against|as much as|share)\b"),
}
"""What a text speaks of, and what it has to say with it, lest it say something false."""


@pytest.mark.parametrize(
    ("spoken", "needed"),
    SAID_TOGETHER.values(),
    ids=[name.replace(" ", "-") for name in SAID_TOGETHER],
)
def test_what_is_only_half_of_a_truth_is_not_said_alone(spoken: str, needed: str) -> None:
    texts = [text for text in english_texts() if re.search(spoken, text)]
    assert texts
    assert [text for text in texts if not re.search(needed, text)] == []
