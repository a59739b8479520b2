"""The desk gives bundles, explanations and reasons; the schema is that of the types."""

import asyncio
from contextlib import suppress

import msgspec
import pytest

from fakes.evidence_lab import Lab
from volgauge.domain.evidence import EvidenceBundle
from volgauge.offline.explain import explain
from volgauge.offline.explanation import Level, Move
from volgauge.publish.answers import ApiError
from volgauge.publish.evidence import SCHEMA_FILE, EvidenceDesk
from volgauge.publish.record import json_schema, shipped_schema

EPOCH = 41


def desk_of(lab: Lab) -> EvidenceDesk:
    """A desk before the lab's keeper."""
    return EvidenceDesk(lab.keeper, epoch=lambda: EPOCH, explain=explain)


def test_the_shipped_schema_of_a_bundle_is_the_types() -> None:
    """The committed file says what the types say today."""
    assert shipped_schema(SCHEMA_FILE) == json_schema(EvidenceBundle)


async def test_bundle_carries_the_epoch_of_the_sinks() -> None:
    """So that it names the record as Redis and the API do."""
    lab = Lab(tenors_days=(30.0,))
    record = lab.run(5)[-1]
    bundle = msgspec.json.decode(
        await desk_of(lab).bundle("BTC", 30.0, record.seq), type=EvidenceBundle
    )

    assert (record.seq, EPOCH) == (bundle.record.seq, bundle.record.epoch)


async def test_levels_and_moves_are_given_as_json() -> None:
    """Without and with an older record."""
    lab = Lab(tenors_days=(30.0,))
    first, *_, last = lab.run(30)
    desk = desk_of(lab)
    level = msgspec.json.decode(await desk.explain("BTC", 30.0, last.seq, None), type=Level)
    move = msgspec.json.decode(await desk.explain("BTC", 30.0, last.seq, first.seq), type=Move)

    assert last.value == level.value
    assert (first.seq, last.seq) == (move.from_seq, move.to_seq)


async def test_what_is_not_there_is_refused_with_its_reason() -> None:
    """Also when only the older of two is gone."""
    lab = Lab(tenors_days=(30.0,), keep_seconds=1)
    lab.run(700)
    last = lab.records[-1].seq
    desk = desk_of(lab)
    cases = [
        (desk.bundle("BTC", 30.0, 1), "expired"),
        (desk.bundle("BTC", 30.0, last + 1), "not_yet"),
        (desk.bundle("BTC", 11.0, 1), "unknown_index"),
        (desk.explain("BTC", 30.0, last, 1), "expired"),
    ]
    for answer, code in cases:
        with pytest.raises(ApiError) as caught:
            await answer
        assert (404, code) == (caught.value.status, caught.value.code)


async def test_seconds_that_are_over_are_compressed_off_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The task of the service leaves nothing raw but the second that goes on."""
    monkeypatch.setattr("volgauge.publish.evidence.SEAL_SECONDS", 0.01)
    lab = Lab(tenors_days=(30.0,), seals=False)
    lab.run(500)
    kept = lab.keeper.stats.kept_bytes
    assert lab.keeper.unsealed()
    task = asyncio.create_task(desk_of(lab).run())
    async with asyncio.timeout(10.0):
        while lab.keeper.unsealed():  # noqa: ASYNC110 - the keeper has no event to wait for
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert lab.keeper.stats.kept_bytes < kept
