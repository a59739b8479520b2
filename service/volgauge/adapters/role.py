"""Which of two sessions speaks for one connection of a plan, and how they change places.

Where a venue closes a connection and lets the next one be opened first, every connection has a
spare that stays closed until then. It opens, subscribes everything, and when all of it is answered
and data flow it takes the lead: only then the old one is the spare. The engine is told of one
connection throughout. When to begin, and how what both deliver meanwhile is told apart, is the
venue's.
"""

from typing import Generic, Protocol, TypeVar

from volgauge.adapters.base import State


class Session(Protocol):
    """What a role knows of its two sessions."""

    state: State
    is_open: bool
    """A socket is open; that of a spare may not be closed yet."""

    @property
    def is_settled(self) -> bool:
        """Everything that was to be requested is, and answered or given up."""
        ...

    def stand_by(self) -> None:
        """Become the spare: deliver nothing any more."""
        ...


S = TypeVar("S", bound=Session)


class Role(Generic[S]):
    """One connection of the plan."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lead: S | None = None
        self.heir: S | None = None
        """The session that will take over; None outside a hand-over."""
        self._spare: S | None = None

    def join(self, session: S) -> bool:
        """Take a session in, the first as the lead; whether it leads."""
        if self.lead is None:
            self.lead = session
            return True
        if self._spare is None:
            self._spare = session
            return False
        raise AssertionError("expected two sessions of a role, received a third")

    def begin(self, session: S) -> bool:
        """Call the spare because the lead will be closed; False when it cannot be."""
        spare = self._spare
        if session is not self.lead or self.heir is not None or spare is None or spare.is_open:
            return False
        spare.state = State.IDLE
        self.heir, self._spare = spare, None
        return True

    def dismiss(self, session: S) -> None:
        """Nothing is left to take over: an heir is the spare again."""
        if session is self.heir:
            self._spare, self.heir = session, None

    def try_complete(self) -> None:
        """Let the heir lead if it has everything."""
        heir = self.heir
        if heir is not None and heir.state is State.LIVE and heir.is_settled:
            self._succeed(heir)

    def lead_is_lost(self) -> S | None:
        """The lead has ended: the heir, if there is one, leads as it is; returned then."""
        heir = self.heir
        if heir is not None:
            self._succeed(heir)
        return heir

    def _succeed(self, heir: S) -> None:
        if self.lead is not None:
            self.lead.stand_by()
        self._spare, self.lead, self.heir = self.lead, heir, None
