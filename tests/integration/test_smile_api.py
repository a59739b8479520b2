"""`/v1/smile` over HTTP: what it answers, what it refuses, and that it does not hold a tick up."""

import time
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from browser.page_lab import Stage, market_lab, on_stage
from volgauge.domain.units import parse_instant
from volgauge.publish import smile_desk
from volgauge.publish.smile import SmileAnswer, excerpt, read_smiles

RUNS = 30


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A computed market behind the API."""
    async with on_stage(lab=market_lab()) as made:
        made.run(0.2)
        yield made


async def get(url: str) -> tuple[int, bytes, str]:
    """Status, body and entity tag."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.read(), answer.headers.get("ETag", "")


async def smiles(url: str) -> SmileAnswer:
    """The decoded answer."""
    status, body, _ = await get(url)
    assert status == 200
    return msgspec.json.decode(body, type=SmileAnswer)


async def test_all_expiries_or_one(stage: Stage) -> None:
    """Without a name every expiry, with one that one; the list is always whole."""
    whole = await smiles(f"{stage.url}/v1/smile/BTC")
    wanted = whole.expiries[2]
    one = await smiles(f"{stage.url}/v1/smile/BTC?expiry={wanted}")
    again = await smiles(f"{stage.url}/v1/smile/BTC?expiry={parse_instant(wanted) // 10**6}")

    assert set(whole.expiries) >= {smile.expiry for smile in whole.smiles}
    assert [wanted] == [smile.expiry for smile in one.smiles] == [s.expiry for s in again.smiles]
    assert whole.expiries == one.expiries
    assert sum(one.smiles[0].used) >= 5


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("XXX", 404, "unknown_asset"),
        ("BTC?expiry=2031-01-01T08:00:00Z", 404, "unknown_expiry"),
        ("BTC?expiry=soon", 400, "bad_query"),
        ("BTC?expiry=", 400, "bad_query"),
        ("BTC?expiry=9999999999999999999999", 400, "bad_query"),
        ("BTC?strike=1", 400, "bad_query"),
        ("B%2FC", 400, "bad_asset"),
    ],
)
async def test_refusals_are_typed(stage: Stage, path: str, status: int, code: str) -> None:
    """Status, and a code in the body."""
    found, body, _ = await get(f"{stage.url}/v1/smile/{path}")

    assert (status, code) == (found, msgspec.json.decode(body)["error"]["code"])


async def test_answers_are_shared_for_a_quarter_of_a_second(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two readers get one reading; later ones a new one; unchanged bodies are not sent again."""
    monkeypatch.setattr(smile_desk, "CACHE_SECONDS", 60.0)
    url = f"{stage.url}/v1/smile/BTC"
    _, first, tag = await get(url)
    _, second, _ = await get(url)
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers={"If-None-Match": tag}) as answer,
    ):
        unchanged = answer.status
    monkeypatch.setattr(smile_desk, "CACHE_SECONDS", 0.0)
    _, third, _ = await get(url)

    assert first == second
    assert unchanged == 304
    assert msgspec.json.decode(first)["at_ns"] < msgspec.json.decode(third)["at_ns"]


async def test_reading_six_books_takes_milliseconds(stage: Stage) -> None:
    """CPU time, best of many: a small part on the loop, the rest in a thread."""
    [(label, book)] = stage.books("BTC")
    on_loop, beside = [], []
    for _ in range(RUNS):
        begun = time.process_time_ns()
        copies = [excerpt(label, book) for _ in range(6)]
        copied = time.process_time_ns()
        msgspec.json.encode(read_smiles(copies))
        on_loop.append(copied - begun)
        beside.append(time.process_time_ns() - copied)

    assert min(on_loop) < 1_500_000
    assert min(on_loop) + min(beside) < 12_000_000
    print(f"loop {min(on_loop) / 1e6:.2f} ms, thread {min(beside) / 1e6:.2f} ms")  # noqa: T201 - the figures
