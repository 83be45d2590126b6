"""The words of pages, in the language in use: English ones stand in their scripts and templates."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from filmkit.core.language import ENGLISH, _, current_language

__all__ = ["EXTRACTION", "script_words"]

EXTRACTION: dict[str, Any] = {
    "method": "javascript",
    "keywords": {"say": None},
    "options": {"parse_template_string": True},
}
"""How Babel finds the words of a script: arguments of its extraction of messages."""


def script_words(script: str) -> dict[str, str]:
    """Return the words that a script puts on its page, by the English ones that stand there."""
    if current_language() == ENGLISH:
        return {}
    # Loaded here: English alone does not need it.
    from babel.messages.extract import extract

    found = extract(fileobj=BytesIO(script.encode()), **EXTRACTION)
    return {text: _(text) for _line, text, _comments, _context in found if isinstance(text, str)}
