"""The desk where evidence is asked for: bundles and explanations as JSON, and the sealing of them.

Everything that takes milliseconds happens in a thread, one request at a time: a reader must not
slow a tick down.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias, get_type_hints

import msgspec

from volgauge.domain.evidence import EvidenceBundle
from volgauge.index.evidence import EvidenceKeeper, Missing
from volgauge.publish.answers import ApiError

SEAL_SECONDS = 1.0
SCHEMA_FILE = "evidence.json"
"""JSON Schema of a bundle, in the folder `schema` (record.shipped_schema)."""

Explain: TypeAlias = Callable[[EvidenceBundle, EvidenceBundle | None], Any]
"""Explains a bundle, or its difference to an older one; the composition root gives it."""

_MESSAGES = {
    Missing.UNKNOWN_INDEX: "no record of this asset and tenor was ever made here",
    Missing.NOT_YET: "the newest record has a smaller number",
    Missing.EXPIRED: "older than what is kept (evidence.keep_seconds, evidence.max_megabytes); "
    "a recording may hold it",
    Missing.INPUTS_EXPIRED: "the record repeats an older value, and its inputs are no longer kept",
}


class EvidenceDesk:
    """Reads the keeper for the HTTP side, and compresses what it has finished."""

    def __init__(
        self, keeper: EvidenceKeeper, *, epoch: Callable[[], int], explain: Explain
    ) -> None:
        """Prepare.

        Args:
            keeper: Filled by the engine.
            epoch: Of the sinks, now.
            explain: What /v1/explain answers.
        """
        self._keeper = keeper
        self._epoch = epoch
        self._explain = explain
        self._turn = asyncio.Lock()

    @property
    def explanation(self) -> Any:  # noqa: ANN401 - a type
        """Type of what `explain` encodes, as the function that was given declares it."""
        return get_type_hints(self._explain).get("return", Any)

    async def bundle(self, asset: str, tenor_days: float, seq: int) -> bytes:
        """The evidence of one record.

        Raises:
            ApiError: There is none; the code says why.
        """
        async with self._turn:
            excerpt = self._keeper.find(asset, tenor_days, seq)
            if isinstance(excerpt, Missing):
                raise _not_found(excerpt, seq)
            epoch = self._epoch()

            def work() -> bytes | Missing:
                bundle = excerpt.bundle(epoch)
                return bundle if isinstance(bundle, Missing) else msgspec.json.encode(bundle)

            made = await asyncio.to_thread(work)
        if isinstance(made, Missing):
            raise _not_found(made, seq)
        return made

    async def explain(self, asset: str, tenor_days: float, seq: int, against: int | None) -> bytes:
        """Why a record says what it says, or how it differs from an older one.

        Raises:
            ApiError: The evidence of one of the two is not there, or has no value.
        """
        wanted = [seq] if against is None else [seq, against]
        async with self._turn:
            excerpts = []
            for number in wanted:
                excerpt = self._keeper.find(asset, tenor_days, number)
                if isinstance(excerpt, Missing):
                    raise _not_found(excerpt, number)
                excerpts.append(excerpt)

            def work() -> bytes | tuple[Missing, int]:
                bundles = []
                for number, excerpt in zip(wanted, excerpts, strict=True):
                    bundle = excerpt.bundle(self._epoch())
                    if isinstance(bundle, Missing):
                        return bundle, number
                    bundles.append(bundle)
                older = bundles[1] if against is not None else None
                return msgspec.json.encode(self._explain(bundles[0], older))

            made = await asyncio.to_thread(work)
        if isinstance(made, tuple):
            raise _not_found(*made)
        return made

    async def run(self) -> None:
        """Compress the seconds that are over, off the loop, until cancelled."""
        while True:
            await asyncio.sleep(SEAL_SECONDS)
            for segment in self._keeper.unsealed():
                self._keeper.seal(segment, await asyncio.to_thread(segment.pack))


def _not_found(why: Missing, seq: int) -> ApiError:
    return ApiError(404, why.value, f"no evidence of {seq}: {_MESSAGES[why]}")
