"""Add captions and sound to a film, as tracks of their own beside the pictures."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

from filmkit.core.language import current_language
from filmkit.render.formats import FORMATS
from filmkit.voice.sounds import RATE, Samples
from filmkit.words.captions import Cue, escape_vtt

__all__ = ["SoundTrack", "mux_captions"]

MILLISECONDS = Fraction(1, 1000)
BIT_RATE = 160_000  # bits a second of sound
BLOCK = RATE // 50  # samples that are encoded at a time

# FFmpeg takes the style of a caption track from a header in the SubStation Alpha format.
STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, BackColour, BorderStyle, Alignment, Encoding
Style: Default,Sans,18,&Hffffff,&H80000000,3,2,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def mux_captions(container: av.container.OutputContainer, cues: Sequence[Cue]) -> None:
    """Add a caption track to an open film.

    An mp4 or mov gets 3GPP timed text, which PowerPoint, Keynote and QuickTime show; a webm gets
    WebVTT.

    Parameters
    ----------
    container
        The film. It already has a video stream, but no video packets yet.
    cues
        The captions.
    """
    webm = container.format.name == "webm"
    stream: Any = container.add_stream(FORMATS[container.format.name].caption_codec)
    context = stream.codec_context
    context.subtitle_header = STYLE
    stream.time_base = context.time_base = MILLISECONDS
    stream.metadata["language"] = current_language().three_letters
    # All cues are written before the first video packet: FFmpeg interleaves the streams by time.
    for cue in cues:
        packet = av.Packet(_text_for_webm(cue) if webm else _text_for_mov(cue))
        start, end = (round(seconds / MILLISECONDS) for seconds in (cue.start, cue.end))
        packet.stream = stream
        packet.time_base = MILLISECONDS
        packet.pts = packet.dts = start
        packet.duration = end - start
        container.mux(packet)


def _text_for_mov(cue: Cue) -> bytes:
    """Encode a cue as 3GPP timed text: the number of bytes, then the text."""
    text = "\n".join(cue.lines).encode()
    return struct.pack(">H", len(text)) + text


def _text_for_webm(cue: Cue) -> bytes:
    """Encode a cue as WebVTT."""
    return "\n".join(map(escape_vtt, cue.lines)).encode()


class SoundTrack:
    """The sound of an open film, which is encoded while its pictures are written.

    An mp4 or mov gets AAC, a webm Opus; both channels are alike.

    Parameters
    ----------
    container
        The film. It already has a video stream, but no video packets yet.
    samples
        The sound.
    """

    def __init__(self, container: av.container.OutputContainer, samples: Samples) -> None:
        self._container = container
        self._samples = samples
        self._written = 0
        codec = FORMATS[container.format.name].audio_codec
        stream: Any = container.add_stream(codec, rate=RATE)
        self._stream = stream
        stream.codec_context.layout = "stereo"
        stream.codec_context.bit_rate = BIT_RATE
        stream.metadata["language"] = current_language().three_letters

    def write_until(self, seconds: float) -> None:
        """Write the sound until a time, so that it lies beside the pictures of that time."""
        while self._written < min(seconds * RATE, len(self._samples)):
            block = self._samples[self._written : self._written + BLOCK]
            both = np.ascontiguousarray(np.stack([block, block]))
            frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = self._written
            self._written += len(block)
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write the rest."""
        self.write_until(len(self._samples) / RATE)
        self._container.mux(self._stream.encode(None))
