"""Captions as a track inside a film, which players show or hide."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av

from filmkit.words.captions import Cue, escaped

__all__ = ["mux_captions"]

MILLISECONDS = Fraction(1, 1000)

# FFmpeg writes how a track of captions looks from a header in the format of SubStation Alpha.
STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, BackColour, BorderStyle, Alignment, Encoding
Style: Default,Sans,18,&Hffffff,&H80000000,3,2,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def mux_captions(container: av.container.OutputContainer, cues: Sequence[Cue]) -> None:
    """Add a track of captions to a film whose pictures have a stream but no packet yet.

    An mp4 or mov gets 3GPP timed text, which PowerPoint, Keynote and QuickTime show, a webm gets
    WebVTT.
    """
    webm = container.format.name == "webm"
    stream: Any = container.add_stream("webvtt" if webm else "mov_text")
    context = stream.codec_context
    context.subtitle_header = STYLE
    stream.time_base = context.time_base = MILLISECONDS
    stream.metadata["language"] = "eng"
    # All before the pictures: the container puts everything in the order of its times.
    for cue in cues:
        packet = av.Packet(_text_for_webm(cue) if webm else _text_for_mov(cue))
        start, end = (round(seconds / MILLISECONDS) for seconds in (cue.start, cue.end))
        packet.stream = stream
        packet.time_base = MILLISECONDS
        packet.pts = packet.dts = start
        packet.duration = end - start
        container.mux(packet)


def _text_for_mov(cue: Cue) -> bytes:
    text = "\n".join(cue.lines).encode()
    return struct.pack(">H", len(text)) + text


def _text_for_webm(cue: Cue) -> bytes:
    return "\n".join(map(escaped, cue.lines)).encode()
