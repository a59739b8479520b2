"""Restatement of a published value: METHODOLOGY §6, rule 21."""

from msgspec.structs import replace

from volgauge.domain.index import IndexValue
from volgauge.domain.units import NANOS_PER_DAY

LEAST_ERROR = 0.20
"""Volatility points; smaller errors stand."""


def restate(
    record: IndexValue, corrected: IndexValue, now_ns: int | None = None
) -> IndexValue | None:
    """The record that corrects a published one, or None when it stands.

    A published number is restated on the same UTC day when it was off by more than 0.20 points, or
    should not have been published at all. A published null stands: nobody relied on a number.

    Args:
        record: As published.
        corrected: The same instant computed anew, from the right inputs or by the right program.
        now_ns: When it is restated; None: when `corrected` was computed.

    Returns:
        `corrected` with the event time of the record and `corrects`; its `seq` and `epoch` are the
        publisher's to set.

    Raises:
        ValueError: The two are not of one index.
    """
    if (record.asset, record.tenor_days) != (corrected.asset, corrected.tenor_days):
        raise ValueError(
            f"expected a correction of {record.code}, received one of {corrected.code}"
        )
    at_ns = corrected.computed_ns if now_ns is None else now_ns
    if record.value is None or at_ns // NANOS_PER_DAY != record.computed_ns // NANOS_PER_DAY:
        return None
    if corrected.value is not None and abs(corrected.value - record.value) <= LEAST_ERROR:
        return None
    return replace(
        corrected, event_ns=record.event_ns, computed_ns=at_ns, published_ns=0, corrects=record.seq
    )
