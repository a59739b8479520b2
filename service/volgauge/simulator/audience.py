"""Who listens to a simulated venue, and frames on their way to them.

What a key is, which keys there are and what a frame looks like is the venue's.
"""

from collections import defaultdict, deque
from collections.abc import Container, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)


class Client(Protocol):
    """A session, as far as it is known here."""

    out: list[bytes]
    closing: tuple[int, str] | None

    @property
    def subscriptions(self) -> Container[object]:
        """Keys that it listens to."""
        ...


S = TypeVar("S", bound=Client)


class Audience(Generic[K, S]):
    """Sessions of one venue by what they listen to; frames leave in order, a while later."""

    def __init__(self, latency_ns: int) -> None:
        self.sessions: set[S] = set()
        self._latency_ns = latency_ns
        self._listeners: defaultdict[K, list[S]] = defaultdict(list)
        self._late: deque[tuple[int, K, tuple[S, ...] | None, bytes]] = deque()

    def __contains__(self, key: K) -> bool:
        """Somebody listens."""
        return key in self._listeners

    def __iter__(self) -> Iterator[K]:
        """What somebody listens to; it may change meanwhile."""
        return iter(list(self._listeners))

    def of(self, key: K) -> tuple[S, ...]:
        """Who listens now."""
        return tuple(self._listeners.get(key, ()))

    def add(self, session: S, key: K) -> None:
        """One more listens."""
        self._listeners[key].append(session)

    def remove(self, session: S, key: K) -> bool:
        """One listens no more; true when nobody does now."""
        listeners = self._listeners.get(key, [])
        if session in listeners:
            listeners.remove(session)
        if not listeners:
            self._listeners.pop(key, None)
        return not listeners

    def hang_up(self, code: int, reason: str) -> None:
        """Cut everybody off."""
        for session in self.sessions:
            session.closing = (code, reason)

    def send(
        self, key: K, frame: bytes, now_ns: int, sessions: tuple[S, ...] | None = None
    ) -> None:
        """Put a frame on its way, to some, or to who listens when it arrives."""
        self._late.append((now_ns + self._latency_ns, key, sessions, frame))

    def release(self, now_ns: int) -> Iterator[tuple[S, K, bytes]]:
        """What arrives by now, to who still listens."""
        while self._late and self._late[0][0] <= now_ns:
            _, key, sessions, frame = self._late.popleft()
            for session in self.of(key) if sessions is None else sessions:
                if key in session.subscriptions:
                    yield session, key, frame

    def deliver(self, now_ns: int) -> None:
        """Hand over what arrives by now as it is."""
        for session, _, frame in self.release(now_ns):
            session.out.append(frame)
