"""The votes of an audience on a question of a talk; they live in memory only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

__all__ = ["Question", "Vote"]

MAX_VOTERS, MAX_VOTERS_EACH = 2000, 64  # on one question: in all, and from one address


@dataclass(frozen=True)
class Question:
    """A question that a slide asks.

    Attributes
    ----------
    text
        What is asked.
    choices
        The answers among which to choose.
    answer
        Number of the right one, from 0; None if that is not told.
    is_answered_next
        Whether the next slide is the beat that answers it.
    """

    text: str
    choices: tuple[str, ...]
    answer: int | None
    is_answered_next: bool = True


class Vote:
    """A vote on a question. It is closed until somebody opens it.

    Parameters
    ----------
    question
        What is asked.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.is_open = False
        self._chosen: dict[str, int] = {}
        self._addresses: Counter[str] = Counter()  # from which they voted first

    def choose(self, voter: str, choice: int, address: str) -> None:
        """Count the choice of somebody, instead of an earlier one, while the vote is open.

        Names of voters cost nothing, so that one address has only so many.
        """
        if not self.is_open:
            return
        if voter not in self._chosen:
            if self.count >= MAX_VOTERS or self._addresses[address] >= MAX_VOTERS_EACH:
                return
            self._addresses[address] += 1
        self._chosen[voter] = choice

    def choice_of(self, voter: str) -> int | None:
        """Return what somebody has chosen."""
        return self._chosen.get(voter)

    @property
    def count(self) -> int:
        """How many have voted."""
        return len(self._chosen)

    @property
    def counts(self) -> list[int]:
        """How many have chosen each of the choices."""
        counts = Counter(self._chosen.values())
        return [counts[choice] for choice in range(len(self.question.choices))]
