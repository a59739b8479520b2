"""The analytics of a running service: Valkey, HTTP, metrics, client, and the replay of it all."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import redis.asyncio

from fakes.nulls import unexplained
from integration.processes import fetch, metric, result_of
from volgauge import client, kernels
from volgauge.app import Service
from volgauge.clock import SystemClock
from volgauge.domain.analytics import AnalyticsValue, CouplingValue, Lack
from volgauge.domain.index import Source
from volgauge.publish.record import shipped_schema
from volgauge.settings import (
    HttpSettings,
    RecorderSettings,
    RedisSettings,
    Settings,
    VenueSettings,
    VenuesSettings,
)
from volgauge.simulator.server import Simulator, SimulatorOptions

ASSETS = ("BTC", "ETH")
SECONDS = 8.0
PATIENCE_SECONDS = 60.0
OF_THE_SINK = ("source", "epoch", "published_ns", "prev_seq")
"""Fields that the sink sets, and the source's name: all else is the desk's."""
ATM_POINTS = 3.0
Line = dict[str, Any]


class Session(msgspec.Struct):
    """What some seconds of a service gave."""

    heard: dict[str, list[Line]]
    """By channel, off the wire."""
    kept: dict[str, list[Line]]
    """By stream."""
    over_http: dict[str, Line]
    by_client: list[AnalyticsValue]
    missing: float
    """Null readings of both assets and of the pairs by the metrics."""
    seconds_spent: float
    truth: dict[str, float]
    """At the money at 30 days, by the simulator."""
    folder: Path


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One simulated venue, one service without history, everybody listening."""
    return asyncio.run(take(tmp_path_factory.mktemp("analytics") / "recording"))


async def take(folder: Path) -> Session:
    """Run the service over some seconds of the market."""
    kernels.warm()
    async with AsyncExitStack() as stack:
        options = SimulatorOptions(currencies=ASSETS, rate=300.0, seed=5, compression=False)
        simulator = await stack.enter_async_context(Simulator(options))
        settings = Settings(
            venues=VenuesSettings(
                deribit=VenueSettings(
                    assets=ASSETS,
                    ws_url=simulator.ws_url,
                    rest_url=simulator.rest_url,
                    stale_after_seconds=20.0,
                    compression=False,
                )
            ),
            http=HttpSettings(port=0),
            redis=RedisSettings(),
            recorder=RecorderSettings(path=str(folder)),
        )
        service = Service(settings, source=Source.SIMULATED, clock=SystemClock())
        serving = asyncio.create_task(service.run(lambda _: None))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while service.reasons_not_ready():
                    if serving.done():
                        serving.result()
                    await asyncio.sleep(0.05)
            return await listen(service, simulator, folder)
        finally:
            service.stopping.set()
            await asyncio.wait_for(serving, 10.0)


async def listen(service: Service, simulator: Simulator, folder: Path) -> Session:
    """Hear everything for some seconds, then ask what there is."""
    channels = [f"volgauge:analytics:{asset}" for asset in ASSETS] + ["volgauge:coupling"]
    heard: dict[str, list[Line]] = {name: [] for name in channels}
    by_client: list[AnalyticsValue] = []
    connection = redis.asyncio.Redis.from_url(service.redis_url, decode_responses=True)
    following = asyncio.create_task(follow(service.redis_url, by_client))
    async with connection, connection.pubsub() as messages:
        await messages.subscribe(*channels)
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while True:
                    message = await messages.get_message(ignore_subscribe_messages=True, timeout=1)
                    if message is not None:
                        heard[message["channel"]].append(json.loads(message["data"]))
        following.cancel()
        kept = {}
        for name in channels:
            entries: Any = await connection.xrange(name.replace(":", ":stream:", 1))
            kept[name] = [json.loads(fields["record"]) for _, fields in entries]
    root = service.http.url if service.http is not None else ""
    paths = ("/v1/analytics/BTC", "/v1/coupling", "/v1/alerts")
    answers = {path: await asyncio.to_thread(fetch, root + path) for path in paths}
    truth = {
        asset: simulator.market.constant_tenor(asset).atm
        for asset in ASSETS
        if simulator.market is not None
    }
    return Session(
        heard=heard,
        kept=kept,
        over_http={path: json.loads(body) for path, (_, _, body) in answers.items()},
        by_client=by_client,
        missing=await asyncio.to_thread(metric, root, "volgauge_analytics_missing"),
        seconds_spent=await asyncio.to_thread(
            metric, root, "volgauge_analytics_duration_seconds_sum"
        ),
        truth=truth,
        folder=folder,
    )


async def follow(url: str, records: list[AnalyticsValue]) -> None:
    """As a user does."""
    async with client.subscribe_analytics(url, "BTC") as values:
        while True:
            records.append(await anext(values))


def test_what_is_heard_is_valid_by_the_shipped_schemas(session: Session) -> None:
    """Each channel speaks; every record passes an independent validator."""
    for channel, records in session.heard.items():
        name = "coupling.json" if channel.endswith("coupling") else "analytics.json"
        validator = jsonschema.Draft202012Validator(json.loads(shipped_schema(name)))

        assert len(records) >= 4, channel
        for record in records[:: max(1, len(records) // 10)]:
            assert list(validator.iter_errors(record)) == []


def test_channel_stream_and_http_tell_the_same(session: Session) -> None:
    """By number, in all but what each sink stamps."""
    for channel, records in session.heard.items():
        kept = {record["seq"]: record for record in session.kept[channel]}
        common = [record for record in records if record["seq"] in kept]

        assert common
        assert all(record == kept[record["seq"]] for record in common)
    shown = session.over_http["/v1/analytics/BTC"]
    stored = {record["seq"]: record for record in session.kept["volgauge:analytics:BTC"]}
    if shown["seq"] in stored:
        assert plain(shown) == plain(stored[shown["seq"]])
    assert set(session.over_http["/v1/alerts"]) == {"active", "recent"}


def test_readings_are_near_the_truth(session: Session) -> None:
    """At the money at 30 days within three points of the simulator's own; coin near the smile."""
    for asset, truth in session.truth.items():
        record = decoded(session.heard[f"volgauge:analytics:{asset}"][-1])
        tenor = next(tenor for tenor in record.tenors if tenor.tenor == "30d")

        assert tenor.atm == pytest.approx(truth, abs=ATM_POINTS)
        assert tenor.put_10 is not None
        assert tenor.call_10 is not None
        assert tenor.atm is not None
        assert tenor.put_10 > tenor.atm - 1.0
        assert record.value == pytest.approx(truth, abs=3.0 * ATM_POINTS)


def test_every_null_has_its_reason_in_record_and_metrics(session: Session) -> None:
    """Without history much is null: too little history; and the metrics count the same paths."""
    records = [decoded(session.heard[f"volgauge:analytics:{asset}"][-1]) for asset in ASSETS]
    coupling = msgspec.convert(session.heard["volgauge:coupling"][-1], CouplingValue)

    assert unexplained(coupling) == []
    for record in records:
        assert unexplained(record) == []
        assert record.level.rank is None
        assert record.missing["level.rank"] is Lack.TOO_LITTLE_HISTORY
        assert record.missing["realized.har"] is Lack.TOO_LITTLE_HISTORY
    counted = len(coupling.missing) + sum(len(record.missing) for record in records)
    assert session.missing == pytest.approx(counted, rel=0.2)


def test_the_client_follows_analytics(session: Session) -> None:
    """Decoded, in order, none twice."""
    numbers = [value.seq for value in session.by_client]

    assert len(numbers) >= 4
    assert numbers == sorted(set(numbers))
    assert {value.asset for value in session.by_client} == {"BTC"}


def test_a_replay_makes_the_records_of_the_service_twice(session: Session) -> None:
    """Two processes print the same bytes, and among them what was published live."""
    code, first = result_of("replay", str(session.folder), "--analytics")
    again = result_of("replay", str(session.folder), "--analytics")[1]
    made = {
        (record.get("asset"), record["seq"]): plain(record)
        for record in map(json.loads, first.splitlines())
        if "tenors" in record or "pairs" in record
    }

    assert code == 0
    assert first == again
    for records in session.kept.values():
        compared = [r for r in records if (r.get("asset"), r["seq"]) in made]
        assert len(compared) >= 0.5 * len(records)
        for record in compared:
            assert plain(record) == made[record.get("asset"), record["seq"]]


def decoded(record: Line) -> AnalyticsValue:
    """The published type."""
    return msgspec.convert(record, AnalyticsValue)


def plain(record: Line) -> Line:
    """The record without what the sink sets."""
    return {name: value for name, value in record.items() if name not in OF_THE_SINK}
