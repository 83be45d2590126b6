"""Sizes of the axes of a matrix product: pitches of tokens, and what is drawn of channels."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ChannelAxis", "channel_axis"]

# Fractions of the frame's shorter side.
MAX_PITCH = 0.06  # of a token axis, and how much all tokens together take where they are many
ALL_TOKENS = 0.40
MANY_LETTERS = 0.024  # height of words where there are many rows
LINE = 1.1  # smallest pitch of rows with words, relative to the height of the words
MIN_CHANNEL = 3 / 1080  # a channel that is smaller cannot be seen
MAX_CHANNEL = 0.016
ELLIPSIS = 0.03  # room between the two ends of an axis that is too long to be drawn whole


@dataclass(frozen=True)
class ChannelAxis:
    """An axis of a factor with a row or column for each channel, and what is drawn of it.

    Attributes
    ----------
    count
        Number of channels.
    first, last
        How many of the first and of the last channels are drawn; ``last`` is 0 if all are.
    pitch
        Size of a channel, in scene units.
    length
        Length of the axis on screen with the ellipsis, in scene units.
    """

    count: int
    first: int = 0
    last: int = 0
    pitch: float = 0.0
    length: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether every channel is drawn."""
        return self.last == 0


def channel_axis(count: int, room: float, unit: float) -> ChannelAxis:
    """Return what is drawn of an axis of channels.

    Parameters
    ----------
    count
        Number of channels.
    room
        Largest length, in scene units.
    unit
        The frame's shorter side, in scene units.
    """
    pitch = min(room / count, MAX_CHANNEL * unit)
    if pitch >= MIN_CHANNEL * unit:
        return ChannelAxis(count, count, 0, pitch, pitch * count)
    pitch, dots = MIN_CHANNEL * unit, ELLIPSIS * unit
    drawn = max(2, int((room - dots) / pitch))
    first = (drawn + 1) // 2
    return ChannelAxis(count, first, drawn - first, pitch, pitch * drawn + dots)
