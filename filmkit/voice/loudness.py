"""Measure loudness as BS.1770 says, and bring a voice to it.

FFmpeg measures (its filter ``ebur128``) and limits (``alimiter``), through PyAV.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np

from filmkit.voice.sounds import RATE, Samples

__all__ = ["LOUDNESS", "PEAK", "Loudness", "mastered", "measure"]

LOUDNESS = -16.0
"""Integrated loudness of every film, in LUFS."""

PEAK = -1.5
"""Highest true peak, in dB above full scale."""

LIMIT = PEAK - 1.5  # dB; what encoders add to a peak stays under PEAK
OVERSAMPLING = 4  # the limiter sees peaks between samples
BLOCK = RATE // 10  # samples that are passed to a filter at a time
QUIETEST = -69.0  # LUFS; what is measured as less is silence
ROUNDS = 6  # limiting makes quieter, so the gain is found in a few steps
CLOSE = 0.1  # LU


@dataclass(frozen=True)
class Loudness:
    """What was measured of a sound.

    Attributes
    ----------
    integrated
        Loudness in LUFS, both channels alike.
    peak
        True peak in dB above full scale.
    """

    integrated: float
    peak: float


def measure(samples: Samples) -> Loudness:
    """Measure the loudness of a sound that is heard on two channels."""
    levels: dict[str, str] = {}
    for frame in _filtered(samples, [("ebur128", "peak=true:metadata=1:framelog=quiet")]):
        levels |= frame.metadata
    peak = float(levels.get("lavfi.r128.true_peak", 0))
    integrated = float(levels.get("lavfi.r128.I", -math.inf))
    return Loudness(integrated, 20 * math.log10(peak) if peak > 0 else -math.inf)


def mastered(samples: Samples) -> Samples:
    """Return a sound at :data:`LOUDNESS`, with no peak above :data:`PEAK`; silence stays silent."""
    gain, loud = 0.0, samples
    for _ in range(ROUNDS):
        now = measure(loud).integrated
        if now < QUIETEST or abs(LOUDNESS - now) < CLOSE / 2:
            break
        gain += LOUDNESS - now
        loud = _limited(samples * np.float32(10 ** (gain / 20)))
    return loud


def _limited(samples: Samples) -> Samples:
    """Return a sound of the same length in which peaks are turned down."""
    limit = 10 ** (LIMIT / 20)
    steps = [
        ("aresample", str(OVERSAMPLING * RATE)),
        ("alimiter", f"limit={limit:.6f}:attack=5:release=50:level=disabled:latency=1"),
        ("aresample", str(RATE)),
    ]
    blocks = [frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in _filtered(samples, steps)]
    limited = np.concatenate(blocks)[: len(samples)]
    return np.pad(limited, (0, len(samples) - len(limited))).astype(np.float32)


def _filtered(samples: Samples, steps: list[tuple[str, str]]) -> Iterator[av.AudioFrame]:
    """Yield the frames that come out of a chain of FFmpeg's filters."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(format="flt", sample_rate=RATE, layout="stereo")
    last = source
    for name, arguments in [*steps, ("aformat", "sample_fmts=flt"), ("abuffersink", "")]:
        step = graph.add(name, arguments) if arguments else graph.add(name)
        last.link_to(step)
        last = step
    graph.configure()

    def results() -> Iterator[av.AudioFrame]:
        while True:
            try:
                frame = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, av.AudioFrame)
            yield frame

    for start in range(0, len(samples), BLOCK):
        both = np.repeat(samples[start : start + BLOCK, None], 2, axis=1)
        frame = av.AudioFrame.from_ndarray(both.reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate, frame.pts = RATE, start
        graph.push(frame)
        yield from results()
    graph.push(None)
    yield from results()
