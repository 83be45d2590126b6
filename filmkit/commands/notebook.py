"""Films and live pictures in notebooks: the functions ``show`` and ``widget`` of filmkit."""

from __future__ import annotations

import io
import sys
from base64 import b64encode
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

import click

from extract.support.assets import installing
from extract.support.temporary import temporary_folder
from extract.trace import Trace
from filmkit.commands.options import require_language, scenes_named
from filmkit.core.language import DEFAULT_LANGUAGE, ENGLISH, Language, use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.choice import choose, choose_beginning, now_called
from filmkit.render.quality import ASPECTS, QUALITIES, quality_of
from filmkit.render.traces import find_trace

if TYPE_CHECKING:
    from filmkit.explore.widget import LiveWidget

__all__ = ["NotebookFilm", "show", "widget"]

CLASS = "attention-film"  # CSS class of the video element; by default browsers draw large captions


@dataclass(frozen=True, repr=False)
class NotebookFilm:
    """A film that a notebook displays.

    The notebook holds the whole film: nothing is loaded from elsewhere.

    Attributes
    ----------
    title
        Title of the scene, and of the beat if there is one.
    video
        Content of an mp4 file.
    captions
        Content of a WebVTT file.
    poster
        Content of a JPEG file: the last picture, shown until the film is played.
    width, height
        Size of the film in pixels.
    language
        Language of the film.

    Examples
    --------
    >>> from pathlib import Path
    >>> from filmkit import show
    >>> film = show("scene_mla", beat="flatten", quality="draft")
    >>> Path("flatten.mp4").write_bytes(film.video) == len(film.video)
    True
    """

    title: str
    video: bytes
    captions: str
    poster: bytes
    width: int
    height: int
    language: Language = ENGLISH

    def __repr__(self) -> str:
        return f"<{self.title}: an mp4 of {len(self.video) / 1e6:.1f} MB>"

    def _repr_html_(self) -> str:
        # src is an attribute of the video element: VS Code does not play a source element.
        return (
            f"<style>video.{CLASS}::cue {{ font-size: 75% }}</style>"
            f'<video class="{CLASS}" controls playsinline preload="metadata" '
            f'aria-label="{escape(self.title)}" '
            f'width="{self.width}" style="max-width: 100%; height: auto" '
            f'poster="{_data_uri("image/jpeg", self.poster)}" '
            f'src="{_data_uri("video/mp4", self.video)}">'
            f'<track kind="captions" srclang="{self.language.tag}" '
            f'label="{escape(self.language.name)}" default '
            f'src="{_data_uri("text/vtt", self.captions.encode())}"></video>'
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
    language: str = DEFAULT_LANGUAGE,
    jobs: int | None = None,
) -> NotebookFilm:
    """Return a scene, or one of its beats, as a film with captions.

    The film is rendered unless it is in the cache. The command line uses the same cache.

    Parameters
    ----------
    scene
        Name of a scene, such as "scene_mla", or the file of another one, such as "mine.py".
    beat
        Name of a beat, or the beginning of it; the whole scene if None.
    trace
        The trace to draw: what ``extract.trace(model, tokenizer, prompt)`` returns, or the path of
        a trace file; the default one of the command line if None.
    layer
        Layer to show, counted from 0; the one that the trace features if None.
    head
        Head to show, counted from 0; the one that the trace features if None.
    quality
        Size and frame rate: "draft", "hd", "fullhd" or "4k".
    aspect
        Shape of the picture: "16:9", "4:3", "1:1" or "9:16".
    theme
        Colours of text, lines and background: "dark", "light" or "print".
    palette
        Colours of the heatmaps: "roles", "film" or "signed", as ``--palette`` of a render.
    language
        Language of words and narration: "en", "de", "es", "fr" or "zh", or another one into which
        a scene of your own is translated.
    jobs
        Number of processes that draw; one per core if None.

    Returns
    -------
    NotebookFilm
        Displayed by the notebook when it is the last expression of a cell.

    Raises
    ------
    ValueError
        When there is no such scene, beat, layer, head, quality, aspect, theme, palette or
        language, when a language needs fonts, or when no process may draw.
    extract.TraceError
        When the trace cannot be read.
    RuntimeError
        When the scene could not be rendered; the reason has been printed by then.

    Examples
    --------
    >>> from filmkit import show
    >>> film = show("scene_mla", beat="move_the_bracket", quality="draft")
    >>> film.title, film.width, film.height
    ('Multi-head latent attention: Move the bracket', 854, 480)
    """
    # Loaded here, so that importing this module does not wait a second for Manim.
    from filmkit.render.jobs import make_films
    from filmkit.render.request import RenderRequest

    choices = (
        ("quality", quality, QUALITIES),
        ("aspect", aspect, ASPECTS),
        ("theme", theme, THEMES),
        ("palette", palette, PALETTES),
    )
    _require_numbers(layer=layer, head=head, jobs=jobs)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}; at least 1 process has to draw")
    with temporary_folder() as folder:
        try:
            (entry,) = scenes_named([scene])
            for option, name, known in choices:
                _choose(name, known, option)
            language = language.replace("-", "_")
            require_language(language, [entry])
            file = folder / "trace.safetensors"
            if isinstance(trace, Trace):
                trace.save(file)
            else:
                file = find_trace(Path(trace) if trace is not None else None)
            beat_name = _full_name(entry, file, beat) if beat else "all"
            request = RenderRequest.chosen(
                scenes=(entry,),
                trace=file,
                layer=layer,
                head=head,
                theme=theme,
                palette=palette,
                language=language,
                quality=quality_of(quality, aspect),
                out=folder / "film",
                quiet=True,
                beat=beat_name,
                jobs=jobs,
            )
            with _without_main_module(), use_language(language):
                succeeded = make_films(request)
            if not succeeded:
                raise RuntimeError(f"{scene} could not be rendered; the message above says why")
        except click.ClickException as error:
            raise ValueError(error.message) from None
        (film,) = request.out.rglob("*.mp4")
        with use_language(language) as spoken:
            title = entry.shown_title
            if beat:
                title = f"{title}: {entry.title_of_beat(beat_name)}"
        return NotebookFilm(
            title=title,
            video=film.read_bytes(),
            captions=film.with_suffix(".vtt").read_text(encoding="utf-8"),
            poster=_last_picture(film),
            width=request.quality.width,
            height=request.quality.height,
            language=spoken,
        )


def widget(
    picture: str,
    *,
    trace: Trace | Path | str | None = None,
    layer: int | None = None,
    head: int | None = None,
    theme: str = THEMES[0],
    palette: str = PALETTES[0],
    language: str = DEFAULT_LANGUAGE,
) -> LiveWidget:
    """Return a picture of attention to try by hand; what is chosen in it comes back to Python.

    It needs anywidget: ``pip install -e '.[notebook]'``.

    Parameters
    ----------
    picture
        "pattern": the attention pattern of a head, and the product behind each of its cells;
        "rows": one row of it, with the temperature of its softmax and the values that it mixes;
        "heads": all heads on an arc, and how many sets of keys and values they share;
        "rank": a converted model, and how many numbers its latent keeps for each word.
    trace
        The trace to draw: what ``extract.trace(model, tokenizer, prompt)`` returns, or the path of
        a trace file; the default one of the command line if None.
    layer
        Layer to show, counted from 0; the one that the trace features if None. A conversion was
        measured in that one only.
    head
        Head that is chosen at first, counted from 0; the one that the trace features if None.
    theme
        Colours of text, lines and background: "dark", "light" or "print", which is light, too.
    palette
        Colours of the heatmaps: "roles", "film" or "signed".
    language
        Language of its words: "en", "de", "es", "fr" or "zh".

    Returns
    -------
    LiveWidget
        Displayed by the notebook when it is the last expression of a cell. Its ``value`` is a dict
        with what is chosen and what that gives, from the beginning. All positions are those in the
        prompt, from 0; a beginning token, which is not drawn, counts, but cannot be chosen.

        - "pattern": ``layer``, ``head``, ``query`` and ``key`` with ``query_word`` and
          ``key_word``, ``score`` (None where the model does not look) and ``weight``;
        - "rows": ``layer``, ``head``, ``query`` with ``query_word``, ``temperature``, the
          ``scores`` and ``weights`` of the keys up to the query, and the words that are ``off``;
        - "heads": as "pattern" without ``score``, the number of ``sets``, and the share of
          attention that ``moved``; with fewer sets than the model has, ``weight`` is theirs;
        - "rank": ``layer``, ``head``, ``numbers`` kept for each word and layer, and for each way
          ("latent_then_rotate", "mla") a dict with the share of attention ``moved``, the
          probability of the ``next_word``, ``key_error`` and ``value_error``.

        Set it, wholly or in part, and the picture follows: ``picture.value = {"query": 5}``, or
        ``{"query": "white"}`` if the word stands there once. In "rank", ``numbers`` is what can be
        set: ``{"numbers": 48}``. The rest stays as it was or is computed anew: the ``key`` is the
        strongest one if the one before comes after the query. The dict itself cannot be changed; a
        copy of it can.

    Raises
    ------
    ImportError
        When anywidget is not installed.
    ValueError
        When there is no such picture, layer, head, theme, palette or language, or the trace lacks
        what the picture shows; also when ``value`` is set to what cannot be chosen.
    extract.TraceError
        When the trace cannot be read.

    Examples
    --------
    >>> from filmkit import widget
    >>> pattern = widget("pattern", layer=11, head=3)
    >>> pattern.value = {"query": 5, "key": 2}
    >>> pattern.value["query_word"], pattern.value["key_word"]
    ('red', 'American')
    """
    if find_spec("anywidget") is None:
        raise ImportError(f"a live picture needs anywidget: {installing('notebook')}")
    from filmkit.core.errors import StageError
    from filmkit.core.view import LayerView
    from filmkit.explore.widget import PICTURES, make_widget
    from filmkit.render.request import require_layer_and_head

    try:
        _require_numbers(layer=layer, head=head)
        for option, name, known in (
            ("picture", picture, PICTURES),
            ("theme", theme, THEMES),
            ("palette", palette, PALETTES),
        ):
            _choose(name, known, option)
        language = language.replace("-", "_")
        require_language(language, [])
        if not isinstance(trace, Trace):
            trace = Trace.load(find_trace(Path(trace) if trace is not None else None))
        require_layer_and_head(trace, layer, head)
        with use_language(language):
            view = LayerView.of_prompt(trace, layer, show_first_token=False)
            return make_widget(picture, view, head, palette=palette, theme=theme)
    except click.ClickException as error:
        raise ValueError(error.message) from None
    except StageError as error:
        raise ValueError(str(error)) from None


def _choose(name: object, known: Collection[str], kind: str) -> None:
    """Check that a name is known; the error lists those that are."""
    try:
        choose(str(name), known, kind, kind)
    except click.BadParameter as error:
        listed = ", ".join(known)
        if listed in error.message:
            raise
        raise ValueError(f"{error.message} There are {listed}") from None


def _require_numbers(**given: object) -> None:
    for name, number in given.items():
        if number is not None and not isinstance(number, Integral):
            raise ValueError(f"{name} is {number!r}; it has to be a whole number")


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep processes that are started in the block from importing the user's main program.

    By default a spawned process imports it. A program that calls ``show`` at its top level would
    then call it again in every process, and start processes without end.
    """
    main = vars(sys.modules["__main__"])
    saved = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update({"__spec__": None} | saved)


def _full_name(entry: SceneEntry, trace_file: Path, beat: str) -> str:
    """Return the name of the beat that has a beginning."""
    names = entry.load().beat_names(Trace.load(trace_file))
    name = now_called(beat, [entry], "beat")
    return choose_beginning(name, names, f"beat of {entry.slug}", "beat")


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


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"
