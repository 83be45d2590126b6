"""Films in notebooks: what ``from filmkit import show`` gives."""

from __future__ import annotations

import io
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.choice import choose
from filmkit.render.quality import ASPECTS, QUALITIES, quality_of
from filmkit.render.traces import find_trace
from scenes.registry import SCENES

__all__ = ["Showing", "show"]

CLASS = "attention-film"  # of the video element: captions are large by default


@dataclass(frozen=True, repr=False)
class Showing:
    """A film that a notebook displays: nothing is loaded from elsewhere, so it stays in the page.

    Attributes
    ----------
    title
        What is shown.
    video
        An mp4 file.
    captions
        A WebVTT file.
    poster
        A JPEG file of the last picture, shown until the film is played.
    width, height
        In pixels.
    """

    title: str
    video: bytes
    captions: str
    poster: bytes
    width: int
    height: int

    def __repr__(self) -> str:
        return f"<{self.title}: an mp4 of {len(self.video) / 1e6:.1f} MB>"

    def _repr_html_(self) -> str:
        # The address is the video's own: VS Code does not play what stands in a source element.
        return (
            f"<style>video.{CLASS}::cue {{ font-size: 75% }}</style>"
            f'<video class="{CLASS}" controls playsinline preload="metadata" '
            f'aria-label="{escape(self.title)}" '
            f'width="{self.width}" style="max-width: 100%; height: auto" '
            f'poster="{_address("image/jpeg", self.poster)}" '
            f'src="{_address("video/mp4", self.video)}">'
            f'<track kind="captions" srclang="en" label="English" default '
            f'src="{_address("text/vtt", self.captions.encode())}"></video>'
        )


def show(
    scene: str,
    beat: str | None = None,
    *,
    trace: Trace | Path | str | None = None,
    layer: int | None = None,
    head: int | None = None,
    quality: str = "hd",
    aspect: str = next(iter(ASPECTS)),
    theme: str = THEMES[0],
    palette: str = PALETTES[0],
    jobs: int | None = None,
) -> Showing:
    """A scene, or one of its beats, as a film with captions.

    It is rendered unless it is in the cache, which the command line shares.

    Parameters
    ----------
    scene
        Such as "scene_mla".
    beat
        Its name, or how that begins; the whole scene if not given.
    trace
        The numbers: a trace, such as ``extract.trace(model, tokenizer, prompt)`` gives, or its
        file; by default as for the command line.
    layer, head
        Instead of the featured ones.
    quality, aspect, theme, palette
        As for the command line.
    jobs
        How many processes draw; as many as there are cores if not given.

    Raises
    ------
    ValueError
        When there is no such scene, beat, layer, head or look.
    extract.TraceError
        When the trace cannot be read.
    RuntimeError
        When the scene could not be rendered; what went wrong is printed before.
    """
    # Manim takes a second to load, which those who only import this need not wait for.
    from filmkit.render.jobs import make_films
    from filmkit.render.request import RenderRequest
    from filmkit.words.script import chapter_title

    entries = {entry.slug: entry for entry in SCENES}
    choices = (
        ("quality", quality, QUALITIES),
        ("aspect", aspect, ASPECTS),
        ("theme", theme, THEMES),
        ("palette", palette, PALETTES),
    )
    with TemporaryDirectory(prefix="attention-film-") as folder:
        try:
            entry = entries[choose(scene, entries, "scene", "scene")]
            for what, name, known in choices:
                choose(name, known, what, what)
            file = Path(folder) / "trace.safetensors"
            if isinstance(trace, Trace):
                trace.save(file)
            else:
                file = find_trace(Path(trace) if trace is not None else None)
            chosen = _beat(entry, file, beat) if beat else "all"
            request = RenderRequest(
                scenes=(entry,),
                trace=file,
                layer=layer,
                head=head,
                show_first_token=False,
                quality=quality_of(quality, aspect),
                out=Path(folder) / "film",
                quiet=True,
                verbose=False,
                beat=chosen,
                jobs=jobs,
                theme=theme,
                palette=palette,
            )
            with _alone():
                all_well = make_films(request)
            if not all_well:
                raise RuntimeError(f"{scene} could not be rendered; the message above says why")
        except click.BadParameter as error:
            raise ValueError(error.message) from error
        (film,) = request.out.rglob("*.mp4")
        return Showing(
            title=f"{entry.title}: {chapter_title(chosen)}" if beat else entry.title,
            video=film.read_bytes(),
            captions=film.with_suffix(".vtt").read_text(encoding="utf-8"),
            poster=_last_picture(film),
            width=request.quality.width,
            height=request.quality.height,
        )


@contextmanager
def _alone() -> Iterator[None]:
    """Processes that are started meanwhile do not run the user's own program again.

    They do so by default, and a program that is no more than a call of ``show`` would then start
    processes without end.
    """
    main = vars(sys.modules["__main__"])
    kept = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update({"__spec__": None} | kept)


def _beat(entry: SceneEntry, trace_file: Path, beat: str) -> str:
    names = entry.load().beat_names(Trace.load(trace_file))
    begins = [name for name in names if name.startswith(beat)]
    return begins[0] if begins and beat not in names else beat


def _last_picture(film: Path) -> bytes:
    import av
    from PIL import Image

    with av.open(film) as container:
        container.seek(container.duration or 0)
        *_, last = container.decode(video=0)
        pixels = last.to_ndarray(format="rgb24", src_colorspace="ITU709")
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, format="jpeg", quality=85)
    return picture.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"
