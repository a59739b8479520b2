"""Which null readings of a record give no reason."""

import msgspec

from volgauge.domain.analytics import AnalyticsValue, CouplingValue

NOT_READINGS = {"inverted_since_ns", "absolute_since_ns", "adaptive_since_ns", "decoupled_since_ns"}
"""Null means "it is not so", and needs no reason."""


def unexplained(record: AnalyticsValue | CouplingValue) -> list[str]:
    """Paths of null readings without a reason, neither their own nor one of what holds them."""
    return [
        path
        for path in nulls(record, "")
        if path.rpartition(".")[2] not in NOT_READINGS
        and not any(path == known or path.startswith(f"{known}.") for known in record.missing)
    ]


def nulls(part: object, path: str) -> list[str]:
    """Paths of everything that is null, in the words of `missing`."""
    if part is None:
        return [path]
    found: list[str] = []
    if isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            if name != "missing":
                found += nulls(getattr(part, name), f"{path}.{name}".lstrip("."))
    elif isinstance(part, dict):
        for key, item in part.items():
            found += nulls(item, f"{path}.{key}")
    elif isinstance(part, tuple):
        for item in part:
            names = {
                "TenorReading": ("tenor",),
                "ExpiryReading": ("book", "expiry"),
                "ForwardVol": ("begin", "end"),
                "PairCoupling": ("first", "second"),
            }.get(type(item).__name__, ())
            words = [str(getattr(item, name)) for name in names]
            mark = ("." if names[:1] == ("book",) else "-").join(words)
            inner = nulls(item, f"{path}.{mark}")
            # A forward volatility is its value.
            found += [p.removesuffix(".value") if "begin" in names else p for p in inner]
    return found
