"""Recordings of a person: one for each beat, or one of a whole scene with a cue sheet."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from filmkit.voice.clips import Clip, SceneText, SoundStore, Voice, clip_of
from filmkit.voice.cues import cut, read_cues, sheet_beside
from filmkit.voice.errors import VoiceError
from filmkit.voice.matching import known_places
from filmkit.voice.sounds import read_sound

__all__ = ["FORMATS", "Folder", "Recording", "recording_at"]

FORMATS = (".wav", ".flac", ".mp3", ".m4a", ".opus", ".ogg")
"""Suffixes of recordings."""

OTHER_FORMATS = (".aac", ".aif", ".aiff", ".amr", ".caf", ".mka", ".mov", ".mp4", ".webm", ".wma")

OF_A_BEAT = re.compile(r"\d+_(?P<beat>\w+)")


@dataclass(frozen=True)
class Recording(Voice):
    """One recording of a whole scene, with a cue sheet beside it.

    Attributes
    ----------
    path
        The recording.
    """

    path: Path

    def speak(
        self, text: SceneText, store: SoundStore, tell: Callable[[str], None]
    ) -> dict[str, Clip]:
        """Cut the recording; see :meth:`filmkit.voice.clips.Voice.speak`."""
        sheet_file = sheet_beside(self.path)
        if not sheet_file.is_file():
            raise VoiceError(
                f"{self.path} has no cue sheet {sheet_file.name}; make it with: "
                f"python render.py cue {text.scene} {self.path}"
            )
        sheet = read_cues(sheet_file)
        if sheet.scene != text.scene:
            if text.alone:
                raise VoiceError(f"{sheet_file} is about {sheet.scene}, not {text.scene}")
            return {}
        return cut(read_sound(self.path), sheet, text, sheet_file)


def recording_at(path: Path) -> Recording:
    """Return the recording of a whole scene in a file.

    Raises
    ------
    ValueError
        When the name of the file is not that of a recording; the message says how they end.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path} is not a recording: they end in {', '.join(FORMATS)}")
    return Recording(path)


@dataclass(frozen=True)
class Folder(Voice):
    """A folder of recordings: ``NN_BEAT.wav``, or ``SCENE.wav`` with its cue sheet.

    Those of several scenes are in folders in it that have the scenes' names.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    def speak(
        self, text: SceneText, store: SoundStore, tell: Callable[[str], None]
    ) -> dict[str, Clip]:
        """Read the recordings of a scene; see :meth:`filmkit.voice.clips.Voice.speak`."""
        inner = self.path / text.scene
        folder = inner if inner.is_dir() else self.path
        try:
            files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise VoiceError(f"cannot read {folder}: {error.strerror or error}") from error
        for path in files:
            if path.stem == text.scene and path.suffix.lower() in FORMATS:
                return Recording(path).speak(text, store, tell)
        if folder == self.path and not text.alone:
            return {}
        found = self._of_beats(files, text)
        for path in files:
            if path.suffix.lower() in FORMATS and path not in found.values():
                tell(f"{path} is not used; {_advice(path, text)}")
        if text.alone and not found:
            raise VoiceError(
                f"{folder} holds no recording of {text.scene}; name them NN_BEAT.wav, such as "
                f"01_{text.beats[0].name}.wav"
            )
        records = {record.name: record for record in text.beats}
        clips = {}
        for beat in found.keys() & records.keys():
            samples = read_sound(found[beat])
            clips[beat] = clip_of(samples, known_places(samples, records[beat].narration))
        # In the order of the story, whatever the numbers of the files are.
        return {beat: clips[beat] for beat in records if beat in clips}

    def _of_beats(self, files: list[Path], text: SceneText) -> dict[str, Path]:
        """Find the recording of each beat, also of those that are not played."""
        found: dict[str, Path] = {}
        names = {record.name for record in text.beats}
        for path in files:
            match, suffix = OF_A_BEAT.fullmatch(path.stem), path.suffix.lower()
            if not match or suffix not in FORMATS + OTHER_FORMATS:
                continue
            beat = match["beat"]
            if suffix in OTHER_FORMATS:
                raise VoiceError(
                    f"{path} is not in a format for recordings; save it as "
                    f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
                )
            if beat not in names and beat not in text.every_beat():
                continue
            if beat in found:
                raise VoiceError(f"{found[beat]} and {path} are for the same beat; remove one")
            found[beat] = path
        return found


def _advice(path: Path, text: SceneText) -> str:
    """Say what to do with a recording that is of no beat."""
    match = OF_A_BEAT.fullmatch(path.stem)
    if match is None:
        return f"name it NN_BEAT{path.suffix} if it is of a beat"
    if now := text.former_beats.get(match["beat"]):
        return f"{text.scene} has no beat {match['beat']} any more: {now} shows it now"
    near = get_close_matches(match["beat"], [record.name for record in text.beats], 1)
    hint = f"did you mean {near[0]}?" if near else "--list shows its beats"
    return f"{text.scene} has no beat {match['beat']}: {hint}"
