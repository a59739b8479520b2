"""The option books of one asset as the analytics see them: surfaces and their weights."""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from volgauge.surface.surface import Surface


class WeightedBook(NamedTuple):
    """One option book of an asset."""

    label: str
    """Key of the book in the index record's `venues`."""
    surface: Surface
    """As of its last `evaluate`."""
    weight: float
    """In the headline index; a book with 0 (out, down, warming) contributes nothing to anything."""


def contributing(books: Iterable[WeightedBook]) -> list[WeightedBook]:
    """The books whose weight is positive and finite."""
    return [book for book in books if 0.0 < book.weight < inf]
