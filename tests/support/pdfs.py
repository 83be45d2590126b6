"""What tests read back from PDF files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["alt_texts_of"]


def alt_texts_of(node: Any) -> Iterator[str]:
    """Yield the alt texts of a document's structure tree, in order."""
    node = node.get_object()
    if isinstance(node, list):
        for child in node:
            yield from alt_texts_of(child)
    elif isinstance(node, dict):
        if "/Alt" in node:
            yield str(node["/Alt"])
        if "/K" in node:
            yield from alt_texts_of(node["/K"])
