"""What hooks tell: who came and went, calls, allocations."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .histogram import Histogram
from .metric import METRICS, OTHER, Labels

if TYPE_CHECKING:
    from tornado_webrtc.hooks import TurnAllocation
    from tornado_webrtc.signaling import Session

    from .rule import Samples

__all__ = ["Tally"]


class Tally:
    """Counts for one server.

    Attributes:
        setup: Seconds from offers to answers.
        duration: Seconds from answers to ends.
    """

    def __init__(self) -> None:
        self.setup = Histogram(0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 120)
        self.duration = Histogram(1, 5, 15, 30, 60, 180, 600, 1800, 3600, 7200, 14400, 28800)
        self._counts: Counter[tuple[str, Labels]] = Counter()

    def samples(self) -> Samples:
        """What was counted."""
        found: Samples = {}
        for (metric, labels), count in self._counts.items():
            found.setdefault(metric, {})[labels] = count
        return found

    # --- signaling ----------------------------------------------------------

    def signed_in(self) -> None:
        """A peer came."""
        self._add("sign_ins")

    def signed_out(self, reason: str) -> None:
        """A peer is gone."""
        self._add("sign_outs", _known("sign_outs", 0, reason))

    def offered(self) -> None:
        """A call began."""
        self._add("calls_offered")
        self._add("calls", "offered")

    def answered(self, session: Session) -> None:
        """A call was answered."""
        self._add("calls_answered")
        self._add("calls", "offered", by=-1)
        self._add("calls", "answered")
        if session.answered_at is not None:
            self.setup.observe(session.answered_at - session.offered_at)

    def ended(self, session: Session, reason: str) -> None:
        """A call is over."""
        answered_at, ended_at = session.answered_at, session.ended_at
        was_answered = answered_at is not None
        outcome = "yes" if was_answered else "no"
        self._add("calls", "answered" if was_answered else "offered", by=-1)
        self._add("calls_ended", _known("calls_ended", 0, reason), outcome)
        if answered_at is not None and ended_at is not None:
            self.duration.observe(ended_at - answered_at)

    # --- TURN ---------------------------------------------------------------

    def allocated(self, allocation: TurnAllocation) -> None:
        """There is an allocation."""
        transport = _known("turn_allocations", 0, allocation.transport)
        self._add("turn_allocations_opened", transport)
        self._add("turn_allocations", transport)

    def deleted(self, allocation: TurnAllocation, reason: str) -> None:
        """An allocation is over."""
        transport = _known("turn_allocations", 0, allocation.transport)
        cause = _known("turn_allocations_ended", 1, reason)
        self._add("turn_allocations_ended", transport, cause)
        self._add("turn_allocations", transport, by=-1)

    def _add(self, metric: str, *labels: str, by: int = 1) -> None:
        self._counts[metric, labels] += by


def _known(metric: str, label: int, text: str) -> str:
    """A reason as a label: operators and plugins may give any, so that only known ones count."""
    if text == "you are banned" or text.startswith("banned: "):
        return "banned"
    word = text.replace(" ", "-")
    return word if any(word == labels[label] for labels in METRICS[metric].known) else OTHER
