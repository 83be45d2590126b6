"""Facts: text that knows what it says."""

from __future__ import annotations

from filmkit.core.facts import Fact, fact, named_facts
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
