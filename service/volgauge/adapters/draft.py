"""What a listing comes to, worked out before the instant at which it takes effect.

The bodies of a listing are there before it counts; between the two the loop serves everybody else.
A draft is made piece by piece from the bodies and from what is listed, and changes nothing. At the
instant it is taken if all that it rests on is as it was, else it is made anew; so whether one was
made ahead shows in nothing but the time that the instant takes.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Generic, TypeVar

from volgauge.errors import VenueError

D = TypeVar("D")


class Drafts(Generic[D]):
    """Makes drafts, and keeps the one that was made ahead."""

    def __init__(
        self,
        make: Callable[[Mapping[str, bytes], int], Generator[None, None, D]],
        stands: Callable[[D, Mapping[str, bytes], int], bool],
    ) -> None:
        """Begin with nothing.

        Args:
            make: Works a draft out, and pauses after every piece; raises a VenueError where the
                bodies cannot be read.
            stands: Whether one that was made of these bodies would come out the same now.
        """
        self._make = make
        self._stands = stands
        self._held: tuple[dict[str, bytes], D] | None = None

    def ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Make a draft piece by piece; bodies that cannot be read are left to `take`."""
        self._held = None
        try:
            draft = yield from self._make(bodies, now_ns)
        except VenueError:
            return
        self._held = (dict(bodies), draft)

    def take(self, bodies: Mapping[str, bytes], now_ns: int) -> D:
        """The draft of these bodies now.

        Raises:
            VenueError: They cannot be read.
        """
        held, self._held = self._held, None
        if (
            held is not None
            and _are_same(held[0], bodies)
            and self._stands(held[1], bodies, now_ns)
        ):
            return held[1]
        return _finish(self._make(bodies, now_ns))


def _are_same(known: Mapping[str, bytes], bodies: Mapping[str, bytes]) -> bool:
    """The same objects: to compare megabytes would take as long as what is saved."""
    return known.keys() == bodies.keys() and all(known[n] is body for n, body in bodies.items())


def _finish(pieces: Generator[None, None, D]) -> D:
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            draft: D = end.value
            return draft
