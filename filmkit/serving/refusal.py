"""The page that those see whom a server refuses; it needs none of the server's libraries."""

from __future__ import annotations

from html import escape

__all__ = ["refusal_page"]

REFUSAL_PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""


def refusal_page(title: str, text: str, language: str = "en") -> str:
    """Return the page that those see who are refused, in letters that a telephone shows large.

    Parameters
    ----------
    title, text
        That they are refused, and what they can do.
    language
        Of both, as web pages write it.
    """
    return REFUSAL_PAGE.format(title=escape(title), text=escape(text), language=language)
