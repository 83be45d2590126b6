"""Programs that speak: Piper, or any that writes a sound file for a text.

Each sentence is spoken on its own, and so are the words between two marks; then they are joined. So
it is known when each mark and each sentence is said. Programs run as processes of their own; no
code of theirs is imported.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np

from extract.support.temporary import temporary_folder
from filmkit.core.beat_records import BeatRecord
from filmkit.core.language import _
from filmkit.core.line_breaks import sentences
from filmkit.core.project import page_of_docs
from filmkit.voice.clips import Clip, SceneText, SoundStore, Voice, clip_of
from filmkit.voice.errors import VoiceError
from filmkit.voice.matching import known_places
from filmkit.voice.sounds import (
    RATE,
    Samples,
    faded,
    read_sound,
    samples_in,
    silence,
    spoken_span,
    write_wav,
)

__all__ = ["CHAIN", "Piper", "Program", "joined", "parts_of"]

CHAIN = (
    "speaking with Piper (GPL-3.0, a program of its own) in the voice en_US-joe-medium: its data "
    "are CC0, but it was fine-tuned from the voice “lessac”, whose licence is its own; ask before "
    f"you publish what it says, or take another voice: {page_of_docs('voice.md')}"
)
"""What users have to know of the licences of Piper's packaged voice."""

TIME_LIMIT = 300.0  # seconds that a program may run each time
MARGIN = 0.015  # seconds of silence that stay around the words of a part
FADE = 0.005  # seconds in which a part comes and goes

# Seconds of silence after a part, by how it ends.
PAUSES = {
    **dict.fromkeys(".?!。？！", 0.35),
    **dict.fromkeys(":;：；", 0.25),
    **dict.fromkeys(",—，", 0.15),
}

# How a program says what stands for a word.
SAID = {"’": "'", "„": '"', "“": '"', "”": '"'}


def parts_of(record: BeatRecord) -> list[tuple[int, str]]:
    """Split a narration at its marks and into its sentences.

    Returns
    -------
    list of (int, str)
        For each part the number of characters before it, and its text. A part without a letter or
        digit belongs to the one before.
    """
    said = record.narration
    begins = sorted({start for start, _ in sentences(said)} | {n for _, n in record.marked})
    parts: list[tuple[int, str]] = []
    for start, end in pairwise([*begins, len(said)]):
        text = said[start:end].strip()
        if re.search(r"\w", text):
            parts.append((start, text))
        elif text and parts:
            parts[-1] = (parts[-1][0], f"{parts[-1][1]} {text}")
    return parts


def joined(record: BeatRecord, sounds: Sequence[Samples]) -> Clip:
    """Join the sounds of the parts of a narration, without a gap inside a sentence.

    Parameters
    ----------
    record
        The beat.
    sounds
        One sound for each of its :func:`parts_of`.
    """
    pieces: list[Samples] = []
    places: dict[int, float] = {}
    length = 0
    for (before, text), samples in zip(parts_of(record), sounds, strict=True):
        first, last = spoken_span(samples)
        start = max(0, samples_in(first - MARGIN))
        offset = (length - start) / RATE
        places |= {before: offset + first, before + len(text): offset + last}
        inside = known_places(samples, text)
        places |= {before + letters: offset + seconds for letters, seconds in inside.items()}
        words = faded(samples[start : samples_in(last + MARGIN)], FADE)
        pieces += [words, silence(PAUSES.get(text[-1], 0.0))]
        length += len(words) + len(pieces[-1])
    return clip_of(np.concatenate(pieces), places)


class _Speaker(Voice):
    """What programs have in common: parts, the cache, and what to say when one fails."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """What the sound depends on besides the text."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def notice(self) -> str:
        """What a user has to know before it speaks; may be empty."""
        return ""

    @abstractmethod
    def record(self, texts: Sequence[str], folder: Path) -> Iterable[Path]:
        """Speak some texts; return or yield a sound file for each.

        Raises
        ------
        VoiceError
            When the program fails.
        """

    def speak(
        self, text: SceneText, store: SoundStore, tell: Callable[[str], None]
    ) -> dict[str, Clip]:
        """Speak the beats of a scene; see :meth:`filmkit.voice.clips.Voice.speak`."""
        identity = self.identity
        if self.notice:
            tell(self.notice)
        keys = {
            said: sha256(f"{identity}\n{_spoken_form(said)}".encode()).hexdigest()
            for record in text.beats
            for _, said in parts_of(record)
        }
        if new := sum(store.find(key) is None for key in keys.values()):
            tell(f"{self.name} speaks {text.scene}: {new} of {len(keys)} phrases are new")
        clips = {}
        for record in text.beats:
            try:
                clips[record.name] = joined(record, self._sounds(record, keys, store))
            except VoiceError as error:
                raise VoiceError(f"in beat {record.name}: {error}") from error
        return clips

    def _sounds(self, record: BeatRecord, keys: dict[str, str], store: SoundStore) -> list[Samples]:
        """Return the sound of each part of a beat, from the store where it is there."""
        texts = [said for _, said in parts_of(record)]
        kept = {said: store.find(keys[said]) for said in texts}
        sounds = {said: read_sound(path) for said, path in kept.items() if path}
        missing = [said for said, path in kept.items() if not path]
        if missing:
            with temporary_folder() as folder:
                # One by one, so that what a program has said before it fails is kept.
                files = self.record([_spoken_form(said) for said in missing], folder)
                for said, file in zip(missing, files, strict=True):
                    if not file.is_file():
                        raise VoiceError(f"{self.name} wrote no sound for “{said}”")
                    try:
                        sounds[said] = read_sound(file)
                    except VoiceError as error:
                        reason, *_ = str(error).split("; ")
                        reason = reason.replace(str(file), f"what {self.name} said")
                        raise VoiceError(f"{reason}; try it by itself") from error
                    whole = folder / "whole.wav"
                    write_wav(whole, sounds[said])
                    store.put(keys[said], whole)
                    sounds[said] = read_sound(whole)
        return [sounds[said] for said in texts]

    def _run(self, command: Sequence[str], lines: str = "") -> None:
        """Run the program; raise a VoiceError when it fails."""
        try:
            done = subprocess.run(
                command,
                input=lines.encode(),
                capture_output=True,
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise VoiceError(
                f"{self.name} has not finished after {TIME_LIMIT:.0f} s; try it by itself"
            ) from error
        except OSError as error:
            raise VoiceError(f"cannot run {self.name}: {error.strerror or error}") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            reason = f": {said[-1].strip()}" if said else ""
            raise VoiceError(
                f"{self.name} failed with exit code {done.returncode}{reason}; "
                "what it had said before is kept"
            )


def _spoken_form(text: str) -> str:
    """Return a text as programs say it."""
    times, minus = _("times"), _("minus")  # outside the braces, where catalogues see them
    signs = {"×": f" {times} ", "−": f"{minus} "}
    for written, said in (SAID | signs).items():
        text = text.replace(written, said)
    return " ".join(text.split())


@dataclass(frozen=True)
class Piper(_Speaker):
    """Piper, run as ``python -m piper`` with the interpreter of this program.

    Attributes
    ----------
    model
        File of the voice, ``.onnx``; its ``.onnx.json`` is beside it.
    packaged
        Whether it is the one that comes as a package.
    """

    model: Path
    packaged: bool = False

    @property
    def identity(self) -> str:
        model = sha256(self.model.read_bytes()).hexdigest()
        return f"piper {version('piper-tts')} {model} {self._options}"

    @property
    def name(self) -> str:
        return "Piper"

    @property
    def notice(self) -> str:
        return CHAIN if self.packaged else ""

    @property
    def language(self) -> str:
        try:
            settings = json.loads(self.model.with_name(f"{self.model.name}.json").read_bytes())
            return str(settings["language"]["family"])
        except (OSError, ValueError, LookupError, TypeError):
            # An old or a broken file: Piper itself tells more of it.
            return ""

    @property
    def _options(self) -> list[str]:
        # Without noise in the lengths of sounds, the same words always take the same time.
        return ["--noise-w-scale", "0", "--sentence-silence", "0.3"]

    def record(self, texts: Sequence[str], folder: Path) -> list[Path]:
        # A file for each line; their names are times in nanoseconds, so they sort as the lines.
        out = folder / "said"
        # "-P", so that a folder called piper in the current one is not run instead.
        command = [sys.executable, "-P", "-m", "piper", "-m", str(self.model), "-d", str(out)]
        self._run([*command, *self._options], "".join(f"{text}\n" for text in texts))
        files = sorted(out.glob("*.wav"), key=lambda path: int(path.stem))
        return files if len(files) == len(texts) else [out] * len(texts)


@dataclass(frozen=True)
class Program(_Speaker):
    """Any program that writes a sound file for a text.

    Attributes
    ----------
    command
        Its arguments; "{text}" in them stands for what to say, "{out}" for the file to write.
    """

    command: tuple[str, ...]

    @property
    def identity(self) -> str:
        return f"program {self.command!r}"

    @property
    def name(self) -> str:
        return Path(self.command[0]).name

    def record(self, texts: Sequence[str], folder: Path) -> Iterator[Path]:
        for number, text in enumerate(texts):
            file = folder / f"{number}.wav"
            # In this order, so that a text that says "{out}" stays as it is.
            words = [word.replace("{out}", str(file)) for word in self.command]
            self._run([word.replace("{text}", text) for word in words])
            yield file
