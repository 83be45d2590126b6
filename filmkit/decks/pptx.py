"""A deck as slides: one beat each, which plays when its slide is shown and holds its last picture.

The package is what PowerPoint itself writes for a film that starts automatically. Keynote refuses
a file with notes whose presentation does not list its notes master, and one whose slide size
names a format that it is not; python-pptx leaves both as they are, so they are mended here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from extract.files import OutputError, written_beside
from filmkit.core.theme import Theme
from filmkit.decks.slides import Slide, title_of

__all__ = ["write_slides"]

HEIGHT = 6_858_000  # of a slide, in EMU: 7.5 inches, as in PowerPoint's own presentations
LAYOUT = "Title Only"
MIN_SIDE = 914_400  # of a slide, in EMU: PowerPoint takes no less than an inch

NAMES = {
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
}

# As soon as the slide is there the film is played from its beginning, once; it stays where it
# ends. A film that is clicked on pauses and goes on.
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
<p:video><p:cMediaNode><p:cTn id="7" fill="hold" display="0"><p:stCondLst>
<p:cond delay="indefinite"/></p:stCondLst></p:cTn><p:tgtEl><p:spTgt spid="{shape}"/></p:tgtEl>
</p:cMediaNode></p:video>
</p:childTnLst></p:cTn></p:par></p:tnLst></p:timing>
"""


def write_slides(
    target: Path, slides: Sequence[Slide], theme: Theme, *, background: str, films: bool
) -> None:
    """Write slides, whole or not at all.

    Parameters
    ----------
    target
        The presentation.
    slides
        With their films, if these are wanted.
    looks
        Whose colours the slides take.
    background
        Colour of the slides, "#RRGGBB".
    films
        Whether the films are in the slides, or only how they end.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    from pptx import Presentation

    document: Any = Presentation()
    width, height = slides[0].picture.size
    document.slide_height = HEIGHT
    document.slide_width = max(MIN_SIDE, round(HEIGHT * width / height))
    about = document.core_properties
    about.title, about.author, about.last_modified_by = title_of(slides), "", ""
    about.subject = "How attention works"
    about.created = about.modified = datetime(2000, 1, 1)  # the same slides make the same file
    layout = next(layout for layout in document.slide_layouts if layout.name == LAYOUT)
    for slide in slides:
        _add(document, layout, slide, theme, background, films=films)
    _please_keynote(document)
    with written_beside(target) as part:
        try:
            document.save(str(part))
        except OSError as error:
            raise OutputError(target, error) from error


def _add(
    document: Any,
    layout: Any,
    slide: Slide,
    theme: Theme,
    background: str,
    *,
    films: bool,
) -> None:
    width, height = document.slide_width, document.slide_height
    page = document.slides.add_slide(layout)
    fill = page.background.fill
    fill.solid()
    fill.fore_color.rgb = _colour(background)
    poster = BytesIO()
    slide.picture.save(poster, format="png")
    if films:
        shape = page.shapes.add_movie(
            str(slide.video), 0, 0, width, height, poster_frame_image=poster, mime_type="video/mp4"
        )
        _play_on_entry(page, shape.shape_id, slide.seconds)
    else:
        shape = page.shapes.add_picture(poster, 0, 0, width, height)
    shape.name = slide.name
    shape.element.nvPicPr.cNvPr.set("descr", slide.alt)
    # What outlines and screen readers call the slide stands above its edge: the picture is full.
    title = page.shapes.title
    title.left, title.width, title.height = 0, width, height // 8
    title.top = -title.height
    title.text = slide.title
    title.text_frame.paragraphs[0].font.color.rgb = _colour(theme.ink)
    page.notes_slide.notes_text_frame.text = slide.notes


def _colour(written: str) -> Any:
    from pptx.dml import color

    made: Any = color.RGBColor
    return made(*bytes.fromhex(written[1:]))


def _play_on_entry(page: Any, shape: int, seconds: float) -> None:
    from lxml import etree

    root = page.element
    for timing in root.findall("p:timing", NAMES):
        root.remove(timing)
    written = TIMING.format(p=NAMES["p"], shape=shape, milliseconds=round(1000 * seconds))
    parser = etree.XMLParser(remove_blank_text=True)
    timing = etree.fromstring(written.strip().replace("\n", ""), parser)
    # The order of a slide's parts is fixed: only extensions come after the timing.
    extensions = root.find("p:extLst", NAMES)
    if extensions is None:
        root.append(timing)
    else:
        extensions.addprevious(timing)


def _please_keynote(document: Any) -> None:
    from lxml import etree
    from pptx.opc.constants import RELATIONSHIP_TYPE

    root = document.element
    # "screen4x3" and the like, which the size then contradicts.
    root.find("p:sldSz", NAMES).attrib.pop("type", None)
    if root.find("p:notesMasterIdLst", NAMES) is None:
        (known,) = (
            key
            for key, relation in document.part.rels.items()
            if relation.reltype == RELATIONSHIP_TYPE.NOTES_MASTER
        )
        masters = etree.SubElement(root, f"{{{NAMES['p']}}}notesMasterIdLst")
        etree.SubElement(masters, f"{{{NAMES['p']}}}notesMasterId", {f"{{{NAMES['r']}}}id": known})
        root.find("p:sldMasterIdLst", NAMES).addnext(masters)
