"""The in-process sink: newest records, conflation with true predecessors, events in order."""

import json
import math
from typing import Any

import pytest

from fakes.readings import alert_event, analytics_value, coupling_value
from fakes.records import index_value, status_event, surface_value
from volgauge.clock import SystemClock
from volgauge.domain.analytics import Edge, Rule
from volgauge.domain.channels import Kind
from volgauge.domain.index import Status
from volgauge.publish.hub import MAX_CLIENTS, MAX_EVENTS, Hub, HubClient

ALL: frozenset[str] = frozenset()


@pytest.fixture
def hub() -> Hub:
    """An empty hub."""
    return Hub(SystemClock())


def join(hub: Hub, *, tenors: frozenset[str] = ALL, events_after: int | None = None) -> HubClient:
    """A client for everything."""
    client = hub.join(ALL, tenors, events_after)
    assert client is not None
    return client


async def received(client: HubClient) -> list[dict[str, Any]]:
    """What the client gets next."""
    return [json.loads(delivery.line) for delivery in await client.next(1.0)]


def test_the_newest_record_is_kept(hub: Hub) -> None:
    """An older one is replaced; another series is not touched."""
    for record in (index_value(1), index_value(2), index_value(9, tenor_days=7.0)):
        hub.offer(record)

    newest = json.loads(hub.latest(Kind.INDEX, "BTC", "30d") or b"")
    assert (newest["seq"], newest["prev_seq"], newest["epoch"]) == (2, 1, hub.epoch)
    assert hub.latest(Kind.INDEX, "ETH", "30d") is None
    assert {key.tenor for key in hub.series()} == {"30d", "7d"}


def test_a_record_with_nan_is_counted_and_not_shown(hub: Hub) -> None:
    """Refused, once, however often it is asked for."""
    hub.offer(index_value(1, value=math.nan))

    assert hub.latest(Kind.INDEX, "BTC", "30d") is None
    assert hub.latest(Kind.INDEX, "BTC", "30d") is None
    assert hub.stats.refused == 1


async def test_a_client_begins_with_a_snapshot(hub: Hub) -> None:
    """Every series it asked for, no other tenor; surfaces have none."""
    for record in (index_value(1), index_value(1, tenor_days=7.0), surface_value(1)):
        hub.offer(record)
    snapshot = await received(join(hub, tenors=frozenset({"30d"})))

    assert [record.get("tenor_days") for record in snapshot] == [30.0, None]


async def test_a_skipped_record_is_conflation_for_the_client_too(hub: Hub) -> None:
    """`prev_seq` names the record that this client got before."""
    hub.offer(index_value(1))
    client = join(hub)
    await received(client)
    for seq in (2, 3, 4):
        hub.offer(index_value(seq))
    [fourth] = await received(client)
    hub.offer(index_value(5))
    [fifth] = await received(client)

    assert (fourth["seq"], fourth["prev_seq"]) == (4, 1)
    assert (fifth["seq"], fifth["prev_seq"]) == (5, 4)


async def test_what_a_slow_client_did_not_take_is_replaced_and_counted(hub: Hub) -> None:
    """Its outbox holds one record of a series, whatever comes."""
    client = join(hub)
    other = join(hub)
    for seq in range(1, 4):
        hub.offer(index_value(seq))
        await received(other)

    [only] = await received(client)
    assert only["seq"] == 3
    assert hub.stats.conflated == 2


async def test_events_are_numbered_and_not_replaced(hub: Hub) -> None:
    """Each change of status arrives, numbered by asset."""
    client = join(hub)
    for after in (Status.DEGRADED, Status.STALE):
        hub.offer(status_event(before=Status.OK, after=after))
    hub.offer(status_event(asset="ETH", before=Status.OK, after=Status.STALE))
    events = await received(client)

    assert [(e["asset"], e["seq"], e["prev_seq"]) for e in events] == [
        ("BTC", 1, 0),
        ("BTC", 2, 1),
        ("ETH", 1, 0),
    ]


async def test_old_events_are_given_from_where_a_client_stopped(hub: Hub) -> None:
    """None for a new client; for a returning one those after its number; a bounded many."""
    for _ in range(MAX_EVENTS + 10):
        hub.offer(status_event(before=Status.OK, after=Status.STALE))

    assert await join(hub).next(0.01) == []
    assert len(await received(join(hub, events_after=hub.event_count - 3))) == 3
    assert len(await received(join(hub, events_after=0))) == MAX_EVENTS


def test_clients_are_limited(hub: Hub) -> None:
    """One more than MAX_CLIENTS is refused and counted; a place comes free again."""
    clients = [join(hub) for _ in range(MAX_CLIENTS)]
    assert hub.join(ALL, ALL, None) is None
    hub.leave(clients[0], is_dropped=True)

    assert hub.join(ALL, ALL, None) is not None
    assert (hub.stats.clients_refused, hub.stats.clients_dropped) == (1, 1)


async def test_a_closed_hub_lets_everybody_go(hub: Hub) -> None:
    """A waiting client returns at once, and nobody joins."""
    client = join(hub)
    hub.close()

    assert await client.next(60.0) == []
    assert hub.join(ALL, ALL, None) is None


async def test_what_concerns_the_market_reaches_who_asked_for_one_asset(hub: Hub) -> None:
    """Coupling and the market's alerts come whatever the assets; other assets do not."""
    client = hub.join(frozenset({"BTC"}), ALL, None)
    assert client is not None
    for record in (
        analytics_value(1),
        analytics_value(1, asset="ETH"),
        coupling_value(1),
        alert_event(asset="ALL", subject="ALL", rule=Rule.SPILLOVER_SURGE),
        alert_event(asset="ETH", subject="ETH"),
    ):
        hub.offer(record)
    hub._fan_out()
    got = [(delivery.kind, json.loads(delivery.line)) for delivery in await client.next(1.0)]

    assert [(kind, record.get("asset")) for kind, record in got] == [
        (Kind.EVENTS, "ALL"),
        (Kind.ANALYTICS, "BTC"),
        (Kind.COUPLING, None),
    ]


async def test_a_client_can_ask_for_kinds(hub: Hub) -> None:
    """Only those come, in the snapshot and later."""
    for record in (index_value(1), analytics_value(1), coupling_value(1)):
        hub.offer(record)
    client = hub.join(ALL, ALL, 0, frozenset({"coupling"}))
    assert client is not None
    hub.offer(alert_event())
    kinds = [delivery.kind for delivery in await client.next(1.0)]

    assert kinds == [Kind.COUPLING]


def test_an_alert_is_up_until_it_is_cleared(hub: Hub) -> None:
    """The board holds each episode that goes on, and the events, newest first."""
    other = alert_event(asset="ETH", subject="ETH")
    for event in (alert_event(), other, alert_event(edge=Edge.CLEARED)):
        hub.offer(event)
    board = json.loads(hub.alerts.as_json())

    assert [alert["subject"] for alert in board["active"]] == ["ETH"]
    assert [(a["subject"], a["edge"], a["seq"]) for a in board["recent"]] == [
        ("BTC", "cleared", 2),
        ("ETH", "raised", 1),
        ("BTC", "raised", 1),
    ]
