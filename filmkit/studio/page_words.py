"""Every word that the script of the studio's page puts there, in the language in use.

What never changes stands in the template.
"""

from __future__ import annotations

from filmkit.core.language import N_, _

__all__ = ["STEPS", "page_words"]

WORDS = {
    "studio": N_("Studio"),
    "connecting": N_("connecting…"),
    "ended": N_("The studio has ended; start it again in its terminal."),
    "chooseScene": N_("choose a scene"),
    "drawing": N_("drawing…"),
    "picture": N_("picture after {seconds} s"),
    "films": N_("films {ready} of {count}"),
    "done": N_("all drawn after {seconds} s"),
    "failed": N_("there is a mistake"),
    "play": N_("Play"),
    "pause": N_("Pause"),
    "beat": N_("{number}: {title}"),
    "beatDrawing": N_("{number}: {title}, being drawn"),
    "seconds": N_("{seconds} s"),
    "facts": N_("beat {number} of {count}  ·  {seconds} s  ·  {speed} words a minute"),
    "now": N_("{now} / {whole} s"),
    "frame": N_("frame {frame} of {frames}"),
    "position": N_("{title}, frame {frame}"),
    "markWaited": N_("Said {seconds} s after the beat begins; the beat waits for it"),
    "mark": N_("Said {seconds} s after the beat begins"),
    "model": N_("Numbers from {name}"),
    "otherFile": N_("another file…"),
    "otherLabel": N_("{label}: path of a file"),
    "otherHint": N_("path of a file"),
    "pointAt": N_("Point at a cell to see its value."),
    "pauseFirst": N_("Pause to see values."),
    "reading": N_("Reading the numbers of this frame…"),
    "noPanels": N_("No tensor is on this frame."),
    "morePanels": N_("and {count} more"),
    "axisDrawn": N_("{axis} {count} ({drawn} drawn)"),
    "pitch": N_("a cell of {axis} is {size} px of 1080"),
    "leftOut": N_("no room for {words}"),
    "noMosaic": N_("This picture is not made from a mosaic."),
    "starting": N_("starting"),
    "share": N_("{done} of {total}"),
    "traced": N_("Traced after {seconds} s: {file}"),
    "wait": N_("The scene is drawn from it as soon as it is traced."),
}
"""By the names that the script asks for; names in braces are filled in by it."""

STEPS = (
    N_("waiting for another run"),
    N_("loading libraries"),
    N_("reading weights"),
    N_("running"),
    N_("checking"),
    N_("calibrating"),
    N_("fitting a latent"),
    N_("saving"),
    N_("reading texts"),
    N_("fitting"),
    N_("healing"),
    N_("checking on texts"),
    N_("checking what is stored"),
    N_("checking long texts"),
    N_("converting"),
)
"""What is done for a sentence, as an extraction calls it; the session translates it."""


def page_words() -> dict[str, str]:
    """Return the words of the page by their names."""
    return {name: _(text) for name, text in WORDS.items()}
