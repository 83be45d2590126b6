"""Check what the options of ``python -m extract`` are given, before a model is loaded."""

from __future__ import annotations

import re
from pathlib import Path

import click

from extract.errors import ExtractError
from extract.latent.calibration import CALIBRATION_TEXT, read_calibration
from extract.limits import MAX_TEXT, PICTURE_TOKENS, fault_of_prompt
from extract.support.files import read_text
from extract.support.plain_text import escaped, shortened

__all__ = [
    "calibration_option",
    "json_option",
    "model_name",
    "named_file",
    "prompts_of_file",
    "range_of_rows",
    "traceable_text",
]

_LONGEST_NAME = 200
"""Bytes of a name that is also that of a file, which has an ending and may have a number."""


def traceable_text(text: str) -> str:
    """Refuse a text that cannot be traced, before a model is loaded."""
    if fault := fault_of_prompt(text):
        raise click.BadParameter(fault)
    return text


def prompts_of_file(
    ctx: click.Context, option: click.Parameter, value: Path | None
) -> tuple[str, ...]:
    """Read prompts from a file, one a line; empty lines are passed over."""
    if value is None:
        return ()
    try:
        lines = read_text(value, MAX_TEXT).splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.BadParameter(f"{value}: {reason}; name a text with a prompt a line") from error
    prompts = tuple(traceable_text(line) for line in lines if line.strip())
    if not prompts:
        raise click.BadParameter(f"{value}: it holds no prompt; write one a line")
    return prompts


def range_of_rows(text: str) -> tuple[int, int]:
    """Read a range of tokens, first:last + 1."""
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text)
    fewest, most = PICTURE_TOKENS
    start, stop = map(int, found.groups()) if found else (0, 0)
    if not fewest <= stop - start <= most:
        raise click.BadParameter(
            f"'{shortened(text)}' does not name {fewest} to {most} tokens of the prompt, which is "
            "what the pictures have room for; write 10:30 for the 20 tokens after the first 10"
        )
    return start, stop


def model_name(text: str) -> str:
    """Refuse a name that cannot be shown, or that cannot be that of a file."""
    if (
        not text.strip(" .")
        or "/" in text
        or escaped(text) != text
        or len(text.encode()) > _LONGEST_NAME
    ):
        raise click.BadParameter(
            f"{shortened(repr(text))} cannot name a model and its file; give a short name without "
            "'/'"
        )
    return text


def named_file(ctx: click.Context, option: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file without a name, such as that of an empty variable of the shell."""
    if value is not None and not value.name:
        raise click.BadParameter("it names no file")
    return value


def readable_text(ctx: click.Context, option: click.Parameter, value: Path) -> Path:
    """Refuse a calibration text that cannot be read, before a model is loaded."""
    try:
        read_calibration(value)
    except ExtractError as error:
        raise click.BadParameter(str(error)) from error
    return value


calibration_option = click.option(
    "--calibration",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=CALIBRATION_TEXT,
    callback=readable_text,
    help="Text file to fit and test the latent on.  [default: the project's own text]",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
