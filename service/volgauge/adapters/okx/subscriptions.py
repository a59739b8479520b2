"""The open requests of a session, argument by argument.

The venue answers for each argument: with an acknowledgement, with an error that names it in its
text only, or not at all. What is refused is dropped until the next plan; what is not answered in
time is requested once more, then counted.
"""

from volgauge.adapters.okx.endpoints import REQUEST_TIMEOUT_NS
from volgauge.adapters.okx.messages import Arg
from volgauge.adapters.okx.plan import cut_request
from volgauge.adapters.subscriptions import Batch, Subscriptions

SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"


class Requests:
    """Settles what one connection is subscribed to by what the venue answers."""

    def __init__(self, subscriptions: Subscriptions[Arg, bool]) -> None:
        self.has_answered = False
        """The venue has answered anything in this session."""
        self._subscriptions = subscriptions
        self._deadlines: dict[Arg, int] = {}
        """Of what is in flight, oldest first."""

    def restart(self) -> None:
        """A new session: nothing is asked for."""
        self.has_answered = False
        self._deadlines.clear()

    @property
    def deadline_ns(self) -> int | None:
        """When the oldest open request will have waited too long."""
        return next(iter(self._deadlines.values()), None)

    def take(self, now_ns: int) -> Batch[Arg]:
        """The next request; not to be called when nothing waits."""
        batch = self._subscriptions.next_batch(cut_request)
        self._deadlines |= dict.fromkeys(batch.channels, now_ns + REQUEST_TIMEOUT_NS)
        return batch

    def acknowledge(self, method: str, arg: Arg) -> bool:
        """Take the answer for one argument; False when nobody waits for it."""
        if self._subscriptions.in_flight.get(arg) != method:
            return False
        self._answered(arg)
        self._subscriptions.accept(arg)
        return True

    def refuse(self, arg: Arg) -> bool:
        """Take a refusal of one argument, final for this plan; False when nobody waits for it."""
        if arg not in self._subscriptions.in_flight:
            return False
        self._answered(arg)
        self._subscriptions.refuse(arg, is_final=True)
        return True

    def give_up(self, now_ns: int) -> int:
        """Settle what was not answered in time: once more, then never; how many there were."""
        late = [arg for arg, deadline_ns in self._deadlines.items() if deadline_ns <= now_ns]
        for arg in late:
            del self._deadlines[arg]
            self._subscriptions.refuse(arg)
        return len(late)

    def _answered(self, arg: Arg) -> None:
        self.has_answered = True
        del self._deadlines[arg]
