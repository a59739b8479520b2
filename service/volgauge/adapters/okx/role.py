"""Which of two sessions speaks for one connection of the plan, and how they change places.

The venue announces that it will close a connection (64008, about a minute ahead) and asks to open
the next one first. So every connection has a spare that stays closed until then. It opens,
subscribes everything, and when all of it is answered it takes the lead: only then the old one is
the spare. The engine is told of one connection throughout.
"""

from typing import Protocol

from volgauge.adapters.base import State
from volgauge.adapters.okx.messages import Arg
from volgauge.adapters.okx.subscriptions import Subscriptions


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

    def join(self, session: Session) -> State:
        """Take a session in, the first as the lead; the state it begins with."""
        if self.lead is None:
            self.lead = session
            return State.IDLE
        if self._spare is None:
            self._spare = session
            return State.SPARE
        raise AssertionError("expected two sessions of a role, received a third")

    def begin(self, session: Session) -> bool:
        """Call the spare because the venue will close the lead; False when it cannot be."""
        spare = self._spare
        if session is not self.lead or self.heir is not None or spare is None or spare.is_open:
            return False
        spare.state = State.IDLE
        self.heir, self._spare = spare, None
        return True

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

    def is_superseded(self, session: Session, arg: Arg) -> bool:
        """The heir delivers this channel already; updates of both would mix two sequences."""
        heir = self.heir
        return heir is not None and session is self.lead and arg in heir.subscriptions.active

    def _succeed(self, heir: Session) -> None:
        if self.lead is not None:
            self.lead.stand_by()
        self._spare, self.lead, self.heir = self.lead, heir, None
