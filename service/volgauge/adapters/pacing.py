"""When the next request to a venue may go out; what a pool holds is each venue's own rule."""


class Pacer:
    """A pool of credits: so many requests at once, then one a refill."""

    def __init__(self, burst: int, refill_ns: int, spacing_ns: int = 0) -> None:
        """Begin with a full pool.

        Args:
            burst: Requests that a full pool holds, >= 1.
            refill_ns: One more comes back after this time.
            spacing_ns: Between two requests at least, however full the pool is.
        """
        self._reserve_ns = (burst - 1) * refill_ns
        self._refill_ns = refill_ns
        self._spacing_ns = spacing_ns
        self._full_ns = 0
        """When the pool will be full again."""
        self._spaced_ns = 0
        """When the spacing is over."""

    @property
    def free_ns(self) -> int:
        """The earliest instant of the next turn."""
        return max(self._spaced_ns, self._full_ns - self._reserve_ns)

    def take(self, now_ns: int) -> bool:
        """Use the turn, if it has come."""
        if now_ns < self.free_ns:
            return False
        self._full_ns = max(self._full_ns, now_ns) + self._refill_ns
        if self._spacing_ns:
            self._spaced_ns = now_ns + self._spacing_ns
        return True
