"""Write the catalogues that translators fill in: ``make messages``.

Every word on screen is marked in the code (:mod:`filmkit.core.language`); what is narrated stands
beside the beats, and titles in the classes. Each folder of a scene has a catalogue of its own for
each language, ``locale/CODE.po``, and the kit has one. This program brings them up to date: new
messages are added, others keep their translation, and one whose English has changed is marked as
fuzzy, so that somebody looks at it again. A translation that is not used any more stays at the end
of the file, as a comment.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Any

from babel.core import UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import write_po

from extract.support.files import write_bytes
from extract.support.printing import echo
from filmkit.core.errors import StageError
from filmkit.core.language import (
    BEAT_TITLE,
    CATALOGUES,
    CHOICE,
    DEFAULT_LANGUAGE,
    KIT_CATALOGUES,
    QUESTION,
    TITLE,
    Language,
    beat_title,
    known_languages,
    narration_context,
    read_catalogue,
)
from filmkit.core.narration import one_line
from filmkit.core.project import PROJECT
from filmkit.decks.page_words import EXTRACTION
from filmkit.render.errors import explain

__all__ = ["catalogue_sources", "faults_of", "messages_of", "update"]

WORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
EXTRACTIONS: dict[str, dict[str, Any]] = {
    ".py": {"method": "python", "keywords": WORDS},
    ".html": {"method": "jinja2.ext:babel_extract", "keywords": WORDS},
    ".js": EXTRACTION,
    ".typ": EXTRACTION,
}
"""How messages are found in a file, by the ending of its name."""
MARK = re.compile(r"\[([^\[\]|]*)(?:\|[^\[\]]*)?\]")
UNSAID = ("when", "answer", "loop")  # arguments of a beat that are no words
WIDTH = 99
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)  # a date that does not change from run to run


def catalogue_sources() -> dict[Path, list[Path]]:
    """Return the files whose messages each of the project's folders of catalogues holds."""
    kinds = ("*.py", "templates/*.html", "templates/*.js", "templates/*.typ")
    kit = [path for kind in kinds for path in (PROJECT / "filmkit").rglob(kind)]
    scenes = {path.parent for path in PROJECT.glob("scenes/*/*.py")}
    return {KIT_CATALOGUES: sorted(kit)} | {
        folder / CATALOGUES: sorted(folder.glob("*.py")) for folder in sorted(scenes)
    }


def messages_of(files: Iterable[Path]) -> Catalog:
    """Return all messages of some files of code, in English."""
    catalog = Catalog(project="attention-film", creation_date=LONG_AGO, charset="utf-8")
    for file in files:
        place: Any = [(_relative(file), None)]  # without a line, which would change all the time
        code = file.read_bytes()
        tree = ast.parse(code, file.name) if file.suffix == ".py" else None
        found = extract(fileobj=BytesIO(code), **EXTRACTIONS[file.suffix])
        for _line, message, _comments, context in found:
            catalog.add(message, locations=place, context=context)
        if tree:
            for context, text, comment in _narrated(tree):
                catalog.add(text, locations=place, context=context, auto_comments=comment)
    return catalog


def _narrated(tree: ast.Module) -> Iterator[tuple[str | None, str, list[str]]]:
    """Yield context, text and comments of each title and narration of a scene."""
    for scene in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        beats = [
            (node, decorator)
            for node in scene.body
            if isinstance(node, ast.FunctionDef)
            for decorator in node.decorator_list
            if "beat"
            in (_name(decorator), isinstance(decorator, ast.Call) and _name(decorator.func))
        ]
        for node in scene.body if beats else ():
            if isinstance(node, ast.Assign) and _name(node.targets[0]) == "title":
                yield None, str(ast.literal_eval(node.value)), ["Title of the scene."]
        for method, decorator in beats:
            yield BEAT_TITLE, beat_title(method.name), []
            given = decorator.keywords if isinstance(decorator, ast.Call) else []
            said = {str(each.arg): each.value for each in given if each.arg not in UNSAID}
            asked = ast.literal_eval(said.pop("ask", ast.Constant("")))
            choice = ast.literal_eval(said.pop("choice", ast.Constant("")))
            title = ast.literal_eval(said.pop("title", ast.Constant(None)))
            narrations = {name: ast.literal_eval(text) for name, text in said.items()}
            narrations = narrations or {"": ast.get_docstring(method) or ""}
            questions = asked if isinstance(asked, dict) else {"": asked}
            asking = QUESTION + method.name
            for beat, texts in ((asking, questions), (method.name, narrations)):
                for variant, text in texts.items():
                    if line := one_line(text):
                        yield narration_context(beat, variant), line, []
            if choice:
                yield narration_context(asking, CHOICE), choice, []
            if title:
                yield narration_context(method.name, TITLE), one_line(title), []


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _relative(file: Path) -> str:
    return file.relative_to(PROJECT).as_posix() if file.is_relative_to(PROJECT) else file.name


def update(folder: Path, files: Iterable[Path], code: str) -> list[str]:
    """Bring a folder's catalogue of a language up to date, or begin it.

    Parameters
    ----------
    folder
        Folder of catalogues.
    files
        The code that its messages are in.
    code
        Code of the language.

    Returns
    -------
    list of str
        What is still to be done; see :func:`faults_of`.
    """
    path = folder / f"{code}.po"
    messages = messages_of(files)
    if not len(messages):
        return []
    if path.exists():
        catalog = read_catalogue(path)
        catalog.update(messages, update_header_comment=False, update_creation_date=False)
    else:
        catalog = messages
        catalog.locale = Language(code).locale
        catalog.fuzzy = False
    for key in [
        key for key, left in catalog.obsolete.items() if not all(_plural_forms(left.string))
    ]:
        del catalog.obsolete[key]  # nothing is lost with it
    catalog.revision_date = catalog.creation_date = LONG_AGO
    catalog.header_comment = f"# {Language(code).name}: words of {_relative(folder.parent)}."
    content = BytesIO()
    write_po(content, catalog, width=WIDTH, include_lineno=False)
    if not path.exists() or path.read_bytes() != content.getvalue():
        write_bytes(path, content.getvalue())
    return faults_of(catalog)


def faults_of(catalog: Catalog) -> list[str]:
    """Return what is wrong with the translations of a catalogue, one line each.

    A message may not be translated yet, or be fuzzy; its translation may have other facts in braces
    or other marks in brackets than the English.
    """
    return [
        f"“{one_line(_plural_forms(m.id)[0])}”: {fault}"
        for m in catalog
        if m.id and (fault := _fault(m))
    ]


def _fault(message: Message) -> str:
    if message.fuzzy:
        return "look at it again: its English has changed"
    written, translated = _plural_forms(message.id), _plural_forms(message.string)
    if not all(translated):
        return "is not translated"
    for text in translated:
        try:
            if all(_facts(text) != _facts(one) for one in written):
                return f"its facts are {_listed(_facts(written[-1]))}, not {_listed(_facts(text))}"
        except ValueError as error:
            return f"{error}; write a brace that is shown twice: {{{{ }}}}"
        if (message.context or "").startswith("narration") and _marks(text) != _marks(written[0]):
            known = _listed(_marks(written[0]))
            return f"its marks are {known}; write each as [name|words]"
    return ""


def _plural_forms(text: Any) -> tuple[str, ...]:
    """Return the forms of a message for different numbers; most have one."""
    return (text,) if isinstance(text, str) else tuple(text or ("",))


def _facts(text: str) -> set[str]:
    return {f"{{{name}}}" for _, name, *_ in Formatter().parse(text) if name is not None}


def _marks(text: str) -> set[str]:
    return {f"[{match[1]}]" for match in MARK.finditer(text)}


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _already_in(path: Path) -> list[Path]:
    """Return the files of code that a catalogue names and that are still beside its folder."""
    catalog = read_catalogue(path) if path.exists() else Catalog()
    named = {Path(place).name for message in catalog for place, _line in message.locations}
    return [file for name in sorted(named) if (file := path.parents[1] / name).is_file()]


def main(arguments: list[str]) -> int:
    """Bring catalogues up to date, and print what is to be done; return 1 if that is anything.

    If a code is not that of a language, or a file is not there, a line says so, and 2 is returned.
    A file that cannot be read is named too, and stays as it is.

    Parameters
    ----------
    arguments
        Codes of languages, those that are there by default, and files of scenes of one's own, the
        project's by default.
    """
    files = [Path(each).resolve() for each in arguments if each.endswith(".py")]
    codes = [each for each in arguments if not each.endswith(".py")]
    own: dict[Path, list[Path]] = {}
    for file in files:
        own.setdefault(file.parent / CATALOGUES, []).append(file)
    for code in codes:
        try:
            Language(code).locale  # noqa: B018
        except (ValueError, UnknownLocaleError):
            echo(f"{code} is not the code of a language; give one such as es or pt_BR")
            return 2
    for file in files:
        if not file.is_file():
            echo(f"there is no file {file}")
            return 2
    left = 0
    for code in codes or [each for each in known_languages() if each != DEFAULT_LANGUAGE]:
        for folder, folder_files in (own or catalogue_sources()).items():
            try:
                others = _already_in(folder / f"{code}.po") if own else []
                faults = [
                    f"{_relative(folder)}/{code}.po: {fault}"
                    for fault in update(folder, sorted({*folder_files, *others}), code)
                ]
            except (OSError, StageError) as error:
                faults = [explain(error, verbose=None)]
            except SyntaxError as error:
                faults = [f"{error.filename} line {error.lineno}: {error.msg}"]
            left += len(faults)
            for fault in faults:
                echo(fault)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
