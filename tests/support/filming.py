"""Render films in tests, and read their frames."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.jobs import make_films
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest


def render_request(
    scenes: tuple[SceneEntry, ...], trace_file: Path, out: Path, **options: Any
) -> RenderRequest:
    """Return a request with plain options; it uses a temporary cache unless one is given."""
    plain = {
        "quality": Quality(320, 180, 10),
        "quiet": True,
        "jobs": 1,
        "keep_cache": "cache" in options,
    }
    return RenderRequest.chosen(scenes=scenes, trace=trace_file, out=out, **plain | options)


def segments(folder: Path) -> dict[Path, int]:
    """Return the parts of mp4 films in a cache, by path, with inodes: one made anew has another."""
    return {
        path: path.stat().st_ino
        for path in folder.rglob("*.mp4")
        if re.match(r"[0-9a-f]{64}\.", path.name)
    }


def film(entry: SceneEntry, trace: Trace, out: Path, quality: Quality) -> Path:
    """Render a scene without a cache, and return the path of its film."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trace.safetensors"
        trace.save(file)
        assert make_films(render_request((entry,), file, out, quality=quality))
    return out / f"{entry.slug}.mp4"


def pictures(path: Path) -> np.ndarray:
    """Return all frames of a film, (frames, height, width, 3)."""
    with av.open(path) as container:
        frames = [
            frame.to_ndarray(format="rgb24", src_colorspace="ITU709")
            for frame in container.decode(video=0)
        ]
    return np.stack(frames).astype(int)
