"""Add captions to a film as a separate track, which players can show or hide."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av

from filmkit.render.formats import FORMATS
from filmkit.words.captions import Cue, escape_vtt

__all__ = ["mux_captions"]

MILLISECONDS = Fraction(1, 1000)

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
    stream.metadata["language"] = "eng"
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
