"""Which of two sessions speaks for one connection of the plan, and how they change places.

The venue announces that it will close a connection (64008, about a minute ahead) and asks to open
the next one first. So every connection has a spare that is not wanted until then. It opens,
subscribes everything, and when all of it is answered it takes the lead: only then the old one is
wanted no more. The engine is told of one connection throughout.
"""

from typing import Protocol

from volgauge.adapters.base import State
from volgauge.adapters.okx.messages import Arg
from volgauge.adapters.okx.subscriptions import Subscriptions


class Session(Protocol):
    """What a role knows of its two sessions."""

    is_wanted: bool
    state: State
    subscriptions: Subscriptions


class Role:
    """One connection of the plan."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lead: Session | None = None
        self.heir: Session | None = None
        """The session that will take over; None outside a hand-over."""
        self._spare: Session | None = None

    def join(self, session: Session) -> None:
        """The first to join leads and is wanted, the second is its spare."""
        if self.lead is None:
            self.lead = session
        elif self._spare is None:
            self._spare = session
        else:
            raise AssertionError("expected two sessions of a role, received a third")

    def begin(self, session: Session) -> bool:
        """Call the spare because the venue will close the lead; False when it cannot be."""
        if session is not self.lead or self.heir is not None or self._spare is None:
            return False
        if self._spare.state is not State.IDLE:
            # It has not been left yet after the hand-over before.
            return False
        self.heir = self._spare
        self.heir.is_wanted = True
        return True

    def try_complete(self) -> bool:
        """Let the heir lead if it has everything; whether it leads now."""
        heir = self.heir
        if heir is None or heir.state is not State.LIVE or not heir.subscriptions.is_settled:
            return False
        self._succeed(heir)
        return True

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
            self.lead.is_wanted = False
        self._spare, self.lead, self.heir = self.lead, heir, None
