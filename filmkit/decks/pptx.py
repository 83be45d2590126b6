"""A deck as a .pptx file: one slide per beat, which plays its film and stops at the last picture.

The XML is what PowerPoint itself writes for a film that starts automatically. Keynote refuses two
kinds of file that python-pptx writes: one with notes whose presentation does not list its notes
master, and one whose slide size names a format (such as 4:3) that it does not have. Both are
corrected here.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from extract.support.files import OutputError, atomic_write
from filmkit.core.card import FILM_TITLE
from filmkit.core.language import _, current_language
from filmkit.core.theme import Theme
from filmkit.decks import PAUSE, DeckOptions
from filmkit.decks.slides import Slide

__all__ = ["write_slides"]

HEIGHT = 6_858_000  # height of a slide in EMU: 7.5 inches, as in PowerPoint's own presentations
LAYOUT = "Title Only"
MIN_WIDTH = 914_400  # least width of a slide in EMU: PowerPoint accepts no less than an inch

NAMESPACES = {
    "dcterms": "http://purl.org/dc/terms/",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
}

# The film is played from its beginning as soon as its slide is shown, once or until the next step.
# Then it stops at its last picture. A click on the film pauses and resumes it.
TIMING = """
<p:timing xmlns:p="{p}"><p:tnLst><p:par><p:cTn id="1" dur="indefinite" restart="never"
 nodeType="tmRoot"><p:childTnLst>
<p:seq concurrent="1" nextAc="seek"><p:cTn id="2" dur="indefinite" nodeType="mainSeq"><p:childTnLst>
<p:par><p:cTn id="3" fill="hold"><p:stCondLst><p:cond delay="indefinite"/>
<p:cond evt="onBegin" delay="0"><p:tn val="2"/></p:cond></p:stCondLst><p:childTnLst>
<p:par><p:cTn id="4" fill="hold"><p:stCondLst><p:cond delay="0"/></p:stCondLst><p:childTnLst>
<p:par><p:cTn id="5" presetID="1" presetClass="mediacall" presetSubtype="0" fill="hold"
 nodeType="afterEffect"><p:stCondLst><p:cond delay="0"/></p:stCondLst><p:childTnLst>
<p:cmd type="call" cmd="playFrom(0.0)"><p:cBhvr><p:cTn id="6" dur="{milliseconds}" fill="hold"/>
<p:tgtEl><p:spTgt spid="{shape}"/></p:tgtEl></p:cBhvr></p:cmd>
</p:childTnLst></p:cTn></p:par></p:childTnLst></p:cTn></p:par></p:childTnLst></p:cTn></p:par>
</p:childTnLst></p:cTn>
<p:prevCondLst><p:cond evt="onPrev" delay="0"><p:tgtEl><p:sldTgt/></p:tgtEl></p:cond>
</p:prevCondLst>
<p:nextCondLst><p:cond evt="onNext" delay="0"><p:tgtEl><p:sldTgt/></p:tgtEl></p:cond>
</p:nextCondLst>
</p:seq>
<p:video><p:cMediaNode><p:cTn id="7"{repeat} fill="hold" display="0"><p:stCondLst>
<p:cond delay="indefinite"/></p:stCondLst></p:cTn><p:tgtEl><p:spTgt spid="{shape}"/></p:tgtEl>
</p:cMediaNode></p:video>
</p:childTnLst></p:cTn></p:par></p:tnLst></p:timing>
"""


# PowerPoint waits until the film has ended, if the time is over before.
TRANSITION = '<p:transition xmlns:p="{p}" advClick="1" advTm="{milliseconds}"/>'

# After the last slide comes the first.
ENDLESS = (
    '<p:showPr xmlns:p="{p}" loop="1" showNarration="1" useTimings="1"><p:present/></p:showPr>'
)

NOTES_MASTERS = (
    '<p:notesMasterIdLst xmlns:p="{p}" xmlns:r="{r}">'
    '<p:notesMasterId r:id="{relationship}"/></p:notesMasterIdLst>'
)


def write_slides(
    target: Path,
    slides: Sequence[Slide],
    theme: Theme,
    title: str,
    options: DeckOptions,
    *,
    films: bool,
) -> None:
    """Write a presentation; a failure leaves no partial file.

    Parameters
    ----------
    target
        The file to write.
    slides
        The slides, in order; all but a title slide need their films if ``films`` is true.
    theme
        Gives the colours of the slides and of their titles.
    title
        Title of the presentation.
    options
        Its author, and whether it goes on by itself.
    films
        Whether to embed the films; if not, each slide shows the last picture of its film.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    from pptx import Presentation

    document: Any = Presentation()
    width, height = slides[0].picture.size
    document.slide_height = HEIGHT
    document.slide_width = max(MIN_WIDTH, round(HEIGHT * width / height))
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = title, options.author, ""
    properties.subject, properties.comments = _("How attention works"), _(FILM_TITLE)
    properties.language = current_language().tag
    layout = next(layout for layout in document.slide_layouts if layout.name == LAYOUT)
    for slide in slides:
        repeats = slide.loop and not options.auto  # or the show would never go on
        page = _add_slide(document, layout, slide, theme, films=films, repeats=repeats)
        if options.auto:
            _go_on_after(page, slide.seconds + PAUSE * (not slide.is_title))
    if options.auto:
        _begin_again(document)
    _fix_for_keynote(document)
    _leave_out_dates(document)
    with atomic_write(target) as part:
        try:
            _save(document, part)
        except OSError as error:
            raise OutputError(target, error) from error


def _leave_out_dates(document: Any) -> None:
    """Remove when the presentation was made, so that the same slides make the same file."""
    properties = document.core_properties._element
    for element in properties.findall("dcterms:*", NAMESPACES):
        properties.remove(element)


def _save(document: Any, path: Path) -> None:
    """Write a presentation; its parts have the date that a zip file gives to undated ones."""
    saved = BytesIO()
    document.save(saved)
    with ZipFile(saved) as dated, ZipFile(path, "w") as archive:
        for part in dated.infolist():
            undated = ZipInfo(part.filename)
            undated.external_attr = part.external_attr
            # Films are compressed already.
            how = ZIP_STORED if part.filename.endswith(".mp4") else ZIP_DEFLATED
            archive.writestr(undated, dated.read(part), how)


def _add_slide(
    document: Any,
    layout: Any,
    slide: Slide,
    theme: Theme,
    *,
    films: bool,
    repeats: bool,
) -> Any:
    """Add a slide, and return it."""
    width, height = document.slide_width, document.slide_height
    page = document.slides.add_slide(layout)
    fill = page.background.fill
    fill.solid()
    fill.fore_color.rgb = _colour(theme.background)
    poster = BytesIO()
    slide.picture.save(poster, format="png")
    if films and slide.video is not None:
        shape = page.shapes.add_movie(
            str(slide.video), 0, 0, width, height, poster_frame_image=poster, mime_type="video/mp4"
        )
        _play_on_entry(page, shape.shape_id, slide.seconds, repeats=repeats)
    else:
        shape = page.shapes.add_picture(poster, 0, 0, width, height)
    shape.name = slide.name
    shape.element.nvPicPr.cNvPr.set("descr", slide.alt)
    # The title is for outlines and screen readers only; it stands above the slide's upper edge,
    # because the picture fills the whole slide.
    title = page.shapes.title
    title.left, title.width, title.height = 0, width, height // 8
    title.top = -title.height
    title.text = slide.title
    title.text_frame.paragraphs[0].font.color.rgb = _colour(theme.ink)
    page.notes_slide.notes_text_frame.text = slide.notes
    for frame in (title.text_frame, page.notes_slide.notes_text_frame):
        for run in (run for paragraph in frame.paragraphs for run in paragraph.runs):
            # For screen readers, and so that no other language is checked for spelling.
            run._r.get_or_add_rPr().set("lang", current_language().tag)
    return page


def _colour(text: str) -> Any:
    from pptx.dml import color

    rgb: Any = color.RGBColor
    return rgb(*bytes.fromhex(text[1:]))


def _element(template: str, **values: object) -> Any:
    """Return an element, parsed from one of the templates of XML."""
    from lxml import etree

    text = template.format(**NAMESPACES, **values).strip().replace("\n", "")
    return etree.fromstring(text, etree.XMLParser(remove_blank_text=True))


def _insert(root: Any, element: Any, before: Sequence[str]) -> None:
    """Insert an element; the order of elements is fixed, and these may follow it."""
    follower = next((child for name in before for child in root.findall(name, NAMESPACES)), None)
    if follower is None:
        root.append(element)
    else:
        follower.addprevious(element)


def _play_on_entry(page: Any, shape: int, seconds: float, *, repeats: bool) -> None:
    root = page.element
    for timing in root.findall("p:timing", NAMESPACES):
        root.remove(timing)
    repeat = ' repeatCount="indefinite"' if repeats else ""
    timing = _element(TIMING, shape=shape, milliseconds=round(1000 * seconds), repeat=repeat)
    _insert(root, timing, ["p:extLst"])


def _go_on_after(page: Any, seconds: float) -> None:
    transition = _element(TRANSITION, milliseconds=round(1000 * seconds))
    _insert(page.element, transition, ["p:timing", "p:extLst"])


def _begin_again(document: Any) -> None:
    """Let the show run without an end."""
    from lxml import etree
    from pptx.opc.constants import RELATIONSHIP_TYPE

    part = document.part.part_related_by(RELATIONSHIP_TYPE.PRES_PROPS)
    root = etree.fromstring(part.blob)
    _insert(root, _element(ENDLESS), ["p:clrMru", "p:extLst"])
    part.blob = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _fix_for_keynote(document: Any) -> None:
    from pptx.opc.constants import RELATIONSHIP_TYPE

    root = document.element
    # A type such as "screen4x3" would contradict the size.
    root.find("p:sldSz", NAMESPACES).attrib.pop("type", None)
    if root.find("p:notesMasterIdLst", NAMESPACES) is None:
        (relationship_id,) = (
            key
            for key, relation in document.part.rels.items()
            if relation.reltype == RELATIONSHIP_TYPE.NOTES_MASTER
        )
        masters = _element(NOTES_MASTERS, relationship=relationship_id)
        root.find("p:sldMasterIdLst", NAMESPACES).addnext(masters)
