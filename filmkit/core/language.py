"""The language of what is shown and said.

English is the source: words stand in the code as they are, marked for translation by the names that
every gettext tool knows::

    Label(_("queries"))
    Label(_("layer {layer}, head {head}", layer=3, head=1))
    Label(ngettext("{number} head", "{number} heads", count))

Translations are GNU gettext catalogues, ``locale/CODE.po`` in the folder of a scene and in
``filmkit/words/``. A scene's own comes first, then that of the kit, then English. What is narrated
is looked up by :func:`narrated` and is not marked: it stands beside the beats.

What the model read and said is never translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from filmkit.core.errors import StageError
from filmkit.core.fonts import is_east_asian
from filmkit.core.holding import holding

__all__ = [
    "ALPHABETIC",
    "BEAT_TITLE",
    "DEFAULT_LANGUAGE",
    "ENGLISH",
    "KIT_CATALOGUES",
    "NO_TAG",
    "N_",
    "QUESTION",
    "Language",
    "_",
    "beat_title",
    "catalogue",
    "catalogue_folder",
    "current_language",
    "known_languages",
    "narrated",
    "narration_context",
    "ngettext",
    "read_catalogue",
    "title_of_beat",
    "use_language",
]

DEFAULT_LANGUAGE = "en"

KIT_CATALOGUES = Path(__file__).parents[1] / "words" / "locale"
"""The kit's own catalogues, CODE.po; see :func:`known_languages`."""

BEAT_TITLE = "title of a beat"
"""Context of the messages that are titles of beats; see :func:`title_of_beat`."""

QUESTION = "ask_"
"""Begins the name of the question that a beat asks; the name of the beat follows."""

CHOICE = "choice"
"""Ends the context of the message that says how an answer is written where it stands alone."""

TITLE = "title"
"""Ends the context of the message that is the title of a beat's picture."""

CATALOGUES, NARRATION = "locale", "narration"

NO_TAG = "\N{WORD JOINER}"
"""Unseen; behind the bracket of a fact such as "<key>" it keeps it from being a headline's tag."""

TAG = re.compile(r"<(?=/?\w+>)")


class _OwnWords(str):
    """A text of the scene: where it is filled into another one, its tags stay tags."""

    __slots__ = ()


ALPHABETIC, EAST_ASIAN = 17.0, 9.0
"""Maximum speed of captions, in characters per second, beside a moving picture."""

# Languages that write 1234 but 12.345: CLDR's minimumGroupingDigits, which Babel does not read.
GROUPED_FROM_FIVE_DIGITS = {"be", "bg", "es", "es_ES", "et", "hu", "hy", "ia", "ie", "it"}
GROUPED_FROM_FIVE_DIGITS |= {"ka", "lv", "pl", "pt_PT", "sl", "sq"}

CHARACTERS_A_WORD = 1.6  # of Chinese, Japanese or Korean: about so many take as long as a word
ABBREVIATIONS = re.compile(r"\b(gpu|gqa|kv|mha|mla|mqa)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Language:
    """A language, and what is different in it.

    Attributes
    ----------
    code
        Its code of CLDR, such as "fr", "zh" or "pt_BR".
    """

    code: str = DEFAULT_LANGUAGE

    @cached_property
    def locale(self) -> Any:
        """Its :class:`babel.Locale`: how numbers are written."""
        # Loaded here: English alone needs neither Babel's time nor its tables.
        from babel import Locale

        return Locale.parse(self.code)

    @property
    def main_code(self) -> str:
        """Its code without that of a country, such as "pt" for "pt_BR"."""
        return self.code.partition("_")[0]

    @property
    def english_name(self) -> str:
        """Its name in English."""
        return str(self.locale.english_name)

    @property
    def name(self) -> str:
        """Its name in the language itself."""
        return str(self.locale.get_display_name(self.code))

    @property
    def tag(self) -> str:
        """Its code as web pages and browsers write it, such as "pt-BR"."""
        return self.code.replace("_", "-")

    @property
    def three_letters(self) -> str:
        """Its code of three letters, which films name it by; "und" if it has none."""
        if self.code == DEFAULT_LANGUAGE:
            return "eng"
        from babel.core import get_global

        aliases = get_global("language_aliases").items()
        return next((alias for alias, code in aliases if code == self.locale.language), "und")

    def decimal(self, value: float, digits: int = 0) -> str:
        """Return a number with ``digits`` digits after its point, and without its sign."""
        rounded = f"{abs(value):,.{digits}f}"
        if self.code == DEFAULT_LANGUAGE:
            return rounded
        from babel.numbers import format_decimal

        pattern = "#,##0." + digits * "0" if digits else "#,##0"
        number = Decimal(rounded.replace(",", ""))
        grouped = number >= 10_000 or self.code not in GROUPED_FROM_FIVE_DIGITS
        return format_decimal(number, pattern, self.locale, group_separator=grouped)

    def percent(self, number: str) -> str:
        """Return a number with the sign of percent where this language puts it."""
        if self.code == DEFAULT_LANGUAGE:
            return f"{number}%"
        return str(self.locale.percent_formats[None].pattern).replace("#,##0", number)

    @property
    def is_east_asian(self) -> bool:
        """Whether it is written in Chinese, Japanese or Korean characters."""
        return self.code != DEFAULT_LANGUAGE and is_east_asian(self.name)

    @property
    def space(self) -> str:
        """What stands between two sentences, or two lines of one: a blank, or nothing."""
        return "" if self.is_east_asian else " "

    @property
    def letters_a_second(self) -> float:
        """Maximum reading speed beside a moving picture, in characters per second."""
        return EAST_ASIAN if self.is_east_asian else ALPHABETIC

    def word_count(self, text: str) -> float:
        """Return how many words long a text is when it is spoken.

        Chinese, Japanese and Korean characters count as a fraction of a word each.
        """
        characters = sum(map(is_east_asian, text))
        others = "".join(" " if is_east_asian(letter) else letter for letter in text)
        words = sum(any(map(str.isalnum, word)) for word in others.split()) if characters else 0
        return characters / CHARACTERS_A_WORD + words if characters else len(text.split())


ENGLISH = Language()
"""The language of the code."""


@dataclass(frozen=True)
class _Active:
    """The language in use, and its catalogues in the order in which they are asked."""

    language: Language
    catalogues: tuple[NullTranslations, ...] = ()


_ENGLISH = _Active(ENGLISH)
_current: ContextVar[_Active] = ContextVar("language", default=_ENGLISH)


def current_language() -> Language:
    """Return the language that is in use now."""
    return _current.get().language


def known_languages(*folders: Path) -> tuple[str, ...]:
    """Return the codes of English, and of the languages that the kit is translated into.

    Parameters
    ----------
    *folders
        Folders of catalogues: languages that all of them have are known too.
    """
    kit, *own = ({file.stem for file in f.glob("*.po")} for f in (KIT_CATALOGUES, *folders))
    return (DEFAULT_LANGUAGE, *sorted(kit.union(set.intersection(*own) if own else ())))


def catalogue_folder(module_file: str | Path) -> Path:
    """Return the folder of the catalogues that belong to a module; it may not exist."""
    return Path(module_file).resolve().parent / CATALOGUES


@contextmanager
def use_language(code: str, *folders: Path) -> Iterator[Language]:
    """Use a language for everything that is made inside the ``with`` block, and yield it.

    Parameters
    ----------
    code
        One of :func:`known_languages`. What no catalogue translates stays English.
    *folders
        Folders of catalogues that are asked before that of the kit, in this order.
    """
    found = (catalogue(folder, code) for folder in dict.fromkeys([*folders, KIT_CATALOGUES]))
    active = _Active(Language(code), tuple(each for each in found if each))
    with holding(_current, active):
        yield active.language


def catalogue(folder: Path, code: str) -> NullTranslations | None:
    """Return the translations into a language that a folder holds; None if it holds none."""
    path = folder / f"{code}.po"
    if code == DEFAULT_LANGUAGE or not path.exists():
        return None
    return _read(path, path.stat().st_mtime_ns)


def read_catalogue(path: Path) -> Any:
    """Read a file of translations; return a :class:`babel.messages.catalog.Catalog`.

    Raises
    ------
    StageError
        If it is not a catalogue.
    """
    from babel.messages.pofile import PoFileError, read_po

    try:
        with path.open("rb") as file:
            return read_po(file, locale=path.stem, abort_invalid=True)
    except (PoFileError, ValueError) as error:
        raise StageError(f"{path} is not a catalogue of translations: {error}") from error


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> NullTranslations:
    """Read a catalogue; ``changed`` tells one version of the file from the next."""
    from babel.messages.mofile import write_mo

    compiled = BytesIO()
    write_mo(compiled, read_catalogue(path))
    compiled.seek(0)
    return GNUTranslations(compiled)


def _(message: str, /, **facts: object) -> str:
    """Return a text in the language in use.

    Parameters
    ----------
    message
        The text in English, with names of facts in braces.
    **facts
        What is filled in.
    """
    found = _first(lambda words: words.gettext(message), message)
    return _filled(found, message, facts) if facts else _OwnWords(found)


def ngettext(one: str, many: str, number: int, /, **facts: object) -> str:
    """Return a text about a number of things in the language in use.

    Parameters
    ----------
    one, many
        The text in English, about one thing and about any other number of them, with "{number}"
        where the number stands.
    number
        How many there are.
    **facts
        What else is filled in.
    """
    found = _first(lambda words: words.ngettext(one, many, number), one, many)
    if found in (one, many):
        found = one if number == 1 else many
    return _filled(found, many, {"number": current_language().decimal(number), **facts})


def _filled(text: str, message: str, facts: Mapping[str, object]) -> str:
    """Fill facts into a text.

    Raises
    ------
    StageError
        If the translation names another fact, or its braces do not match.
    """
    # A word of a prompt may look like a tag of a headline.
    facts = {
        name: TAG.sub(rf"<{NO_TAG}", fact)
        if isinstance(fact, str) and not isinstance(fact, _OwnWords)
        else fact
        for name, fact in facts.items()
    }
    try:
        return _OwnWords(text.format(**facts))
    except (LookupError, ValueError) as error:
        if text == message:
            raise
        known = ", ".join(f"{{{name}}}" for name in facts)
        raise StageError(
            f"the translation “{text}” of “{message}” does not fit: its facts are {known}"
        ) from error


def N_(message: str) -> str:
    """Mark a text that is written down at one place and translated, by :func:`_`, at another."""
    return message


def narrated(beat: str, variant: str, written: str) -> str:
    """Return the narration of a beat in the language in use.

    Parameters
    ----------
    beat, variant
        Name of the beat, and of the variant of its narration or "".
    written
        The narration in English, on one line, with its marks and the names of facts.
    """
    context = narration_context(beat, variant)
    return _first(lambda words: words.pgettext(context, written), written)


def narration_context(beat: str, variant: str) -> str:
    """Return the context by which catalogues tell narrations apart."""
    return ", ".join(filter(None, (NARRATION, beat, variant)))


def title_of_beat(name: str) -> str:
    """Return the title of a beat, or of its question, in the language in use."""
    if name.startswith(QUESTION):
        return _("Question: {title}", title=title_of_beat(name.removeprefix(QUESTION)))
    written = beat_title(name)
    return _first(lambda words: words.pgettext(BEAT_TITLE, written), written)


def beat_title(name: str) -> str:
    """Return a beat's name in a readable form, in English: "one_gpu" becomes "One GPU"."""
    title = name.replace("_", " ")
    return ABBREVIATIONS.sub(lambda match: match[0].upper(), title[:1].upper() + title[1:])


def _first(look_up: Callable[[NullTranslations], str], *written: str) -> str:
    """Return the first translation that differs from what is written, else the first of that."""
    found = map(look_up, _current.get().catalogues)
    return next((text for text in found if text not in written), written[0])
