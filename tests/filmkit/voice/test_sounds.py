"""Sound files of every format are read alike, and bad ones are refused with one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from filmkit.render.movie import MP4, open_movie
from filmkit.render.quality import Quality
from filmkit.voice.errors import VoiceError
from filmkit.voice.sounds import (
    RATE,
    Samples,
    clipped_places,
    faded,
    pauses,
    read_sound,
    samples_in,
    silence,
    spoken_span,
    write_wav,
)
from tests.support.voices import speech_like, tone, write_sound

SOUND = np.concatenate([silence(0.3), speech_like([(0.8, 0.4), (0.6, 0.2)])])


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".wav", "pcm_s16le"),
        (".wav", "pcm_u8"),
        (".wav", "pcm_f32le"),
        (".flac", "flac"),
        (".mp3", "libmp3lame"),
        (".m4a", "aac"),
        (".opus", "libopus"),
        (".ogg", "libopus"),
    ],
)
def test_every_format_says_the_same(suffix: str, codec: str, tmp_path: Path) -> None:
    read = read_sound(write_sound(tmp_path / f"take{suffix}", SOUND, codec=codec))
    assert read.dtype == np.float32
    assert len(read) / RATE == pytest.approx(2.3, abs=0.06)
    assert spoken_span(read) == pytest.approx((0.3, 2.1), abs=0.05)
    assert np.ravel(pauses(read)) == pytest.approx([1.1, 1.5], abs=0.05)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (96_000, 2), (RATE, 8)])
def test_other_rates_and_channels_have_the_same_level(
    rate: int, channels: int, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "take.wav", tone(1.0), rate=rate, channels=channels)
    read = read_sound(path)
    assert len(read) / RATE == pytest.approx(RATE / rate, abs=0.01)
    assert np.abs(read).max() == pytest.approx(0.3, abs=0.01)


def clipped() -> Samples:
    return np.clip(tone(1.0, level=1.4), -1, 1)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "sound.wav", SOUND)
    assert np.abs(read_sound(tmp_path / "sound.wav") - SOUND).max() < 1e-4


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (silence(0), {}, "is empty"),
        (tone(0.02), {}, "is empty"),
        (silence(1), {}, "is silent"),
        (clipped(), {}, "is clipped in"),
        (tone(1), {"rate": 8000}, "8000 samples a second"),
    ],
    ids=["nothing", "too short", "silent", "clipped", "telephone"],
)
def test_bad_recordings_are_refused(
    samples: Samples, options: dict[str, int], words: str, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "take.wav", samples, **options)  # type: ignore[arg-type]
    with pytest.raises(VoiceError, match=words) as error:
        read_sound(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp3", "libmp3lame"), (".m4a", "aac"), (".opus", "libopus")]
)
def test_clipped_recordings_are_refused_in_lossy_formats_too(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    """Though their flat tops are not flat any more."""
    path = tmp_path / f"take{suffix}"
    read_sound(write_sound(path, tone(1.0, level=0.95), codec=codec))
    write_sound(path, np.clip(tone(1.0, level=2.0), -1, 1), codec=codec)
    with pytest.raises(VoiceError, match="is clipped in"):
        read_sound(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with a path")
def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "take.wav")
    with pytest.raises(VoiceError, match="is not a file"):
        read_sound(tmp_path / "take.wav")


def test_files_without_sound_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a sound at all")
    with pytest.raises(VoiceError, match=r"cannot read .*text\.wav"):
        read_sound(tmp_path / "text.wav")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(VoiceError, match=r"cannot read .*empty\.wav"):
        read_sound(tmp_path / "empty.wav")
    with open_movie(tmp_path / "film.mp4", Quality(64, 64, 10), MP4) as movie:
        movie.write(np.zeros((64, 64, 3), np.uint8), 5)
    with pytest.raises(VoiceError, match="holds no sound"):
        read_sound(tmp_path / "film.mp4")


def test_a_loud_voice_is_not_clipped() -> None:
    assert clipped_places(tone(1.0, level=1.0)) == 0
    assert clipped_places(clipped()) > 100


def test_noise_is_not_speech() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, len(SOUND)).astype(np.float32)
    assert spoken_span(SOUND + noise) == pytest.approx((0.3, 2.1), abs=0.02)
    assert len(pauses(SOUND + noise)) == 1


def test_a_fade_changes_the_ends_alone() -> None:
    sound = faded(np.ones(samples_in(1.0), np.float32), 0.01)
    assert sound[0] == sound[-1] == 0
    assert (sound[samples_in(0.01) : -samples_in(0.01)] == 1).all()
    assert len(faded(silence(0), 0.01)) == 0
