"""The alerts that are up and the last ones that were told, for readers inside the process."""

from collections import deque

from volgauge.domain.analytics import AlertEvent, Edge

MAX_RECENT = 256


class AlertBoard:
    """Fed by the hub with every alert event and its JSON."""

    def __init__(self) -> None:
        self._active: dict[str, bytes] = {}
        self._recent: deque[bytes] = deque(maxlen=MAX_RECENT)

    def take(self, event: AlertEvent, line: bytes) -> None:
        """Note one end of an episode."""
        if event.edge is Edge.RAISED:
            self._active[event.episode] = line
        else:
            self._active.pop(event.episode, None)
        self._recent.appendleft(line)

    def as_json(self) -> bytes:
        """`active`: the raise of every episode that goes on; `recent`: events, newest first."""
        return b'{"active":[%b],"recent":[%b]}' % (
            b",".join(self._active.values()),
            b",".join(self._recent),
        )
