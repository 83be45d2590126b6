"""Read and write sound files, and find where somebody speaks in them."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from filmkit.voice.errors import VoiceError

__all__ = [
    "RATE",
    "Samples",
    "blunted_places",
    "clipped_places",
    "faded",
    "pauses",
    "read_sound",
    "samples_in",
    "silence",
    "spoken_span",
    "write_wav",
]

RATE = 48_000
"""Samples a second of all sound."""

Samples = npt.NDArray[np.float32]
"""Sound with one channel, (samples,), -1 to 1."""

MIN_RATE = 16_000  # samples a second; below, a voice sounds as on a telephone
MIN_SECONDS = 0.05  # a shorter recording holds no word
SILENT = 10 ** (-60 / 20)  # a recording that never gets louder is silent
WINDOW = RATE // 100  # in which loudness is looked at: 10 ms

# Somebody speaks where a window is louder than this: so far below the loud ones, but above the
# noise of the room, which is what the quietest windows hold.
BELOW_LOUD = 10 ** (-35 / 20)
AT_MOST_BELOW_LOUD = 10 ** (-20 / 20)
ABOVE_NOISE = 2.0

# A flat top: so many equal samples in a row, near full scale; a voice has none.
FLAT_TOP = 4
FULL_SCALE = 0.98
FLAT_TOPS = 3  # so many of them are no accident

# After a lossy codec they are not flat. But the sound is above TOP there for BLUNT times as long as
# it takes from SLOPE to TOP and back; at the round top of a voice of that height, for 1.7 times.
TOP, SLOPE = 0.8, 0.5
BLUNT = 3.5
SECONDS_FOR_ONE = 4.0  # so much of a voice at full scale has one by accident


def samples_in(seconds: float) -> int:
    """Return the number of samples in a time."""
    return round(seconds * RATE)


def silence(seconds: float) -> Samples:
    """Return a silence of this length."""
    return np.zeros(samples_in(seconds), np.float32)


def read_sound(path: Path) -> Samples:
    """Read a sound file of any format that FFmpeg knows; several channels are mixed into one.

    Raises
    ------
    VoiceError
        When it cannot be read, holds no sound, is empty, silent or clipped, or has less than
        16000 samples a second.
    """
    if path.exists() and not path.is_file():  # a pipe would keep its reader waiting
        raise VoiceError(f"{path} is not a file; name a recording")
    try:
        samples, flat = _decode(path)
    except (OSError, av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VoiceError(f"cannot read {path}: {reason}; record it again") from error
    if len(samples) < samples_in(MIN_SECONDS):
        raise VoiceError(f"{path} is empty; record it again, or remove it")
    if np.abs(samples).max() < SILENT:
        raise VoiceError(f"{path} is silent; record it again, or remove it")
    if flat >= FLAT_TOPS:
        raise VoiceError(f"{path} is clipped in {flat} places; record it again at a lower level")
    return samples


def _decode(path: Path) -> tuple[Samples, int]:
    """Return the samples of a file at :data:`RATE`, and in how many places it is clipped."""
    with av.open(path) as container:
        if not container.streams.audio:
            raise VoiceError(f"{path} holds no sound; name a recording")
        stream = container.streams.audio[0]
        if stream.rate < MIN_RATE:
            raise VoiceError(
                f"{path} has {stream.rate} samples a second; record it with at least {MIN_RATE}"
            )
        channels, lossy = stream.channels, stream.codec_context.codec.lossy
        as_recorded = av.AudioResampler(format="flt")
        at_rate = av.AudioResampler(format="flt", rate=RATE)
        native, blocks = list[Samples](), list[Samples]()
        for frame in container.decode(stream):
            native += map(_packed, as_recorded.resample(frame))
            blocks += map(_packed, at_rate.resample(frame))
        blocks += map(_packed, at_rate.resample(None))
    if not blocks:
        return silence(0), 0
    # Channels side by side: PyAV cannot read more than 7 of them from planes of their own.
    recorded = np.concatenate(native).reshape(-1, channels).T
    clipped = blunted_places if lossy else clipped_places
    # The mean, because FFmpeg's own mix of two equal channels is louder than each.
    mixed = np.concatenate(blocks).reshape(-1, channels).mean(axis=1)
    return mixed.astype(np.float32), max(clipped(channel) for channel in recorded)


def _packed(frame: av.AudioFrame) -> Samples:
    """Return the samples of a frame, those of its channels one after the other: (samples,)."""
    return np.asarray(frame.to_ndarray(), np.float32).ravel()


def clipped_places(samples: Samples) -> int:
    """Count the flat tops in a sound: places where it was louder than the recorder could write."""
    level = (samples[1:] == samples[:-1]) & (np.abs(samples[1:]) >= FULL_SCALE)
    return int(sum(end - start >= FLAT_TOP - 1 for start, end in _runs(level)))


def blunted_places(samples: Samples) -> int:
    """Count what a lossy codec leaves of flat tops: tops that are wide for how steeply they rise.

    A few come from the codec alone; 0 is returned for so few of them.
    """
    count = 0
    for sound in (samples, -samples):
        slopes = _runs(sound >= SLOPE)
        for start, end in _runs(sound >= TOP):
            low, high = slopes[np.searchsorted(slopes[:, 0], start, side="right") - 1]
            count += end - start >= BLUNT * max(start - low + high - end, 1)
    return count if count * SECONDS_FOR_ONE > len(samples) / RATE else 0


def _runs(holds: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the first index of each run of true values, and the one after its last: (runs, 2)."""
    changes = np.diff(np.concatenate([[0], holds.astype(np.int8), [0]]))
    return np.flatnonzero(changes).reshape(-1, 2)


def write_wav(path: Path, samples: Samples) -> None:
    """Write a sound as 16-bit WAV.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def _spoken(samples: Samples) -> npt.NDArray[np.bool_]:
    """Return whether somebody speaks in each window of 10 ms."""
    count = -(-len(samples) // WINDOW)
    padded = np.zeros(count * WINDOW, np.float32)
    padded[: len(samples)] = samples
    levels = np.sqrt(np.mean(padded.reshape(count, WINDOW) ** 2, axis=1))
    loud, noise = np.percentile(levels, 95), np.percentile(levels, 5)
    # Of a short sound in a long silence even the loud windows are few.
    loud = max(loud, levels.max() / 4)
    threshold = np.clip(ABOVE_NOISE * noise, BELOW_LOUD * loud, AT_MOST_BELOW_LOUD * loud)
    return np.asarray(levels > threshold)


def spoken_span(samples: Samples) -> tuple[float, float]:
    """Return when the first word begins and when the last one ends, in seconds."""
    windows = np.flatnonzero(_spoken(samples))
    if not len(windows):
        return 0.0, len(samples) / RATE
    end = min((windows[-1] + 1) * WINDOW, len(samples))
    return float(windows[0] * WINDOW / RATE), float(end / RATE)


def pauses(samples: Samples, at_least: float = 0.25) -> list[tuple[float, float]]:
    """Find the silences between words.

    Parameters
    ----------
    samples
        The sound.
    at_least
        How long a silence has to be, in seconds.

    Returns
    -------
    list of (float, float)
        Start and end of each, in seconds; what is before the first word and after the last one is
        none of them.
    """
    windows = np.flatnonzero(_spoken(samples)) * WINDOW / RATE
    step = WINDOW / RATE
    return [
        (float(before + step), float(after))
        for before, after in pairwise(windows)
        if after - before - step >= at_least - 1e-9
    ]


def faded(samples: Samples, seconds: float) -> Samples:
    """Return a sound that rises from silence at its start, and falls to silence at its end."""
    count = min(samples_in(seconds), len(samples) // 2)
    ramp = np.linspace(0, 1, count, endpoint=False, dtype=np.float32)
    envelope = np.ones(len(samples), np.float32)
    if count:
        envelope[:count] = ramp
        envelope[-count:] = ramp[::-1]
    return samples * envelope
