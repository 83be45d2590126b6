"""A minute of trials at random; :mod:`tests.trust.soak` runs longer."""

from __future__ import annotations

import os

import pytest

from tests.trust.soak import GROUPS, soak

SECONDS = 60.0


@pytest.mark.slow
def test_a_minute_of_trials_is_answered_well() -> None:
    seed = int(os.environ.get("SOAK_SEED", "1"))
    tallies = soak(SECONDS, seed)
    assert tallies.keys() == GROUPS.keys()
    assert all(tally.tried > 2 for tally in tallies.values())
    assert [wrong for tally in tallies.values() for wrong in tally.wrong] == []
