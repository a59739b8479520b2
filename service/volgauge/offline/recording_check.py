"""A recording's published records against those that its replay gives."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from volgauge.domain.index import IndexValue
from volgauge.index.restatement import restate
from volgauge.offline.verify import is_same

MAX_DIVERGENCES = 20
OF_THE_SINK = frozenset({"source", "epoch", "published_ns", "prev_seq"})
"""What each sink sets anew, and the name of the source: a replay has its own."""


class Divergence(Struct, frozen=True, kw_only=True):
    """One field of one record that came out otherwise."""

    code: str
    seq: int
    field: str
    published: Any
    recomputed: Any


class RecordingVerdict(Struct, frozen=True, kw_only=True):
    """What came of a recording."""

    verified: bool
    """There were records, all of them came out, and as they were published."""
    kind: Literal["recording"] = "recording"
    exact: bool
    """Bits were compared: the recording says that it was made by this very build."""
    compared: int
    missing: int
    """Published, but the replay gave no such record."""
    beyond: int
    """Published after the last instant that the recording holds: it was cut short."""
    differing: int
    divergences: tuple[Divergence, ...]
    """The first of them."""
    restatements: tuple[IndexValue, ...] = ()
    """Records that correct published ones (METHODOLOGY rule 21), where they were asked for."""


class RecordingCheck:
    """Holds replayed records against published ones, in any order of arrival."""

    def __init__(
        self, published: Iterator[IndexValue], *, exact: bool, with_restatements: bool = False
    ) -> None:
        self._exact = exact
        self._with_restatements = with_restatements
        self._restatements: list[IndexValue] = []
        self._published = {(r.asset, r.tenor_days, r.seq): r for r in published}
        self._divergences: list[Divergence] = []
        self._differing = 0
        self._compared = 0

    def take(self, record: IndexValue) -> None:
        """Compare one replayed record; one that was not published is no matter."""
        before = self._published.pop((record.asset, record.tenor_days, record.seq), None)
        if before is None:
            return
        self._compared += 1
        restated = restate(before, record) if self._with_restatements else None
        if restated is not None:
            self._restatements.append(restated)
        found = list(_differences("", _comparable(before), _comparable(record), exact=self._exact))
        if found:
            self._differing += 1
        for field, published, recomputed in found[: MAX_DIVERGENCES - len(self._divergences)]:
            self._divergences.append(
                Divergence(
                    code=before.code,
                    seq=before.seq,
                    field=field,
                    published=published,
                    recomputed=recomputed,
                )
            )

    def verdict(self, last_ns: int) -> RecordingVerdict:
        """After the last record.

        Args:
            last_ns: The last instant at which the recording lets the engine compute.
        """
        beyond = sum(record.computed_ns > last_ns for record in self._published.values())
        missing = len(self._published) - beyond
        return RecordingVerdict(
            verified=self._compared > 0 and not missing and not self._differing,
            exact=self._exact,
            compared=self._compared,
            missing=missing,
            beyond=beyond,
            differing=self._differing,
            divergences=tuple(self._divergences),
            restatements=tuple(self._restatements),
        )


def _comparable(record: IndexValue) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(record)
    for name in OF_THE_SINK:
        del tree[name]
    return tree


def _differences(
    where: str, before: object, after: object, *, exact: bool
) -> Iterator[tuple[str, Any, Any]]:
    """Path, published and recomputed value of every leaf of two trees that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            inner = f"{where}.{key}".lstrip(".")
            yield from _differences(inner, before.get(key), after.get(key), exact=exact)
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from _differences(f"{where}[{index}]", left, right, exact=exact)
    elif not is_same(before, after, exact=exact):
        yield where, before, after
