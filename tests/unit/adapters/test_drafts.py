"""Work done before an instant is taken at it, if nothing has changed since, else done again."""

from collections.abc import Generator, Mapping

import pytest

from volgauge.adapters.draft import Drafts
from volgauge.domain.instrument import Venue
from volgauge.errors import CatalogError

BODIES = {"options": b"1 2 3", "tickers": b"4"}
UNTIL_NS = 100
"""When the drafts of these tests do not hold any more."""


class Bench:
    """Makes drafts out of the words of bodies and the instant, a piece a body."""

    def __init__(self) -> None:
        self.made = 0
        self.drafts = Drafts(self.make, self.stands)

    def make(
        self, bodies: Mapping[str, bytes], now_ns: int
    ) -> Generator[None, None, tuple[list[bytes], bool]]:
        """Words, and whether it is late."""
        words: list[bytes] = []
        for body in bodies.values():
            if body == b"damaged":
                raise CatalogError(Venue("nowhere"), "damaged")
            words += body.split()
            yield
        self.made += 1
        return words, now_ns >= UNTIL_NS

    def stands(
        self, draft: tuple[list[bytes], bool], _bodies: Mapping[str, bytes], now_ns: int
    ) -> bool:
        """What was late is late."""
        return draft[1] == (now_ns >= UNTIL_NS)


def test_draft_made_ahead_is_taken() -> None:
    """It is the same draft, and it is made once."""
    bench = Bench()
    pieces = list(bench.drafts.ahead(BODIES, 1))
    draft = bench.drafts.take(BODIES, 2)

    assert len(pieces) == len(BODIES)
    assert draft == ([b"1", b"2", b"3", b"4"], False)
    assert bench.made == 1


def test_draft_is_made_at_the_instant_where_none_is() -> None:
    """Nobody has to read ahead, and a draft is taken once."""
    bench = Bench()

    assert bench.drafts.take(BODIES, 1) == bench.drafts.take(BODIES, 1)
    assert bench.made == 2


def test_draft_that_stands_no_more_is_made_anew() -> None:
    """Its time is over: what is taken says so."""
    bench = Bench()
    for _ in bench.drafts.ahead(BODIES, UNTIL_NS - 1):
        pass

    assert bench.drafts.take(BODIES, UNTIL_NS)[1] is True
    assert bench.made == 2


def test_draft_of_other_bodies_is_not_taken() -> None:
    """Equal names do not make them the same."""
    bench = Bench()
    for _ in bench.drafts.ahead(BODIES, 1):
        pass

    assert bench.drafts.take({**BODIES, "tickers": b"5"}, 1)[0] == [b"1", b"2", b"3", b"5"]


def test_half_a_draft_is_not_taken() -> None:
    """The instant came before it was ready."""
    bench = Bench()
    next(iter(bench.drafts.ahead(BODIES, 1)))

    assert bench.drafts.take(BODIES, 1) == ([b"1", b"2", b"3", b"4"], False)


def test_damaged_body_is_told_at_the_instant() -> None:
    """Reading ahead raises nothing."""
    bench = Bench()
    damaged = {"options": b"damaged"}

    assert list(bench.drafts.ahead(damaged, 1)) == []
    with pytest.raises(CatalogError, match="damaged"):
        bench.drafts.take(damaged, 1)
