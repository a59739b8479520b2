"""Which expiries a tenor may use, and how far each is in: METHODOLOGY §5, rule 9, as a state.

An expiry is in or out; it turns when the contrary was seen without interruption for the time of
rule 9, and then enters or leaves by a share that moves linearly. All of it depends on the instants
of observation alone, never on how many there were.

Liveness is the feed's affair (rule 3): while the venue is silent, or an expiry waits for its
snapshot, nothing is observed and its clocks stand still. What may then be used, `Term` decides.
"""

from collections.abc import Collection, Sequence

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_SECOND

LOST_AFTER_NS = 5 * NANOS_PER_SECOND
REGAINED_AFTER_NS = 30 * NANOS_PER_SECOND
BLEND_NS = 60 * NANOS_PER_SECOND
"""An expiry leaves or returns over this time."""
START_NS = 60 * NANOS_PER_SECOND
"""From the first observation of a book; until then whatever qualifies is taken at once."""
YOUNG_NS = NANOS_PER_HOUR
"""Until this age a newly listed expiry has no share ..."""
RIPENING_NS = 3 * NANOS_PER_HOUR
"""... and after this time more the whole one."""
SHORTEST_NS = 2 * NANOS_PER_DAY
"""Nearer expiries are not used."""
EXIT_NS = NANOS_PER_HOUR
"""Over this time before, an expiry gives up its share. Its going is certain and known long before,
so it may be slower than a loss of quality: over 60 s a steep term structure would move a 7-day
index faster than an expiry may."""
UNKNOWN_NS = 0
"""Listing time of an expiry whose venue does not tell it."""


def age_share(listed_ns: int, now_ns: int) -> float:
    """How far a listed expiry is in by its age; wholly when the age is unknown."""
    if listed_ns == UNKNOWN_NS:
        return 1.0
    return min(max((now_ns - listed_ns - YOUNG_NS) / RIPENING_NS, 0.0), 1.0)


def exit_share(expiry_ns: int, now_ns: int) -> float:
    """How far an expiry is still in by its time to expiry."""
    return min(max((expiry_ns - now_ns - SHORTEST_NS) / EXIT_NS, 0.0), 1.0)


class Presence:
    """One expiry: in or out, and on its way."""

    __slots__ = ("_anchor_ns", "_anchor_share", "_contrary_ns", "_held_ns", "is_in", "share")

    def __init__(self, now_ns: int, *, is_in: bool) -> None:
        self.is_in = is_in
        """Where it is going, or has arrived."""
        self.share = 1.0 if is_in else 0.0
        """When last observed."""
        self._anchor_ns = now_ns
        self._anchor_share = self.share
        """The share at the last turn."""
        self._contrary_ns: int | None = None
        """Since when the expiry does what should turn it."""
        self._held_ns: int | None = None

    @property
    def is_settled(self) -> bool:
        """Nothing moves and nothing is counted."""
        return (
            self._contrary_ns is None
            and self._held_ns is None
            and self.share == (1.0 if self.is_in else 0.0)
        )

    def observe(self, now_ns: int, *, qualifies: bool, at_once: bool = False) -> None:
        """See whether it meets rule 9 now; `at_once` takes it without waiting if it does."""
        if self._held_ns is not None:
            self._anchor_ns += now_ns - self._held_ns
            self._held_ns = self._contrary_ns = None
        if at_once and qualifies and self.share < 1.0:
            self._turn(now_ns, is_in=True, share=1.0)
        if qualifies == self.is_in:
            self._contrary_ns = None
        elif self._contrary_ns is None:
            self._contrary_ns = now_ns
        if self._contrary_ns is not None:
            turn_ns = self._contrary_ns + (LOST_AFTER_NS if self.is_in else REGAINED_AFTER_NS)
            if now_ns >= turn_ns:
                self._turn(turn_ns, is_in=not self.is_in, share=self._share_at(turn_ns))
        self.share = self._share_at(now_ns)

    def hold(self, now_ns: int) -> None:
        """Let the clocks stand until the next observation."""
        if self._held_ns is None:
            self.share = self._share_at(now_ns)
            self._held_ns = now_ns

    def _turn(self, now_ns: int, *, is_in: bool, share: float) -> None:
        self.is_in = is_in
        self._anchor_ns, self._anchor_share = now_ns, share
        self._contrary_ns = None

    def _share_at(self, now_ns: int) -> float:
        moved = (now_ns - self._anchor_ns) / BLEND_NS
        if self.is_in:
            return min(self._anchor_share + moved, 1.0)
        return max(self._anchor_share - moved, 0.0)


class Eligibility:
    """The expiries of one option book."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        """(n,) how far each expiry is in, as of the last observation."""
        self.out: list[bool] = []
        """(n,) rule 9 keeps it out, not its age or its time to expiry."""
        self._known: dict[int, Presence] = {}
        self._began_ns: int | None = None
        self._seen: tuple[Sequence[int], list[bool]] | None = None
        """What was last observed, while nothing moves."""
        self._quiet_until_ns = 0
        self._steady: list[float] | None = None
        """(n,) shares by rule 9 alone, while none of them moves."""

    def observe(
        self,
        expiries: Sequence[int],
        listed: Sequence[int],
        qualifies: list[bool],
        held: Collection[int],
        now_ns: int,
    ) -> list[float]:
        """Take the book's state at an instant.

        Args:
            expiries: (n,) instants, ascending.
            listed: (n,) since when each is listed; UNKNOWN_NS where nobody knows.
            qualifies: (n,) whether rule 9 holds but for the time to expiry.
            held: Rows that wait for a snapshot, or all of them while the venue is silent.
            now_ns: The instant, not before that of the last observation.

        Returns:
            (n,) shares in [0, 1].
        """
        is_same = (
            not held
            and self._seen is not None
            and self._seen[0] is expiries
            and self._seen[1] == qualifies
        )
        if is_same and now_ns < self._quiet_until_ns:
            return self.shares
        if is_same and self._steady is not None:
            # Who is in and who is out stays so: only age and time to expiry move.
            self._share_out(expiries, listed, self._steady, now_ns)
            return self.shares
        self._forget(expiries)
        known = self._known
        if self._began_ns is None and len(held) < len(expiries):
            self._began_ns = now_ns
        # A book that lost all its expiries has no value that could jump: it starts anew.
        at_once = (
            self._began_ns is None
            or now_ns - self._began_ns < START_NS
            or not any(p.is_in or p.share > 0.0 for p in known.values())
        )
        present = [
            self._observe_one(
                expiry_ns, now_ns, qualifies=qualifies[row], held=row in held, at_once=at_once
            )
            for row, expiry_ns in enumerate(expiries)
        ]
        self._seen = (expiries, qualifies)
        is_steady = not held and all(presence.is_settled for presence in known.values())
        self._steady = present if is_steady else None
        self._share_out(expiries, listed, present, now_ns)
        return self.shares

    def _share_out(
        self, expiries: Sequence[int], listed: Sequence[int], present: list[float], now_ns: int
    ) -> None:
        """Shares by rule 9 times those by age and by time to expiry."""
        self.shares = []
        self.out = []
        for expiry_ns, listed_ns, share in zip(expiries, listed, present, strict=True):
            ripe = age_share(listed_ns, now_ns)
            self.out.append(share == 0.0 and ripe == 1.0)
            self.shares.append(share * ripe * exit_share(expiry_ns, now_ns))
        is_quiet = self._steady is not None
        self._quiet_until_ns = self._next_move(expiries, listed, now_ns) if is_quiet else 0

    def _observe_one(
        self, expiry_ns: int, now_ns: int, *, qualifies: bool, held: bool, at_once: bool
    ) -> float:
        presence = self._known.get(expiry_ns)
        if held:
            if presence is None:
                # Part of the first snapshot, which is still coming in; later listings wait.
                return 1.0 if at_once else 0.0
            presence.hold(now_ns)
            return presence.share
        if presence is None:
            presence = self._known[expiry_ns] = Presence(now_ns, is_in=at_once and qualifies)
        presence.observe(now_ns, qualifies=qualifies, at_once=at_once)
        return presence.share

    def _next_move(self, expiries: Sequence[int], listed: Sequence[int], now_ns: int) -> int:
        """Until when no share moves by time alone, while rule 9 moves none."""
        began_ns = now_ns if self._began_ns is None else self._began_ns
        moves = [began_ns + START_NS] if now_ns < began_ns + START_NS else []
        for expiry_ns, listed_ns in zip(expiries, listed, strict=True):
            if listed_ns != UNKNOWN_NS:
                ripe_ns = listed_ns + YOUNG_NS + RIPENING_NS
                if now_ns < ripe_ns:
                    moves.append(max(listed_ns + YOUNG_NS, now_ns))
            leaves_ns = expiry_ns - SHORTEST_NS
            if now_ns < leaves_ns:
                moves.append(max(leaves_ns - EXIT_NS, now_ns))
        return min(moves, default=now_ns)

    def _forget(self, expiries: Sequence[int]) -> None:
        for expiry_ns in self._known.keys() - set(expiries):
            del self._known[expiry_ns]
