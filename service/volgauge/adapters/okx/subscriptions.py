"""Keeps what a session is subscribed to in step with a plan, by requests that are audited.

The venue answers for each argument: with an acknowledgement, with an error that names it in its
text only, or not at all. What is refused is dropped until the next plan; what is not answered in
time is requested once more, then counted. A channel is renewed by unsubscribe, its answer,
subscribe.
"""

from msgspec import Struct

from volgauge.adapters.okx.endpoints import (
    REQUEST_BURST,
    REQUEST_REFILL_NS,
    REQUEST_SPACING_NS,
    REQUEST_TIMEOUT_NS,
)
from volgauge.adapters.okx.messages import Arg
from volgauge.adapters.okx.plan import Plan, cut_request

SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"


class Pacer:
    """When the next request may go out; one for each connection, as the venue counts.

    So many at once, then one a refill: never more than the hourly limit in any hour.
    """

    def __init__(self) -> None:
        self._full_ns = 0
        """When the pool will be full again."""
        self._next_ns = 0

    @property
    def free_ns(self) -> int:
        """The earliest instant of the next turn."""
        return max(self._next_ns, self._full_ns - (REQUEST_BURST - 1) * REQUEST_REFILL_NS)

    def take(self, now_ns: int) -> bool:
        """Use the turn, if it has come."""
        if now_ns < self.free_ns:
            return False
        self._full_ns = max(self._full_ns, now_ns) + REQUEST_REFILL_NS
        self._next_ns = now_ns + REQUEST_SPACING_NS
        return True


class Batch(Struct, frozen=True):
    """The arguments of one request."""

    method: str
    args: tuple[Arg, ...]


class Subscriptions:
    """The arguments of one connection."""

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.active: set[Arg] = set()
        self.uncovered_count = 0
        """Arguments given up, ever."""
        self.has_answered = False
        """The venue has answered anything in this session."""
        self._to_subscribe: dict[Arg, None] = {}
        self._to_drop: dict[Arg, None] = {}
        self._in_flight: dict[Arg, tuple[str, int]] = {}
        """Argument to method and deadline, oldest first."""
        self._retried: set[Arg] = set()
        self._reported: tuple[int, int] | None = None

    def restart(self) -> None:
        """A new session: nothing is subscribed, everything is to be."""
        self.active.clear()
        self._to_drop.clear()
        self._in_flight.clear()
        self._retried.clear()
        self.has_answered = False
        self._to_subscribe = dict.fromkeys(self.plan)

    def follow(self, plan: Plan, renewed: frozenset[str]) -> None:
        """Take a new plan; `renewed` names live instruments whose quotes must be sent again.

        What the venue refused before gets another chance.
        """
        self.plan = plan
        self._retried.clear()
        self._to_subscribe = {
            arg: None for arg in plan if arg not in self.active and arg not in self._in_flight
        }
        self._to_drop = {
            arg: None
            for arg in sorted(self.active - self._in_flight.keys(), key=_by_name)
            if arg not in plan or arg.inst_id in renewed
        }

    def renew(self, arg: Arg) -> None:
        """Ask for a fresh snapshot of one channel."""
        if arg in self.active and arg not in self._in_flight:
            self._to_drop[arg] = None

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be requested."""
        return not self._to_drop and not self._to_subscribe

    @property
    def is_settled(self) -> bool:
        """Everything that was to be requested is, and answered or given up."""
        return self.is_idle and not self._in_flight

    @property
    def deadline_ns(self) -> int | None:
        """When the oldest open request will have waited too long."""
        return next((deadline for _, deadline in self._in_flight.values()), None)

    def next_batch(self, now_ns: int) -> Batch:
        """Take the next request; not to be called when idle. Unsubscribes go first."""
        queue = self._to_drop or self._to_subscribe
        method = UNSUBSCRIBE if self._to_drop else SUBSCRIBE
        args = tuple(cut_request(queue))
        for arg in args:
            del queue[arg]
            self._in_flight[arg] = (method, now_ns + REQUEST_TIMEOUT_NS)
        return Batch(method, args)

    def acknowledge(self, method: str, arg: Arg) -> bool:
        """Take the answer for one argument; False when nobody waits for it."""
        open_request = self._in_flight.get(arg)
        if open_request is None or open_request[0] != method:
            return False
        self.has_answered = True
        del self._in_flight[arg]
        if method == UNSUBSCRIBE:
            self._dropped(arg)
        else:
            self.active.add(arg)
            if arg not in self.plan:
                self._to_drop[arg] = None
        return True

    def refuse(self, arg: Arg) -> bool:
        """Take a refusal of one argument, final for this plan; False when nobody waits for it."""
        open_request = self._in_flight.pop(arg, None)
        if open_request is None:
            return False
        self.has_answered = True
        if open_request[0] == UNSUBSCRIBE:
            # It does not exist (any more), so it is not subscribed either.
            self._dropped(arg)
        elif arg in self.plan:
            self.uncovered_count += 1
        return True

    def give_up(self, now_ns: int) -> int:
        """Settle what was not answered in time: once more, then never; how many there were."""
        late = [arg for arg, (_, deadline) in self._in_flight.items() if deadline <= now_ns]
        for arg in late:
            method, _ = self._in_flight.pop(arg)
            if method == UNSUBSCRIBE:
                self._dropped(arg)
            elif arg in self.plan and arg not in self._retried:
                self._retried.add(arg)
                self._to_subscribe[arg] = None
            elif arg in self.plan:
                self.uncovered_count += 1
        return len(late)

    def take_coverage(self) -> tuple[int, int] | None:
        """(requested, accepted) of the channels that prices come from.

        None while requests are open and when nothing has changed since the last answer.
        """
        if self._to_subscribe or self._in_flight:
            return None
        wanted = [arg for arg, has_prices in self.plan.items() if has_prices]
        coverage = (len(wanted), sum(arg in self.active for arg in wanted))
        if coverage == self._reported or (not wanted and self._reported is None):
            return None
        self._reported = coverage
        return coverage

    def _dropped(self, arg: Arg) -> None:
        self.active.discard(arg)
        if arg in self.plan:
            self._to_subscribe[arg] = None


def _by_name(arg: Arg) -> tuple[str, str, str, str]:
    return (arg.channel, arg.inst_id, arg.inst_family, arg.inst_type)
