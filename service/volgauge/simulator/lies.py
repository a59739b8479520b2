"""What a venue's quotes say that is not so; the wire stays in good order."""

from msgspec import Struct


class Lies(Struct, frozen=True, kw_only=True):
    """Of one venue, from now on."""

    vol_ratio: float = 1.0
    """Quoted volatilities are this multiple of the true ones: time values are its square."""
    frozen: bool = False
    """Quotes stand still while their stamps go on."""
    crossed: bool = False
    """Bids stand above asks."""
    silent: bool = False
    """No data at all; answers and heartbeats go on."""

    def time_value_ratio(self) -> float:
        """Of quoted to true time value."""
        return self.vol_ratio**2
