"""OpenAPI and AsyncAPI: legal, complete, and true of encoded records."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import validate

from fakes.readings import alert_event, analytics_value, coupling_value
from fakes.records import index_value, surface_value, venue_index_value
from volgauge.domain.channels import Kind
from volgauge.domain.history import MAX_CANDLES
from volgauge.offline.explanation import Level, Move
from volgauge.publish.asyncapi import asyncapi
from volgauge.publish.openapi import known_parameters, openapi, operations
from volgauge.publish.record import Record, encode

EXPLANATION = Level | Move
RECORDS: list[Record] = [
    index_value(1),
    venue_index_value(1, label="okx"),
    surface_value(1),
    analytics_value(1),
    coupling_value(1),
    alert_event(),
]


def plain(document: object) -> Any:  # noqa: ANN401 - JSON
    """The document as its reader gets it."""
    return msgspec.json.decode(msgspec.json.encode(document))


@pytest.fixture(scope="module")
def described() -> Any:  # noqa: ANN401 - JSON
    """OpenAPI of every operation."""
    return plain(openapi(operations(EXPLANATION), EXPLANATION))


@pytest.fixture(scope="module")
def pushed() -> Any:  # noqa: ANN401 - JSON
    """AsyncAPI."""
    return plain(asyncapi())


def test_document_is_legal(described: Any) -> None:  # noqa: ANN401 - JSON
    """By OpenAPI 3.1's own schema."""
    validate(described)

    assert described["openapi"].startswith("3.1")


def test_every_operation_has_a_name_of_its_own(described: Any) -> None:  # noqa: ANN401 - JSON
    """Generated clients name functions so."""
    names = [
        operation["operationId"]
        for path in described["paths"].values()
        for operation in path.values()
    ]

    assert len(set(names)) == len(names)


def test_every_refusal_has_a_documented_body(described: Any) -> None:  # noqa: ANN401 - JSON
    """No status without a schema."""
    bare = [
        (path, status)
        for path, methods in described["paths"].items()
        for operation in methods.values()
        for status, response in operation["responses"].items()
        if status >= "400" and not response["content"]["application/json"]["schema"]
    ]

    assert bare == []


def test_a_route_without_an_operation_is_named() -> None:
    """It cannot be forgotten."""
    with pytest.raises(LookupError, match="GET /v1/nonsense"):
        openapi([("GET", "/v1/nonsense")], EXPLANATION)


def test_only_the_routes_of_this_server_are_described() -> None:
    """What is switched off is not promised."""
    document = openapi([("GET", "/healthz")], EXPLANATION)

    assert list(document["paths"]) == ["/healthz"]


def test_limits_of_a_range_are_said(described: Any) -> None:  # noqa: ANN401 - JSON
    """How many candles, and of which resolutions."""
    history = described["paths"]["/v1/history/{asset}/{series}"]["get"]
    bars = described["paths"]["/udf/history"]["get"]
    resolution = {p["name"]: p["schema"] for p in history["parameters"]}["resolution"]
    countback = {p["name"]: p["schema"] for p in bars["parameters"]}["countback"]

    assert str(MAX_CANDLES) in history["summary"]
    assert resolution["enum"] == [1, 60, 300, 900, 3_600, 14_400, 43_200, 86_400]
    assert countback["maximum"] == MAX_CANDLES


def test_fields_carry_the_words_of_the_source(described: Any) -> None:  # noqa: ANN401 - JSON
    """A reader of the document sees units without a reader of the code beside."""
    candle = described["components"]["schemas"]["Candle"]["properties"]

    assert "seconds since 1970" in candle["opened_s"]["description"]


def test_records_are_strict() -> None:
    """Every route of records refuses what it does not name; others' clients may send more."""
    strict = known_parameters(EXPLANATION)

    assert strict["/v1/index"] == frozenset()
    assert strict["/v1/history/{asset}/{series}"] == {"from", "to", "resolution"}
    assert not any(path.startswith(("/udf", "/api", "/ws")) for path in strict)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_fits_both_documents(
    record: Record,
    described: Any,  # noqa: ANN401 - JSON
    pushed: Any,  # noqa: ANN401 - JSON
) -> None:
    """What is encoded is what is described, in either dialect of JSON Schema."""
    name = type(record).__name__
    body = msgspec.json.decode(encode(record))
    reference = {"$ref": f"#/components/schemas/{name}"}
    # Alerts and the like stand in lists: their schemas are there all the same.
    Draft202012Validator({**reference, "components": described["components"]}).validate(body)
    Draft7Validator({"allOf": [reference], "components": pushed["components"]}).validate(body)


def test_a_record_with_another_type_does_not_fit(pushed: Any) -> None:  # noqa: ANN401 - JSON
    """The schemas say something."""
    body = {**msgspec.json.decode(encode(index_value(1))), "value": "52.3"}
    schema = {"$ref": "#/components/schemas/IndexValue", "components": pushed["components"]}

    assert not Draft7Validator(schema).is_valid(body)


def test_every_kind_of_channel_is_described(pushed: Any) -> None:  # noqa: ANN401 - JSON
    """With the names that the publisher uses."""
    addresses = {name: channel["address"] for name, channel in pushed["channels"].items()}

    assert {kind.value for kind in Kind} <= set(addresses)
    assert addresses["index"] == "{prefix}:index:{asset}:{tenor}"
    assert addresses["venue"] == "{prefix}:venue:{asset}:{tenor}:{book}"
    assert (addresses["stream"], addresses["deribit"]) == ("/v1/stream", "/ws/api/v2")


def test_every_parameter_of_a_channel_is_explained(pushed: Any) -> None:  # noqa: ANN401 - JSON
    """And none is explained that is not there."""
    for channel in pushed["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(
            channel.get("parameters", {})
        )


def test_every_reference_leads_somewhere(pushed: Any) -> None:  # noqa: ANN401 - JSON
    """Within the document."""
    for reference in references(pushed):
        place = pushed
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def references(part: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Every `$ref` below."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for child in part.values():
            yield from references(child)
    elif isinstance(part, list):
        for child in part:
            yield from references(child)
