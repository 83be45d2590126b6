"""Configure Manim."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager

import cv2
from manim import config, tempconfig
from manim._config.utils import ManimConfig, config_file_paths

from extract.support.temporary import temporary_folder
from filmkit.render.quality import Quality, frame_size

__all__ = ["manim_config"]


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
    library_file = config_file_paths()[0]
    defaults = ConfigParser()
    defaults.read(library_file)
    with temporary_folder() as scratch, tempconfig({}):
        config.update(ManimConfig().digest_parser(defaults))
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
