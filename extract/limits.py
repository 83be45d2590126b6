"""What a trace may hold at most, and a prompt that is traced for the pictures.

The largest models are well below the limits of a trace.  They are checked before anything is
computed, so that a file that lies about its sizes is refused at once.
"""

from __future__ import annotations

__all__ = [
    "MAX_DEPTH",
    "MAX_FILE",
    "MAX_HEADS",
    "MAX_LAYERS",
    "MAX_METADATA",
    "MAX_NAME",
    "MAX_POSITIONS",
    "MAX_PROMPT",
    "MAX_SENTENCE",
    "MAX_TEXT",
    "MAX_TOKENS",
    "MAX_TOKEN_TEXT",
    "MAX_VERSIONS",
    "MAX_VOCABULARY",
    "MAX_WIDTH",
    "PICTURE_TOKENS",
    "fault_of_prompt",
]

PICTURE_TOKENS = (2, 24)
"""Fewest and most tokens of a prompt that the pictures have room for, without the beginning one."""

MAX_LAYERS = 1_000

MAX_HEADS = 1_000

MAX_WIDTH = 100_000
"""Of ``d_model``, ``d_qk`` and ``d_v``, and of a model's inner layers."""

MAX_POSITIONS = 100_000_000
"""Positions for which a model says it is made, of which a trace has few."""

MAX_TOKENS = 2_000
"""Tokens of the prompt and those after it; a pattern has the square of it."""

MAX_VOCABULARY = 10_000_000

MAX_TOKEN_TEXT = 500
"""Characters of a token; the longest of real vocabularies are a few hundred blanks or dashes."""

MAX_PROMPT = 50_000
"""Characters of a prompt."""

MAX_NAME = 255
"""Characters of a model's name, its source, its revision and a library's version: as many as file
systems allow in a name."""

MAX_SENTENCE = 1_000
"""Characters of the sentence that says how the featured head was chosen."""

MAX_TEXT = 100_000_000
"""Bytes of a file of prompts, or of a text to calibrate on; the longest novels have 10 million."""

MAX_VERSIONS = 100
"""Libraries whose versions are stored, and steps whose errors are."""

MAX_METADATA = 8_000_000
"""Characters of all metadata together."""

MAX_DEPTH = 12
"""Levels of lists and objects in the metadata; those of a conversion have 6."""

MAX_FILE = 8 * 2**30
"""Bytes of a file, which is read into memory: 500 tokens of a model of 32 layers with 32 heads make
1 GiB."""


def fault_of_prompt(text: str) -> str:
    """Return why a text cannot be a prompt or its continuation; nothing if it can."""
    if len(text) > MAX_PROMPT:
        return f"it has {len(text):,} characters, and at most {MAX_PROMPT:,} can be traced"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it is not text in UTF-8; write it in that encoding"
    return ""
