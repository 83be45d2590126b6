"""Decks as .pptx and PDF, read back from the saved files; and the command that makes them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import av
import numpy as np
import pytest
from lxml import etree
from PIL import Image
from pptx import Presentation
from pypdf import PdfReader

from filmkit.commands import cli, options
from filmkit.commands import deck as command
from filmkit.core.card import FILM_TITLE
from filmkit.decks import DeckOptions, deck_name, file_name
from filmkit.decks.make import make_deck
from filmkit.decks.title_slide import title_slide
from filmkit.render.quality import Quality, quality_of
from filmkit.render.runner import manim_config
from tests.support.deck_scene import CELLS, LENGTHS
from tests.support.filming import render_request
from tests.support.live_scenes import LIVE
from tests.support.pdfs import alt_texts_of
from tests.support.traces import make_trace

SMALL = Quality(640, 360, 10)
TITLES = ["Queries", "Scores over them", "From the side"]
NAMESPACES = {
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "p14": "http://schemas.microsoft.com/office/powerpoint/2010/main",
    "rel": "http://schemas.openxmlformats.org/package/2006/relationships",
    "ct": "http://schemas.openxmlformats.org/package/2006/content-types",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a deck of each kind but "web"; their beats are filmed once."""
    folder = tmp_path_factory.mktemp("decks")
    file = folder / "trace.safetensors"
    make_trace(n_tokens=4).save(file)
    request = render_request((CELLS,), file, folder, quality=SMALL, cache=folder / "cache")
    for kind, name in (
        ("powerpoint", "powerpoint.pptx"),
        ("keynote", "keynote.pptx"),
        ("gslides", "gslides.pptx"),
        ("pdf", "pages.pdf"),
    ):
        assert make_deck(request, kind, folder / name)
    return folder


class Package:
    """The parts of a saved presentation."""

    def __init__(self, path: Path) -> None:
        with ZipFile(path) as archive:
            assert archive.testzip() is None
            self.names = archive.namelist()
            self.parts = {name: archive.read(name) for name in self.names}

    def xml(self, name: str) -> Any:
        return etree.fromstring(self.parts[name])

    def targets(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the kind and the file of each relationship of a part."""
        folder, _, file = name.rpartition("/")
        targets = {}
        for relation in self.xml(f"{folder}/_rels/{file}.rels"):
            target = Path(folder, relation.get("Target")).as_posix()
            while "/../" in target:
                target = re.sub(r"[^/]+/\.\./", "", target, count=1)
            kind = relation.get("Type").rpartition("/")[2]
            targets[relation.get("Id")] = (kind, target)
        return targets


@pytest.fixture(params=["powerpoint", "keynote"])
def package(folder: Path, request: pytest.FixtureRequest) -> Package:
    return Package(folder / f"{request.param}.pptx")


def select(root: Any, path: str) -> list[Any]:
    return list(root.xpath(path, namespaces=NAMESPACES))


def slide_names(package: Package) -> list[str]:
    listed = package.xml("ppt/presentation.xml")
    targets = package.targets("ppt/presentation.xml")
    return [targets[key][1] for key in select(listed, "//p:sldId/@r:id")]


def test_a_slide_for_each_beat_with_its_notes(folder: Path) -> None:
    for name in ("powerpoint", "keynote", "gslides"):
        slides = list(Presentation(str(folder / f"{name}.pptx")).slides)
        assert [slide.shapes.title.text for slide in slides] == TITLES
        notes = [slide.notes_slide.notes_text_frame.text for slide in slides]
        assert notes[1].startswith("The scores lie over the queries.")
        assert "Next: From the side." in notes[1]


def test_keynote_gets_a_notes_master_and_no_wrong_slide_format(package: Package) -> None:
    root = package.xml("ppt/presentation.xml")
    (relationship_id,) = select(root, "p:notesMasterIdLst/p:notesMasterId/@r:id")
    kind, target = package.targets("ppt/presentation.xml")[relationship_id]
    assert kind == "notesMaster"
    assert target in package.names
    order_of_parts = [etree.QName(child).localname for child in root]
    assert order_of_parts.index("notesMasterIdLst") == order_of_parts.index("sldMasterIdLst") + 1
    (size,) = select(root, "p:sldSz")
    assert "type" not in size.attrib
    assert int(size.get("cx")) / int(size.get("cy")) == pytest.approx(16 / 9, rel=1e-3)
    assert not any(b"<p:cxnSp>" in package.parts[name] for name in slide_names(package))


def test_every_part_has_a_content_type_and_every_relationship_a_part(package: Package) -> None:
    content_types = package.xml("[Content_Types].xml")
    extensions = set(select(content_types, "ct:Default/@Extension"))
    named = {name.lstrip("/") for name in select(content_types, "ct:Override/@PartName")}
    for name in package.names:
        assert name in named or name.rpartition(".")[2] in extensions, name
    (film,) = select(content_types, "ct:Default[@Extension='mp4']/@ContentType")
    assert film == "video/mp4"
    for name in slide_names(package):
        for _, target in package.targets(name).values():
            assert target in package.names


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_film_is_in_the_slide_and_its_end_is_the_poster(
    package: Package, number: int, tmp_path: Path
) -> None:
    name = slide_names(package)[number]
    root, targets = package.xml(name), package.targets(name)
    (picture,) = select(root, "//p:pic")
    link = select(picture, ".//a:videoFile/@r:link")
    embedded = select(picture, ".//p14:media/@r:embed")
    assert [targets[key][0] for key in (*link, *embedded)] == ["video", "media"]
    (film,) = {targets[key][1] for key in (*link, *embedded)}
    kind, poster = targets[select(picture, "p:blipFill/a:blip/@r:embed")[0]]
    assert kind == "image"
    for part in (film, poster):
        (tmp_path / Path(part).name).write_bytes(package.parts[part])
    with av.open(tmp_path / Path(film).name) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        pictures = [
            frame.to_ndarray(format="rgb24", src_colorspace="ITU709")
            for frame in container.decode(video=0)
        ]
    still = np.asarray(Image.open(tmp_path / Path(poster).name).convert("RGB"), dtype=int)
    assert np.abs(still - pictures[-1]).mean() < 2
    # The index comes first, so that a film can start before all of it is read.
    data = package.parts[film]
    assert data.index(b"moov") < data.index(b"mdat")
    (box,) = select(picture, "p:spPr/a:xfrm")
    (size,) = select(package.xml("ppt/presentation.xml"), "p:sldSz")
    assert dict(box.find("a:off", NAMESPACES).attrib) == {"x": "0", "y": "0"}
    assert dict(box.find("a:ext", NAMESPACES).attrib) == {
        "cx": size.get("cx"),
        "cy": size.get("cy"),
    }


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_film_plays_on_entry_and_stays_at_its_end(package: Package, number: int) -> None:
    root = package.xml(slide_names(package)[number])
    (shape,) = select(root, "//p:pic/p:nvPicPr/p:cNvPr/@id")
    (timing,) = select(root, "p:timing")
    assert set(select(timing, "//p:spTgt/@spid")) == {shape}
    # With the slide, not after a click.
    (effect,) = select(timing, ".//p:cTn[@presetClass='mediacall']")
    assert effect.get("nodeType") == "afterEffect"
    outer = select(effect, "ancestor::p:par[3]/p:cTn/p:stCondLst/p:cond[@evt='onBegin']/p:tn/@val")
    (main,) = select(timing, ".//p:cTn[@nodeType='mainSeq']/@id")
    assert outer == [main]
    (call,) = select(effect, ".//p:cmd")
    assert (call.get("type"), call.get("cmd")) == ("call", "playFrom(0.0)")
    (length,) = select(call, ".//p:cTn/@dur")
    assert int(length) == pytest.approx(1000 * LENGTHS[number], abs=1)
    # Not rewound, not hidden; only the last beat is repeated.
    (node,) = select(timing, ".//p:video/p:cMediaNode/p:cTn")
    assert node.get("fill") == "hold"
    assert node.get("repeatCount") == (None, None, "indefinite")[number]
    assert select(timing, ".//p:video/p:cMediaNode")[0].get("showWhenStopped", "1") == "1"
    numbers = [int(number) for number in select(timing, ".//p:cTn/@id")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_pictures_have_alt_texts_and_shapes_are_numbered_without_a_gap(package: Package) -> None:
    for name, title in zip(slide_names(package), TITLES, strict=True):
        root = package.xml(name)
        (alt_text,) = select(root, "//p:pic/p:nvPicPr/p:cNvPr/@descr")
        assert alt_text.startswith(f"{title}. Heatmaps")
        numbers = [int(number) for number in select(root, "//p:cNvPr/@id")]
        assert numbers == list(range(1, len(numbers) + 1))


def test_google_slides_gets_pictures_and_a_folder_of_films(folder: Path) -> None:
    package = Package(folder / "gslides.pptx")
    assert not any(name.endswith(".mp4") for name in package.names)
    films = folder / "gslides_films"
    names = ["01_queries.mp4", "02_scores_over_them.mp4", "03_from_the_side.mp4"]
    assert sorted(path.name for path in films.iterdir()) == [*names, "HOWTO.txt"]
    instructions = (films / "HOWTO.txt").read_text()
    assert "gslides.pptx" in instructions
    assert all(name in instructions for name in names)


@pytest.mark.parametrize("name", ["powerpoint.pptx", "gslides.pptx", "pages.pdf", "web.html"])
def test_the_same_slides_make_the_same_file(folder: Path, tmp_path: Path, name: str) -> None:
    request = render_request(
        (CELLS,), folder / "trace.safetensors", tmp_path, quality=SMALL, cache=folder / "cache"
    )
    kind = {"pages.pdf": "pdf"}.get(name, Path(name).stem)
    for path in (folder / name, tmp_path / name):
        if not path.exists():
            assert make_deck(request, kind, path)
    assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


def test_no_deck_has_a_date(folder: Path) -> None:
    path = folder / "powerpoint.pptx"
    properties = Presentation(str(path)).core_properties
    assert (properties.created, properties.modified) == (None, None)
    with ZipFile(path) as archive:
        assert {part.date_time[0] for part in archive.infolist()} == {1980}
    found = PdfReader(folder / "pages.pdf").metadata
    assert found is not None
    assert not any("Date" in key for key in found)


def test_pdf_has_selectable_text_and_alt_texts(folder: Path) -> None:
    document = PdfReader(folder / "pages.pdf")
    assert len(document.pages) == 3
    assert document.metadata
    assert document.metadata.title == CELLS.title
    assert document.metadata.author == FILM_TITLE
    for page, title in zip(document.pages, TITLES, strict=True):
        assert title in page.extract_text()
    assert "A query cannot look ahead." in document.pages[1].extract_text()
    assert [mark.title for mark in document.outline] == TITLES
    catalog: Any = document.trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/Lang"] == "en"
    alt_texts = list(alt_texts_of(catalog["/StructTreeRoot"]))
    assert [text.partition(".")[0] for text in alt_texts] == TITLES


# A title slide, chosen beats, and slides that go on by themselves

CHOSEN = DeckOptions(
    beats=("from", "queries", "panels"), title="Attention", author="Ada Example", auto=True
)
CHOSEN_TITLES = ["Attention", "Queries", "From the side", "Panels"]


@pytest.fixture(scope="module")
def chosen(folder: Path) -> Path:
    """A folder with decks of two scenes that show chosen beats after a title slide."""
    out = folder / "chosen"
    request = render_request(
        (CELLS, LIVE["Rows"]),
        folder / "trace.safetensors",
        out,
        quality=SMALL,
        cache=folder / "cache",
    )
    for kind, name in (("powerpoint", "deck.pptx"), ("gslides", "drive.pptx"), ("pdf", "deck.pdf")):
        assert make_deck(request, kind, out / name, CHOSEN)
    return out


def test_chosen_beats_come_in_the_order_of_the_story(chosen: Path) -> None:
    document = Presentation(str(chosen / "deck.pptx"))
    slides = list(document.slides)
    assert [slide.shapes.title.text for slide in slides] == CHOSEN_TITLES
    notes = [slide.notes_slide.notes_text_frame.text for slide in slides]
    assert notes[0] == "Ada Example"
    assert "1 of 2" in notes[1]
    assert "Next: From the side." in notes[1]
    assert "2 of 2" in notes[2]
    assert document.core_properties.title == "Attention"
    assert document.core_properties.author == "Ada Example"
    assert document.core_properties.comments == FILM_TITLE


def test_the_title_slide_has_no_film(chosen: Path) -> None:
    package = Package(chosen / "deck.pptx")
    films = [bool(select(package.xml(name), "//a:videoFile")) for name in slide_names(package)]
    assert films == [False, True, True, True]
    (alt_text,) = select(package.xml(slide_names(package)[0]), "//p:pic/p:nvPicPr/p:cNvPr/@descr")
    assert alt_text.startswith("Attention, Ada Example. Heatmap")


def test_slides_go_on_after_their_films_and_begin_again(chosen: Path) -> None:
    package = Package(chosen / "deck.pptx")
    lengths = []
    for name in slide_names(package):
        root = package.xml(name)
        (transition,) = select(root, "p:transition")
        assert transition.get("advClick") == "1"
        lengths.append(int(transition.get("advTm")))
        order = [etree.QName(child).localname for child in root]
        assert order.index("transition") > order.index("clrMapOvr")
        if "timing" in order:
            assert order.index("timing") == order.index("transition") + 1
    assert lengths[1:3] == pytest.approx(
        [1000 * LENGTHS[0] + 2000, 1000 * LENGTHS[2] + 2000], abs=1
    )
    assert not any(select(package.xml(name), "//@repeatCount") for name in slide_names(package))
    properties = package.xml("ppt/presProps.xml")
    (show,) = select(properties, "p:showPr")
    assert show.get("loop") == "1"
    assert [etree.QName(child).localname for child in properties] == ["showPr", "extLst"]


def test_slides_wait_unless_they_are_for_a_stand(package: Package) -> None:
    assert not any(select(package.xml(name), "p:transition") for name in slide_names(package))
    assert not select(package.xml("ppt/presProps.xml"), "p:showPr")


def test_films_for_drive_have_the_numbers_of_their_slides(chosen: Path) -> None:
    names = ["02_queries.mp4", "03_from_the_side.mp4", "04_panels.mp4"]
    films = chosen / "drive_films"
    assert sorted(path.name for path in films.iterdir()) == [*names, "HOWTO.txt"]
    assert "slide 2: 02_queries.mp4" in (films / "HOWTO.txt").read_text()


def test_the_pdf_has_the_title_slide_too(chosen: Path) -> None:
    document = PdfReader(chosen / "deck.pdf")
    assert [mark.title for mark in document.outline] == CHOSEN_TITLES
    assert document.metadata
    assert (document.metadata.title, document.metadata.author) == ("Attention", "Ada Example")
    assert document.metadata.subject == FILM_TITLE, "the project is named beside the author"
    assert "Attention" not in document.pages[0].extract_text().replace("1 / 4", ""), (
        "its words are in the picture"
    )


LONG = "How a model remembers all that was ever said to it, and what a latent changes about that"


@pytest.mark.parametrize(
    ("aspect", "title", "tokens"),
    [
        ("16:9", LONG, 4),
        ("16:9", "Donaudampfschifffahrtsgesellschaft", 24),
        ("1:1", "Attention", 4),
        ("9:16", LONG, 24),
    ],
)
def test_a_title_slide_fits_its_frame(aspect: str, title: str, tokens: int, tmp_path: Path) -> None:
    size = quality_of("draft", aspect)
    request = render_request((), tmp_path / "trace.safetensors", tmp_path, quality=size)
    with manim_config(size):
        options = DeckOptions(author="Ada Example")
        slide = title_slide(request, make_trace(n_tokens=tokens), options, title)
    width, height = slide.picture_map["frame"]
    (panel,) = slide.picture_map["panels"]
    left, top = np.min(panel["corners"], axis=0)
    right, bottom = np.max(panel["corners"], axis=0)
    assert min(left, top, width - right, height - bottom) > 0
    shown = [text["text"] for text in slide.picture_map["texts"]]
    assert all(word in " ".join(shown) for word in (*title.split(), "Ada"))
    for text in slide.picture_map["texts"]:
        a, b, c, d = text["box"]
        assert min(a, b, width - c, height - d) > 0, text
        assert c <= left or a >= right or d <= top or b >= bottom, text


@pytest.mark.parametrize(
    "title", ["می\u200cخواهم سلام", "👩\u200d🔬 reads", "क्\u200dष नमस्ते", "cafe\u0301", "a\u00a0b"]
)
def test_titles_in_any_script_are_taken_as_they_are(title: str) -> None:
    made = command.deck.make_context("deck", ["scene_mla", "--title", title])
    assert made.params["title"] == title.replace("\u00a0", " ")


def test_no_two_decks_have_the_same_name() -> None:
    several = deck_name(["scene_a", "scene_b"])
    names = [
        *(
            file_name("scene_a", kind)
            for kind in ("web", "powerpoint", "keynote", "gslides", "pdf")
        ),
        file_name(several, "web"),
        file_name(deck_name(["scene_a"], ["x"]), "web"),
        file_name(deck_name(["scene_a"], ["x", "y"]), "web"),
        file_name(deck_name(["scene_a"], more=["light"]), "web"),
        file_name(deck_name(["film"]), "web"),
    ]
    assert len(set(names)) == len(names)
    long = [deck_name(["scene_a"], [f"beat_{i}" for i in range(n)]) for n in (40, 41)]
    assert long[0] != long[1]
    assert max(map(len, long)) == 100


def exit_code(*arguments: str) -> int:
    """Return the exit code of the command ``deck``."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(["deck", *arguments])
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scene_cells", "--for", "paper"], ["paper", "powerpoint"]),
        (["scene_cell"], ["did you mean scene_cells?"]),
        (["--quality", "draft"], ["name scenes or give --all"]),
        (["scene_cells", "--all"], ["not both"]),
        (["scene_cells", "--for", "pdf", "--films-beside"], ["web"]),
        (["scene_cells", "--for", "pdf", "--out", "deck.pptx"], ["ends in .pdf"]),
        (["scene_cells", "--beats", "queries,nope"], ["there is no beat 'nope'"]),
        (["scene_cells", "--beats", "../queries"], ["there is no beat '../queries'"]),
        (["scene_cells", "--beats", "queries,,scores"], ["--beats", "commas"]),
        (["scene_cells", "--for", "pdf", "--auto"], ["--auto", "web or powerpoint or keynote"]),
        (["scene_cells", "--for", "keynote", "--minutes", "20"], ["--minutes", "--for web"]),
        (["scene_cells", "--for", "pdf", "--master"], ["a pdf deck has no films"]),
        (["scene_cells", "--minutes", "0"], ["--minutes", "such as 20"]),
        (["scene_cells", "--minutes", "nan"], ["--minutes", "such as 20"]),
        (["scene_cells", "--minutes", "inf"], ["--minutes", "such as 20"]),
        (["scene_cells", "--title", " "], ["--title", "a line of text"]),
        (["scene_cells", "--title", "a\x1b"], ["--title", "without control characters"]),
        (["scene_cells", "--title", "\u202eabc"], ["--title", "marks of direction"]),
    ],
)
def test_wrong_calls_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: list[str],
) -> None:
    monkeypatch.setattr(options, "SCENES", (CELLS,))
    assert exit_code(*arguments, "--quiet") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in words), error


def test_a_deck_of_several_scenes_and_chosen_beats_is_named_after_them(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(options, "SCENES", (CELLS, LIVE["Rows"]))
    monkeypatch.chdir(tmp_path)
    arguments = ["scene_cells", "scene_rows", "--for", "pdf", "--beats", "pan,queries"]
    arguments += ["--theme", "light", "--aspect", "1:1", "--quality", "draft"]
    assert exit_code(*arguments, "--trace", str(folder / "trace.safetensors")) == 0
    name = "decks/scene_cells+scene_rows.pan+queries.light.1x1.pdf"
    assert capsys.readouterr().out == f"{name}\n"
    assert [mark.title for mark in PdfReader(tmp_path / name).outline] == ["Queries", "Panels"]


def test_a_missing_pptx_library_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(options, "SCENES", (CELLS,))
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert exit_code("scene_cells", "--for", "keynote") == 1
    assert capsys.readouterr().err == "Error: slides need python-pptx: pip install -e '.[decks]'\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize(("kind", "suffix"), [("powerpoint", "pptx"), ("web", "html")])
def test_a_full_disk_leaves_nothing_behind(
    kind: str, suffix: str, folder: Path, tmp_path: Path
) -> None:
    from extract.support.files import OutputError

    request = render_request(
        (CELLS,), folder / "trace.safetensors", tmp_path, quality=SMALL, cache=folder / "cache"
    )
    target = tmp_path / f"deck.{suffix}"
    with pytest.raises(OutputError, match=f"cannot write {target}"):
        make_deck(request, kind, target)
    assert list(tmp_path.iterdir()) == []
