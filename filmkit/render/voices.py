"""Let a voice speak scenes before they are rendered, because it sets the time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from extract.support.files import OutputError, write_bytes
from extract.support.printing import echo
from filmkit.core.beat_records import BeatRecord
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import Cache, open_cache, seal
from filmkit.render.choice import wanted_beats
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest, for_each_scene
from filmkit.voice.clips import Clip, SceneText
from filmkit.voice.errors import VoiceError
from filmkit.voice.mixing import at_one_loudness, track
from filmkit.voice.sounds import Samples

__all__ = ["Spoken", "timed", "with_voice"]


@dataclass(frozen=True)
class Spoken:
    """A request after its voice has spoken.

    Attributes
    ----------
    request
        The request, with the times of the voice, which has nothing more to say, and with those
        scenes for which it did not fail.
    clips
        The sound of each beat, by the names of the scene and the beat.
    """

    request: RenderRequest
    clips: Mapping[str, Mapping[str, Clip]]

    @cached_property
    def _sounds(self) -> dict[str, dict[str, Samples]]:
        return {scene: at_one_loudness(clips) for scene, clips in self.clips.items()}

    def track(self, films: Iterable[tuple[SceneEntry, Iterable[BeatRecord]]]) -> Samples | None:
        """Return the sound of a film; None if nobody speaks in any.

        Parameters
        ----------
        films
            The scenes that are joined, each with the records of its beats.
        """
        if not any(self.clips.values()):
            return None
        rate = self.request.quality.frame_rate
        parts = [
            (self._sounds.get(entry.slug, {}).get(record.name), record.frames(rate))
            for entry, records in films
            for record in records
        ]
        return track(parts, rate)


@dataclass(frozen=True)
class _CachedSounds:
    """Keeps what programs have said in the cache; see :class:`filmkit.voice.clips.SoundStore`."""

    cache: Cache

    def find(self, key: str) -> Path | None:
        path = self.cache.path(key, ".speech.wav")
        return path if self.cache.holds(path) else None

    def put(self, key: str, made: Path) -> None:
        path = self.cache.path(key, ".speech.wav")
        # Without room or permission for it, it is spoken anew the next time.
        with suppress(OutputError, OSError):
            write_bytes(path, made.read_bytes())
            seal(path)


def with_voice(request: RenderRequest, cache: Cache) -> Spoken:
    """Let the voice of a request speak each scene; the error of one that fails is printed.

    Scenes are rehearsed without it first, to know their words; the beats that are asked for are
    known before it says the first one.

    Raises
    ------
    click.BadParameter
        If a scene has no such beat.
    VoiceError
        If the voice says nothing in any of the scenes.
    """
    voice = request.voice
    if voice is None:
        return Spoken(request, {})
    written = replace(request, voice=None)
    rehearsals = Rehearsals(written, cache)
    store = _CachedSounds(cache)
    told: set[str] = set()

    def tell(line: str) -> None:
        if line not in told and not request.quiet:
            told.add(line)
            echo(line, err=True)

    def beats_of(entry: SceneEntry) -> Collection[str]:
        names = [record.name for record in rehearsals.get(entry).beats]
        chosen = wanted_beats(entry, names, request.beat, "--beat")
        return selected[entry.slug] if selected else chosen

    def speak(entry: SceneEntry) -> dict[str, Clip]:
        text = SceneText(
            entry.slug,
            tuple(
                record
                for record in rehearsals.get(entry).beats
                if record.narration and record.name in wanted[entry]
            ),
            len(once) == 1,
            lambda: entry.load().beat_names(),
            entry.former_beats,
        )
        return voice.speak(text, store, tell) if text.beats else {}

    # A film may show a scene several times.
    once = {entry.slug: entry.alone for entry in request.scenes}
    rehearsals.prepare(once.values())
    selected: dict[str, set[str]] = {}
    for entry, beats in request.selection.items():
        selected.setdefault(entry.slug, set()).update(beats)
    wanted = for_each_scene(request, once.values(), beats_of)
    spoken = {e.slug: clips for e, clips in for_each_scene(request, wanted, speak).items()}
    # A single beat may be one without words, or without a recording.
    if request.beat == "all" and len(spoken) == len(once) and not any(spoken.values()):
        raise VoiceError("the voice says nothing in any of these scenes; name another --voice")
    speech = {
        slug: {beat: clip.speech for beat, clip in clips.items()} for slug, clips in spoken.items()
    }
    scenes = tuple(entry for entry in request.scenes if entry.slug in spoken)
    return Spoken(replace(written, speech=speech, scenes=scenes), spoken)


def timed(request: RenderRequest) -> RenderRequest:
    """Return a request with the times of its voice, for those scenes in which it did not fail."""
    if request.voice is None:
        return request
    with open_cache(request.cache, keep=request.keep_cache, quiet=request.quiet) as cache:
        return with_voice(request, cache).request
