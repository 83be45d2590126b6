"""Films are as loud as BS.1770 says they should be, whatever was recorded."""

from __future__ import annotations

import numpy as np
import pytest

from filmkit.voice.loudness import LOUDNESS, PEAK, mastered, measure
from filmkit.voice.sounds import RATE, Samples, silence
from tests.support.voices import speech_like, tone


def bursts() -> Samples:
    """Return sound with peaks far above its mean, as speech has."""
    return np.tile(np.concatenate([tone(0.01, 0.9), tone(0.49, 0.08)]), 12)


def test_a_tone_is_measured_as_the_standard_says() -> None:
    times = np.arange(5 * RATE) / RATE
    loudness = measure((0.1 * np.sin(2 * np.pi * 997 * times)).astype(np.float32))
    # BS.1770: 0 LUFS is a sine of full scale at 997 Hz in one channel, here -20 dB in two.
    assert loudness.integrated == pytest.approx(-20.0, abs=0.1)
    assert loudness.peak == pytest.approx(-20.0, abs=0.1)


@pytest.mark.parametrize("level", [0.01, 0.3, 0.9])
def test_every_level_becomes_the_same(level: float) -> None:
    sound = speech_like([(1.0, 0.5), (2.0, 0.3), (1.5, 0.4)]) * np.float32(level)
    loud = mastered(sound)
    assert len(loud) == len(sound)
    assert measure(loud).integrated == pytest.approx(LOUDNESS, abs=0.2)


def test_peaks_stay_below_the_limit() -> None:
    plain = bursts()
    gain = 10 ** ((LOUDNESS - measure(plain).integrated) / 20)
    assert measure(plain * np.float32(gain)).peak > PEAK, "it would go over without a limiter"
    loudness = measure(mastered(plain))
    assert loudness.peak < PEAK
    assert loudness.integrated == pytest.approx(LOUDNESS, abs=0.3)


def test_sound_is_not_moved() -> None:
    sound = np.concatenate([silence(0.5), tone(1.0), silence(0.5)])
    loud = mastered(sound)
    assert np.flatnonzero(np.abs(loud) > 0.01)[0] == pytest.approx(RATE / 2, abs=50)


def test_silence_stays_silent() -> None:
    assert not mastered(silence(2.0)).any()
    assert len(mastered(silence(0))) == 0
