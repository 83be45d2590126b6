"""Facts: text that knows what it says."""

from __future__ import annotations

from filmkit.core.facts import Fact, claim, fact, named_facts
from filmkit.core.numbers import format_share
from filmkit.core.stage import Stage, beat
from tests.support.traces import make_trace


def test_a_fact_is_its_text_and_knows_its_number() -> None:
    error = fact("relative error", 0.25, format_share, of="k", beside="keys, rebuilt")
    assert error == "25%"
    assert f"{error} lost" == "25% lost"
    assert (error.name, error.value, error.given) == ("relative error", 0.25, {"of": "k"})
    assert error.beside == "keys, rebuilt"
    assert fact("word", "red") == "red"


def test_a_stage_keeps_the_facts_that_are_made_while_it_plays() -> None:
    class Facts(Stage):
        def prepare(self) -> None:
            self.facts |= named_facts(heads=4, share=(0.5, format_share))

        @beat
        def story(self) -> None:
            """{heads} heads give {share}."""
            fact("on screen", 7)
            self.hold(1.0)

    fact("before", 1)
    stage = Facts(make_trace())
    stage.render()
    fact("after", 2)
    assert [(type(each), each.name, str(each)) for each in stage.ledger] == [
        (Fact, "heads", "4"),
        (Fact, "share", "50%"),
        (Fact, "on screen", "7"),
    ]
    assert stage.beats[0].narration == "4 heads give 50%."


def test_a_claim_is_said_where_it_is_true() -> None:
    assert claim(True, "all", "some") == "all"
    assert claim(False, "all", "some") == "some"
    assert claim(False, "all") == ""


def test_a_stage_keeps_claims_and_their_opposites() -> None:
    class Claims(Stage):
        @beat(few="Few heads rest.", many="Many heads rest.")
        def story(self) -> None:
            claim(False, "all", "some", layer=3)
            claim(False, "none")
            self.hold(1.0)

        def variant(self, beat: str) -> str:
            return "many"

    stage = Claims(make_trace())
    stage.render()
    assert [(str(each), each.value, each.given) for each in stage.ledger] == [
        ("all", False, {"layer": 3}),
        ("some", True, {"layer": 3}),
        ("none", False, {}),
        ("Few heads rest.", False, {"beat": "story"}),
        ("Many heads rest.", True, {"beat": "story"}),
    ]
