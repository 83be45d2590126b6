"""Configure Manim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from functools import cache
from typing import Any

import cv2
from manim import config
from manim._config.utils import ManimConfig, config_file_paths

from extract.support.temporary import temporary_folder
from filmkit.render.quality import Quality, frame_size

__all__ = ["changed_config", "manim_config"]


@contextmanager
def manim_config(quality: Quality, *, verbosity: str = "ERROR") -> Iterator[None]:
    """Configure Manim during a ``with`` block, and restore its configuration afterwards.

    No other settings apply: a ``manim.cfg`` in the current folder or in the user's home does not
    change the film. Files that Manim writes on the way (outlines of text) go to a temporary folder.

    Parameters
    ----------
    quality
        Size and frame rate.
    verbosity
        Manim's log level.
    """
    # OpenCV is called for many small pictures: distributing them over threads costs more than it
    # saves.
    cv2.setNumThreads(1)
    width, height = frame_size(quality.width, quality.height)
    with temporary_folder() as scratch, changed_config({}):
        _adopt(_library_settings())
        config.update(
            {
                "pixel_width": quality.width,
                "pixel_height": quality.height,
                "frame_rate": quality.frame_rate,
                "frame_width": width,
                "frame_height": height,
                "media_dir": scratch,
                "format": "none",
                "verbosity": verbosity,
                "notify_outdated_version": False,
            }
        )
        yield


@contextmanager
def changed_config(settings: Mapping[str, Any]) -> Iterator[None]:
    """Change settings of Manim during a ``with`` block, and restore all of them afterwards.

    As Manim's ``tempconfig``, which takes some ten milliseconds to restore them.
    """
    before = config.copy()
    config.update(settings)
    try:
        yield
    finally:
        _adopt(before)


def _adopt(wanted: ManimConfig) -> None:
    """Change the settings that are not as wanted.

    Setting the renderer, be it the same, gives all mobject classes their base classes anew, and
    Python then forgets what it knows of them and of all classes below.
    """
    config.update({name: wanted[name] for name in wanted if config[name] != wanted[name]})


@cache
def _library_settings() -> ManimConfig:
    """Return Manim's own settings; nobody may change them."""
    library_file = config_file_paths()[0]
    defaults = ConfigParser()
    defaults.read(library_file)
    return ManimConfig().digest_parser(defaults)
