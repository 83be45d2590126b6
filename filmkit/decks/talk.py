"""What a server shows while a deck is given as a talk; :mod:`filmkit.decks.remote` serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from filmkit.core.language import QUESTION, _, current_language
from filmkit.core.theme import DARK
from filmkit.decks import DeckOptions
from filmkit.decks.slides import Slide
from filmkit.decks.votes import Question
from filmkit.decks.web import WebDeck, as_json, render_page
from filmkit.serving.refusal import refusal_page

__all__ = ["TELEPHONE_SCRIPTS", "VOTING_SCRIPTS", "Talk"]

TELEPHONE_SCRIPTS = (
    *("filled.js", "page.js", "times.js", "session.js"),
    *("votes.js", "telephone.js"),
)
VOTING_SCRIPTS = ("filled.js", "page.js", "session.js", "vote.js")
"""Templates of the scripts of both pages, in the order in which they run."""

WIDEST = 960  # pixels of a picture on a telephone


@dataclass(frozen=True)
class Talk:
    """A deck as its server shows it.

    Attributes
    ----------
    screen, telephone, voting, refusal
        The pages: the deck itself, the speaker's telephone, one of the audience, and that of
        whoever has a wrong code, or an old one.
    films
        Films beside the deck's page, by their addresses in it.
    pictures
        The slides as small pictures, WebP, by their file names, which say all about them.
    slides
        How many slides it has.
    questions
        What it asks, by the numbers of the slides from 0.
    """

    screen: str
    telephone: str
    voting: str
    refusal: str
    films: Mapping[str, Path]
    pictures: Mapping[str, bytes]
    slides: int
    questions: Mapping[int, Question]

    @classmethod
    def of(cls, slides: Sequence[Slide], deck: WebDeck, title: str, options: DeckOptions) -> Talk:
        """Prepare the talk of a deck that was written.

        Parameters
        ----------
        slides, deck
            The slides, and the deck that shows them.
        title
            Title of the deck.
        options
            How long the talk may take.
        """
        small = [_small(slide.picture) for slide in slides]
        names = [f"{sha256(picture).hexdigest()[:16]}.webp" for picture in small]
        document: dict[str, Any] = {
            "minutes": options.minutes,
            "slides": [
                {
                    "title": slide.title,
                    # The page itself says what is next, and how long the talk takes.
                    "notes": slide.notes.rpartition("\n\n")[0] or slide.notes,
                    "alt": slide.alt,
                    "picture": f"pictures/{name}",
                }
                for slide, name in zip(slides, names, strict=True)
            ],
        }
        questions = {
            number: Question(
                slide.narration, slide.choices, slide.answer, _is_answered_next(slides, number)
            )
            for number, slide in enumerate(slides)
            if slide.choices
        }
        asked = "".join(text for q in questions.values() for text in (q.text, *q.choices))
        return cls(
            screen=deck.served(),
            telephone=_page("telephone.html", TELEPHONE_SCRIPTS, title, document, asked),
            voting=_page("vote.html", VOTING_SCRIPTS, title, {"title": title}, asked),
            refusal=refusal_page(
                _("This code is not valid"),
                _("Scan the code again, or type its whole address."),
                current_language().tag,
            ),
            films=deck.films,
            pictures=dict(zip(names, small, strict=True)),
            slides=len(slides),
            questions=questions,
        )


def _page(
    template: str, scripts: Sequence[str], title: str, document: dict[str, Any], asked: str
) -> str:
    # Dark in every theme: a lecture hall is, and a light telephone would be seen in it.
    return render_page(
        template, DARK, told=asked, title=title, scripts=scripts, document=as_json(document)
    )


def _small(picture: Image.Image) -> bytes:
    small = picture.copy()
    small.thumbnail((WIDEST, WIDEST))
    buffer = BytesIO()
    small.save(buffer, format="webp", quality=80)
    return buffer.getvalue()


def _is_answered_next(slides: Sequence[Slide], number: int) -> bool:
    """Return whether the beat that answers a question follows it: a deck may leave it out."""
    names = [slide.name.partition("_")[2] for slide in slides[number : number + 2]]
    return len(names) == 2 and names[0] == QUESTION + names[1]
