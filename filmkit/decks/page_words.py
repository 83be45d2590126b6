"""Every word that the script of a web deck puts on the page, in the language in use.

What never changes stands in the templates.
"""

from __future__ import annotations

from collections.abc import Mapping

from filmkit.core.language import N_, _
from filmkit.decks.cells import cell_words

__all__ = ["page_words", "remote_words", "telephone_words", "translated", "voting_words"]

WORDS = {
    "plays": N_("Pause"),
    "paused": N_("Resume"),
    "holds": N_("Play again"),
    "pressForVoice": N_("Press M to hear the voice: the browser wants a key or a click first."),
    "end": N_("The end"),
    "speaker": N_("Speaker: {title}"),
    "noWindow": N_(
        "The browser blocked the speaker’s window: allow pop-ups for this page, or press N."
    ),
    "left": N_("{time} left"),
    "over": N_("{time} over"),
    "noBeat": N_("No beat has this number or name."),
    "enter": N_("Enter"),
    "loopOn": N_("This beat plays over and over; press E to end it."),
    "loopOff": N_("Each beat plays once."),
    "loopStill": N_("There is no film to repeat here."),
    "autoOn": N_("The deck goes on by itself; any key pauses it."),
    "autoOff": N_("The deck waits for you."),
    "autoPaused": N_("Paused. It goes on by itself after a minute without a key, or with A."),
    "laserOn": N_("The pointer is on; press L to switch it off."),
    "laserOff": N_("The pointer is off."),
    "pen": N_("Pen {number}"),
    "noLive": N_("This beat has no live picture."),
    "live_rank": N_("Turn the rank"),
    "live_patterns": N_("Open a pattern"),
    "live_rows": N_("Follow a token"),
    "follow": N_("“{word}” ({position}): its numbers in every panel, in pink."),
    "followColumns": N_(
        "“{word}” ({position}): its numbers in every panel, in pink; in "
        "yellow, how the words look at it."
    ),
    "model": N_("the model itself"),
    "together": N_("{first} + {second} numbers"),
    "numbers": N_("{count} numbers"),
    "ofCached": N_("{count} of {cached}"),
    "fixed": N_("always {count} numbers"),
    "lost": N_("keys are off by {k}, values by {v}"),
    "nothingLost": N_("its own keys and values"),
    "looks": N_("“{query}” gives “{key}”: {values}"),
    "channelOf": N_("{what} of “{word}”, channel {channel}: {values}"),
    "keys": N_("keys"),
    "values": N_("values"),
    "apart": N_("{some}; {more}"),
    "valueOf": N_("{name} {value}"),
    "place": N_("layer {layer}, head {head}"),
    "previous": N_("{share} of its attention goes to the token right before"),
    "first": N_("{share} goes to the first token"),
    "firstHidden": N_("{share} goes to the first token, which is not drawn"),
    "oneLook": N_("“{query}” gives “{key}” {value}"),
    "pointAtCell": N_("Point at a cell to see its value."),
}
"""By the names that the script asks for; names in braces are filled in by it."""


REMOTE = {
    "telephones": N_("Telephones (T)"),
    "alone": N_("The server is gone: telephones no longer step this deck. The talk goes on."),
    "replaced": N_("The deck is open in another window, which telephones step now."),
    "telephonesNow": N_("Telephones that step this deck now: {count}"),
    "votes": N_("Votes: {count}"),
    "noVotes": N_("Nobody has voted yet."),
    "voteOpen": N_("The vote is open."),
    "closed": N_("The vote is closed."),
    "right": N_("right"),
}
"""More words, of a deck that a server shows."""

LOST = {
    "noConnection": N_("No connection. Trying again…"),
    "late": N_("Waiting for an answer…"),
}
"""Words of every telephone."""

TELEPHONE = LOST | {
    "noScreen": N_("The deck is not open on the screen."),
    "voteOpen": N_("only you see this"),
    "voteShown": N_("on the screen now"),
    "showResult": N_("Result"),
    "voteAgain": N_("Vote again"),
    "hideResult": N_("Hide"),
    **{name: WORDS[name] for name in ("end", "left", "over", "plays", "paused", "holds")},
    **{name: REMOTE[name] for name in ("votes", "noVotes", "right")},
}
"""Words of the speaker's telephone."""

VOTING = LOST | {
    "wait": N_("The next question comes here by itself."),
    "choose": N_("Choose one."),
    "chosen": N_("You chose “{choice}”. You can change it until the vote is closed."),
    "closed": REMOTE["closed"],
    "wasRight": N_("You are right: “{right}”."),
    "wasWrong": N_("You chose “{choice}”; “{right}” is right."),
    "isRight": N_("“{right}” is right."),
}
"""Words of a telephone of the audience."""


def page_words() -> dict[str, str]:
    """Return the words of the page by their names."""
    return translated(WORDS) | cell_words()


def remote_words() -> dict[str, str]:
    """Return the words that the page of a deck has besides, when a server shows it."""
    return translated(REMOTE)


def telephone_words() -> dict[str, str]:
    """Return the words of the speaker's telephone by their names."""
    return translated(TELEPHONE)


def voting_words() -> dict[str, str]:
    """Return the words of a telephone of the audience by their names."""
    return translated(VOTING)


def translated(words: Mapping[str, str]) -> dict[str, str]:
    """Return texts that are marked for translation, by their names, in the language in use."""
    return {name: _(text) for name, text in words.items()}
