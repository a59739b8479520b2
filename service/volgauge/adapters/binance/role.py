"""Which of two sessions speaks for one connection of the plan, and how they change places.

The venue closes every connection after 24 hours. So every connection has a spare that stays closed
until shortly before; then it opens and subscribes everything, and when all of it is answered and
data flow it takes the lead: only then the old one is the spare. What both deliver meanwhile is told
apart by the venue's own times. The engine hears of one connection throughout.
"""

from typing import Protocol

from volgauge.adapters.base import State
from volgauge.adapters.binance.subscriptions import Subscriptions


class Session(Protocol):
    """What a role knows of its two sessions."""

    state: State
    is_open: bool
    """A socket is open; that of a spare may not be closed yet."""
    subscriptions: Subscriptions

    def stand_by(self) -> None:
        """Become the spare: deliver nothing any more."""
        ...


class Role:
    """One connection of the plan."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lead: Session | None = None
        self.heir: Session | None = None
        """The session that will take over; None outside a hand-over."""
        self._spare: Session | None = None

    def join(self, session: Session) -> None:
        """Take a session in, the first as the lead."""
        if self.lead is None:
            self.lead = session
        elif self._spare is None:
            self._spare = session
        else:
            raise AssertionError("expected two sessions of a role, received a third")

    def begin(self, session: Session) -> bool:
        """Call the spare because the lead will be closed; False when it cannot be."""
        spare = self._spare
        if session is not self.lead or self.heir is not None or spare is None or spare.is_open:
            return False
        spare.state = State.IDLE
        self.heir, self._spare = spare, None
        return True

    def dismiss(self, session: Session) -> None:
        """Nothing is left to take over: an heir is the spare again."""
        if session is self.heir:
            self._spare, self.heir = session, None

    def try_complete(self) -> None:
        """Let the heir lead if it has everything."""
        heir = self.heir
        if heir is not None and heir.state is State.LIVE and heir.subscriptions.is_settled:
            self._succeed(heir)

    def lead_is_lost(self) -> Session | None:
        """The lead has ended: the heir, if there is one, leads as it is; returned then."""
        heir = self.heir
        if heir is not None:
            self._succeed(heir)
        return heir

    def _succeed(self, heir: Session) -> None:
        if self.lead is not None:
            self.lead.stand_by()
        self._spare, self.lead, self.heir = self.lead, heir, None
