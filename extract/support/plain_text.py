"""Text that may be printed: nothing in it moves the cursor, rings a bell or hides other text."""

from __future__ import annotations

import json
import re
import unicodedata

__all__ = ["error_line", "escaped", "escaped_json", "shortened"]

# They change how their neighbours join, in emoji and in the scripts of Persian and of India.
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


def escaped(text: str) -> str:
    """Return text with a visible escape for every character that a terminal may act on.

    These are control characters, marks that turn the direction of writing, and halves of
    characters, which cannot be encoded. Blanks of every width stay, such as those of French.

    >>> escaped("a\\x1b[2Jb\\udcff")
    'a\\\\x1b[2Jb\\\\udcff'
    """
    return "".join(each if _is_harmless(each) else ascii(each)[1:-1] for each in text)


def _is_harmless(character: str) -> bool:
    blank = unicodedata.category(character) == "Zs"
    return character.isprintable() or blank or character in _JOINERS


def escaped_json(document: str) -> str:
    """Return a JSON document in which such characters are escaped as JSON does it.

    Line breaks stay: outside of strings, where `json.dumps` puts them, they are only layout.
    """
    return re.sub(
        r"[^\n]",
        lambda match: match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1],
        document,
    )


def shortened(text: str, limit: int = 60) -> str:
    """Return text, or its beginning and three dots if it has more than `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def error_line(message: str, limit: int = 500) -> str:
    """Return a message as one line; of a longer one its beginning and end, with dots between.

    What the user typed stands at the beginning, and what to do at the end.
    """
    line = " ".join(message.split())
    return line if len(line) <= limit else f"{line[: limit // 2]} ... {line[-limit // 2 :]}"
