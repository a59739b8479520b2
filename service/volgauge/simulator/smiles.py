"""One interface for the smiles of a book's expiries, whichever family they are of."""

from typing import Protocol, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volgauge.simulator import mixture, pricing
from volgauge.simulator.mixture import Mixture
from volgauge.simulator.pricing import F64, Smile

I64 = NDArray[np.int64]


class Slices(Protocol):
    """Smiles in a row, one a slice; every result has a total variance a slice."""

    def pick(self, places: I64) -> Self:
        """The slices at `places`; one may repeat."""
        ...

    def out_of_the_money(self, k: F64) -> F64:
        """Normalised price at one k a slice: put where k < 0, call where k >= 0."""
        ...

    def total_variance(self, k: F64) -> F64:
        """Implied w(k) at one k a slice."""
        ...

    def corridor(self) -> F64:
        """W(1) between the points of 5 delta."""
        ...

    def line(self) -> F64:
        """W(1) with both tails."""
        ...

    def coin(self) -> F64:
        """W(0) with both tails."""
        ...

    def simple(self) -> F64:
        """W(-1) with both tails; infinite where the second moment is."""
        ...


class SsviSlices(Struct, frozen=True):
    """Slices of an SSVI surface."""

    smile: Smile

    def pick(self, places: I64) -> "SsviSlices":
        """The slices at `places`."""
        smile = self.smile
        return SsviSlices(Smile(smile.theta[places], smile.rho[places], smile.phi[places]))

    def out_of_the_money(self, k: F64) -> F64:
        """Black-76 at w(k)."""
        return pricing.out_of_the_money(k, self.total_variance(k))

    def total_variance(self, k: F64) -> F64:
        """The SSVI formula."""
        return pricing.total_variance(k, self.smile)

    def corridor(self) -> F64:
        """By quadrature."""
        return pricing.corridor_variance(self.smile)

    def line(self) -> F64:
        """By the tail-free form."""
        return pricing.line_variance(self.smile)

    def coin(self) -> F64:
        """By the tail-free form of the mirrored smile."""
        return pricing.coin_variance(self.smile)

    def simple(self) -> F64:
        """By quadrature."""
        return pricing.simple_variance(self.smile)


class MixtureSlices(Struct, frozen=True):
    """Lognormal mixtures, one a slice."""

    mixture: Mixture

    def pick(self, places: I64) -> "MixtureSlices":
        """The slices at `places`."""
        return MixtureSlices(mixture.pick(self.mixture, places))

    def out_of_the_money(self, k: F64) -> F64:
        """The components' prices, weighted."""
        return mixture.out_of_the_money_price(k, self.mixture)

    def total_variance(self, k: F64) -> F64:
        """Solved from the price."""
        return mixture.total_variance(k, self.mixture)

    def corridor(self) -> F64:
        """By quadrature between solved ends."""
        return mixture.corridor_variance(self.mixture)

    def line(self) -> F64:
        """In closed form."""
        return mixture.line_variance(self.mixture)

    def coin(self) -> F64:
        """In closed form."""
        return mixture.coin_variance(self.mixture)

    def simple(self) -> F64:
        """In closed form."""
        return mixture.simple_variance(self.mixture)
