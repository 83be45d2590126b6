"""A worksheet as a PDF: exercises to do by hand, and questions of scenes with their pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from extract.trace import Trace
from filmkit.core.language import QUESTION, _
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import use_theme
from filmkit.core.view import LayerView
from filmkit.decks.exercise_pages import Block, Page, exercise_pages
from filmkit.decks.pdf import typeset
from filmkit.decks.slides import Slide, drawn_slides, title_of
from filmkit.render.request import RenderRequest, load_trace, report_files

__all__ = ["make_worksheet"]


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
    pages: list[Page] = []
    pictures: dict[str, Image.Image] = {}
    with use_theme(settings.theme, settings.palette, background=settings.background) as theme:
        if exercises:
            view = LayerView.of_prompt(
                trace, settings.layer, show_first_token=settings.show_first_token
            )
            pages += exercise_pages(view.head(settings.head))
        if request.scenes:
            asked = {entry: _asked(request, entry, trace) for entry in request.scenes}
            slides = _slides(request, trace, asked)
            if not slides:
                return False
            pages += [
                _question_page(entry, beats, slides, pictures)
                for entry, some in asked.items()
                for beats in some
            ]
            pages.append(_answers(asked, slides, pictures))
        document = {
            "title": _("Attention by hand") if exercises else title_of(request.scenes),
            "paper": paper,
            "pages": [vars(page) for page in sorted(pages, key=lambda page: page.solved)],
            "words": {"name": _("Name"), "date": _("Date")},
        }
        typeset(target, "worksheet.typ", theme, document, pictures)
    report_files(request, [target])
    return True


Asked = tuple[str, str, str]
"""The beats whose picture is seen, that asks, and that answers; the last two are one for a scene
that asks nothing, which says what is seen."""

Slides = dict[tuple[SceneEntry, str], Slide]


def _asked(request: RenderRequest, entry: SceneEntry, trace: Trace) -> list[Asked]:
    """Return the questions of a scene, each with the beat before, whose picture tells no answer."""
    names = request.beat_names(entry, trace)
    found = [
        (names[max(0, i - 1)], name, name.removeprefix(QUESTION))
        for i, name in enumerate(names)
        if name.startswith(QUESTION)
    ]
    cover = entry.cover if entry.cover in names else names[-1]
    return found or [(cover, cover, cover)]


def _slides(request: RenderRequest, trace: Trace, asked: dict[SceneEntry, list[Asked]]) -> Slides:
    """Draw the beats of all questions; return none if a scene could not be rehearsed."""
    selection = {
        entry: tuple(dict.fromkeys(name for beats in some for name in beats))
        for entry, some in asked.items()
    }
    drawn = drawn_slides(replace(request, selection=selection), trace)
    return {(slide.entry, slide.name.partition("_")[2]): slide for slide in drawn}


def _question_page(
    entry: SceneEntry, asked: Asked, slides: Slides, pictures: dict[str, Image.Image]
) -> Page:
    """Return the page of a question: what is seen and said before it, and room to answer."""
    seen, asks, answers = (slides[entry, name] for name in asked)
    blocks = [_picture(seen, pictures)]
    if seen is not asks:
        blocks.append({"kind": "text", "text": seen.narration})
    blocks.append(
        {
            "kind": "question",
            "text": _question(asks, answers),
            "choices": asks.choices,
            "right": None,
            "reason": "" if asks is answers else _("Why do you think so?"),
        }
    )
    return Page(entry.shown_title, blocks)


def _answers(
    asked: dict[SceneEntry, list[Asked]], slides: Slides, pictures: dict[str, Image.Image]
) -> Page:
    """Return the page of the answers to all questions of some scenes."""
    blocks: list[Block] = []
    for entry, some in asked.items():
        for _seen, asking, answering in some:
            asks, answers = slides[entry, asking], slides[entry, answering]
            blocks.append(
                {
                    "kind": "answer",
                    "scene": entry.shown_title,
                    "question": _question(asks, answers),
                    "choices": asks.choices,
                    "right": asks.answer,
                    "text": answers.narration,
                    "picture": _picture(answers, pictures),
                }
            )
    return Page(_("Answers"), blocks, solved=True)


def _question(asks: Slide, answers: Slide) -> str:
    if asks is answers:
        return _("What does this picture show? Say it in your own words.")
    return asks.narration


def _picture(slide: Slide, pictures: dict[str, Image.Image]) -> Block:
    """Return the picture of a slide as a block, and keep it."""
    file = f"{slide.entry.slug}-{slide.name}.png"
    pictures[file] = slide.picture
    return {"kind": "picture", "file": file, "alt": slide.alt}
