"""The track of a film: each beat's sound from the beat's first frame on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

import numpy as np

from filmkit.voice.clips import Clip
from filmkit.voice.loudness import mastered
from filmkit.voice.sounds import RATE, Samples

__all__ = ["at_one_loudness", "track"]


def at_one_loudness(clips: Mapping[str, Clip]) -> dict[str, Samples]:
    """Return the sounds of a scene's beats at the loudness of films, by the names of the beats.

    All of them are changed by the same amount, so a beat sounds the same by itself as in its film.
    """
    if not clips:
        return {}
    whole = mastered(np.concatenate([clip.samples for clip in clips.values()]))
    ends = list(accumulate(len(clip.samples) for clip in clips.values()))
    return dict(zip(clips, np.split(whole, ends[:-1]), strict=True))


def track(parts: Iterable[tuple[Samples | None, int]], frame_rate: int) -> Samples:
    """Return the sound of a film, as long as its pictures.

    Parameters
    ----------
    parts
        For each beat its sound, or None, and its number of frames. A sound is not longer than its
        beat, but for a part of a frame.
    frame_rate
        Frames per second.
    """
    parts = list(parts)
    # From the frames before, so that rounding errors do not add up.
    ends = [round(n * RATE / frame_rate) for n in accumulate(count for _, count in parts)]
    whole = np.zeros(ends[-1] if ends else 0, np.float32)
    for (samples, _), start, end in zip(parts, [0, *ends], ends, strict=False):
        if samples is not None:
            whole[start:end][: len(samples)] = samples[: end - start]
    return whole
