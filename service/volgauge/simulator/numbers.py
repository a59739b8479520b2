"""Numbers as the venues print them: decimals without an exponent."""

from math import isnan

from volgauge.simulator.listing import Terms


def number_text(value: float, *, absent: str = "0", places: int = 12) -> str:
    """The shortest decimal without a trailing point.

    Args:
        value: What is printed.
        absent: Stands for NaN.
        places: Printed at most of what would have an exponent.
    """
    if isnan(value):
        return absent
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.{places}f}".rstrip("0")
    return text.removesuffix(".0").rstrip(".")


def decimal_text(value: float, places: int, *, absent: str = "0") -> str:
    """At most so many decimals; `absent` for NaN, as a bid's volatility without a bid."""
    if isnan(value):
        return absent
    return f"{value:.{places}f}".rstrip("0").rstrip(".") or "0"


def size_text(terms: Terms, lots: int) -> str:
    """So many steps of size, in coins."""
    numerator, denominator = terms.min_amount
    return number_text(lots * numerator / denominator)
