"""Requests that are not answered yet, where the answer repeats the number of the request.

How an answer is read, and what it means that there is none, is the venue's.
"""

from typing import Generic, TypeVar

from msgspec import Struct

from volgauge.adapters.base import NEVER_NS

B = TypeVar("B")


class Open(Struct, Generic[B], frozen=True):
    """A request that is not answered yet."""

    method: str
    batch: B
    """The channels it is about."""
    deadline_ns: int


class Requests(Generic[B]):
    """Of one session, by number; numbers go on from one session to the next."""

    def __init__(self) -> None:
        self.open: dict[int, Open[B]] = {}
        """Oldest first."""
        self._last_number = 0

    def number(self) -> int:
        """A number that no request has had."""
        self._last_number += 1
        return self._last_number

    def add(self, method: str, batch: B, deadline_ns: int) -> int:
        """Wait for an answer until an instant; the number to ask under."""
        number = self.number()
        self.open[number] = Open(method, batch, deadline_ns)
        return number

    def close(self, number: object) -> Open[B] | None:
        """The request that an answer of this number is for; None when nobody waits for it."""
        return self.open.pop(number, None) if isinstance(number, int) else None

    def take_late(self, now_ns: int) -> Open[B] | None:
        """The oldest request that has waited too long, closed; None when there is none."""
        late = (number for number, asked in self.open.items() if asked.deadline_ns <= now_ns)
        return self.close(next(late, None))

    @property
    def deadline_ns(self) -> int:
        """When a request will have waited too long."""
        return min((asked.deadline_ns for asked in self.open.values()), default=NEVER_NS)

    def restart(self) -> None:
        """A new session: nothing is asked for."""
        self.open.clear()
