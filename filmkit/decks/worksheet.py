"""A worksheet as a PDF: exercises to do by hand, and questions of scenes with their pictures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from extract.trace import Trace
from filmkit.core.language import QUESTION, _
from filmkit.core.model_places import origin_notes
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import use_theme
from filmkit.core.token_text import printable
from filmkit.core.view import LayerView
from filmkit.decks.exercise_pages import exercises_on_paper
from filmkit.decks.pdf import typeset
from filmkit.decks.slides import Slide, drawn_slides, title_of
from filmkit.render.request import RenderRequest, load_trace, report_files, report_unknown

__all__ = ["make_worksheet"]

LEADING = 2  # beats before a question that lead to it


def make_worksheet(request: RenderRequest, target: Path, paper: str, *, exercises: bool) -> bool:
    """Write a worksheet; return whether everything succeeded.

    Pages with solutions come last, so that a teacher can leave them out.

    Parameters
    ----------
    request
        The trace, and the scenes whose questions are asked.
    target
        File of the worksheet.
    paper
        Size of the paper, as Typst calls it.
    exercises
        Whether it begins with the exercises to do by hand.

    Raises
    ------
    StageError
        If the prompt has too few or too many tokens.
    OutputError
        If the file cannot be written.
    """
    trace, settings = load_trace(request), request.settings
    pictures: dict[str, Image.Image] = {}
    view = partial(
        LayerView.of_prompt, trace, settings.layer, show_first_token=settings.show_first_token
    )
    with use_theme(settings.theme, settings.palette, background=settings.background) as theme:
        document: dict[str, Any] = {
            "title": _("Attention by hand") if exercises else title_of(request.scenes),
            "paper": paper,
            "exercises": exercises_on_paper(view().head(settings.head)) if exercises else None,
            "questions": [],
            "traced": False,
            "source": "  ·  ".join([*origin_notes(trace.meta), trace.meta.model]),
        }
        if request.scenes:
            asked = [beats for entry in request.scenes for beats in _asked(request, entry, trace)]
            slides = _slides(request, trace, asked)
            if not slides:
                return False
            model = trace.meta.model
            questions = [_question(beats, slides, pictures, model) for beats in asked]
            # What published sizes answer needs no sentence.
            document["traced"] = any(question["traced"] for question in questions)
            document["questions"] = questions
        if exercises or document["traced"]:
            document["sentence"] = _sentence(view())
        unknown = typeset(target, "worksheet.typ", theme, document, pictures)
        report_unknown(request, unknown, told=trace)
    report_files(request, [target])
    return True


def _sentence(view: LayerView) -> dict[str, Any]:
    """Return the words that are drawn, with their numbers, and whether there are some before."""
    bos = view.trace.meta.has_bos
    words = map(printable, view.words)
    return {"words": [*enumerate(words, view.first + 1 - bos)], "cut": view.first > bos}


class Asked(NamedTuple):
    """A question of a scene.

    Attributes
    ----------
    entry
        The scene.
    before
        The beats before, at most two.
    asks, answers
        The beats that ask and answer; both are one for a scene that asks nothing: there it is said
        what is seen.
    """

    entry: SceneEntry
    before: tuple[str, ...]
    asks: str
    answers: str


Slides = dict[tuple[SceneEntry, str], Slide]


def _asked(request: RenderRequest, entry: SceneEntry, trace: Trace) -> list[Asked]:
    """Return the questions of a scene."""
    names, scene = request.beat_names(entry, trace), entry.load()
    found = [
        Asked(
            entry,
            tuple(n for n in names[max(0, i - LEADING) : i] if not n.startswith(QUESTION)),
            name,
            scene.answering_beat(name, trace),
        )
        for i, name in enumerate(names)
        if name.startswith(QUESTION)
    ]
    cover = entry.cover if entry.cover in names else names[-1]
    return found or [Asked(entry, (cover,), cover, cover)]


def _slides(request: RenderRequest, trace: Trace, asked: list[Asked]) -> Slides:
    """Draw the beats of all questions; return none if a scene could not be rehearsed."""
    selection: dict[SceneEntry, dict[str, None]] = {}
    for beats in asked:
        names = (*beats.before, beats.asks, beats.answers)
        selection.setdefault(beats.entry, {}).update(dict.fromkeys(names))
    chosen = {entry: tuple(names) for entry, names in selection.items()}
    drawn = drawn_slides(replace(request, selection=chosen), trace)
    return {(slide.entry, slide.name.partition("_")[2]): slide for slide in drawn}


def _question(
    asked: Asked, slides: Slides, pictures: dict[str, Image.Image], model: str
) -> dict[str, Any]:
    """Return a question with what leads to it, its answer, and whether the model's numbers give it.

    What was seen before leads to it if its numbers come from where those of the answer do. What was
    said before is left out: it goes from one picture to the next.
    """
    entry, described = asked.entry, asked.asks == asked.answers
    asks, answers = slides[entry, asked.asks], slides[entry, asked.answers]
    before = [slides[entry, name] for name in asked.before]
    seen = [slide for slide in before if slide.source == answers.source]
    task = _("What does this picture show? Say it in your own words.")
    return {
        "scene": entry.shown_title,
        "seen": [_picture(slide, pictures) for slide in seen],
        "text": task if described else asks.narration,
        "choices": asks.choices,
        "right": asks.answer,
        "why": "" if described else _("Why do you think so?"),
        "picture": _picture(answers, pictures),
        "answer": answers.narration,
        "traced": model in answers.source,
    }


def _picture(slide: Slide, pictures: dict[str, Image.Image]) -> dict[str, str]:
    """Keep the picture of a slide; return its file and what it shows."""
    file = f"{slide.entry.slug}-{slide.name}.png"
    pictures[file] = slide.picture
    return {"file": file, "alt": slide.alt}
