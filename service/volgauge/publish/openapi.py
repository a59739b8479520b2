"""OpenAPI 3.1 of the HTTP side: one operation a route, bodies from the structs that are encoded.

The table below is also what the server holds requests against: a route whose operation is strict
refuses every query parameter that the table does not name.
"""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, Struct

from volgauge import __version__
from volgauge.domain.analytics import AnalyticsValue, CouplingValue
from volgauge.domain.channels import Kind
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.history import MAX_CANDLES, RESOLUTIONS_SECONDS, CandleSeries
from volgauge.domain.index import IndexValue, SurfaceValue
from volgauge.publish import shapes, udf
from volgauge.publish.answers import INSTANT, NAME, SERIES, TENOR
from volgauge.publish.dropin_params import MAX_MILLIS, VolatilityData
from volgauge.publish.dropin_params import RESOLUTIONS as DVOL_RESOLUTIONS
from volgauge.publish.dropin_rpc import Envelope
from volgauge.publish.schemas import Schema, components
from volgauge.publish.smile import SmileAnswer

JSON = "application/json"
HTML = "text/html"
TEXT = "text/plain"
MAX_UDF = 10**12 - 1


class Parameter(Struct, frozen=True):
    """One parameter of the query."""

    name: str
    schema: Schema
    text: str
    required: bool = False
    is_list: bool = False
    """Comma-separated."""


class Operation(Struct, frozen=True, kw_only=True):
    """What one route does."""

    summary: str
    tag: str
    answer: Any = UNSET
    """Type of the JSON body; UNSET: the body is text."""
    media: tuple[str, ...] = (JSON,)
    query: tuple[Parameter, ...] = ()
    body: Any = UNSET
    """Type of the request's JSON."""
    errors: tuple[int, ...] = (400, 421)
    result: Any = UNSET
    """Type of `result` in an envelope that is the answer."""
    refusal: Any = shapes.ErrorAnswer
    """Type of the body of errors."""
    cached: bool = False
    """Has an ETag, answers 304, is compressed."""
    strict: bool = False
    """Query parameters that are not named are refused."""
    status: int = 200

    @property
    def types(self) -> tuple[Any, ...]:
        """Answer, its result, the request's body, the refusal."""
        return self.answer, self.result, self.body, self.refusal


def _text(pattern: re.Pattern[str], example: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern.pattern})$", "examples": [example]}


PATH: dict[str, Schema] = {
    "asset": _text(NAME, "BTC"),
    "tenor": _text(TENOR, "30d"),
    "series": _text(SERIES, "30d"),
    "seq": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "examples": [4711]},
    "name": {"type": "string", "minLength": 1},
}
"""Parameters of paths, by name."""

_INSTANT = _text(INSTANT, "2026-11-21T12:00:00Z")
_MILLIS: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_MILLIS - 1}
_UDF_SECONDS: Schema = {"type": "integer", "minimum": -MAX_UDF, "maximum": MAX_UDF}
_TENOR_QUERY = Parameter(
    "tenor",
    _text(re.compile(TENOR.pattern.removesuffix("d") + "d?"), "30d"),
    "Tenor; the headline's without.",
)
_SYMBOL = Parameter(
    "symbol",
    {"type": "string", "maxLength": 64, "examples": ["VG-BTC-30D"]},
    "Index code.",
    required=True,
)
_EXPECTED = Parameter(
    "expected_result", {"type": "string"}, "`exception` makes the answer an error."
)
_CANDLES_QUERY = (
    Parameter("currency", {"type": "string", "examples": ["BTC"]}, "Asset.", required=True),
    Parameter("start_timestamp", _MILLIS, "Begin, ms since 1970 UTC, included.", required=True),
    Parameter("end_timestamp", _MILLIS, "End, ms since 1970 UTC, included.", required=True),
    Parameter(
        "resolution",
        {"type": "string", "enum": list(DVOL_RESOLUTIONS)},
        "Seconds of one candle, or `1D`.",
        required=True,
    ),
)


def _names(name: str, item: Schema, text: str) -> Parameter:
    return Parameter(name, {"type": "array", "items": item}, text, is_list=True)


def _record(summary: str, answer: Any, *query: Parameter, missing: bool = True) -> Operation:  # noqa: ANN401 - a type
    """What is under `/v1` and made to be asked for again."""
    return Operation(
        summary=summary,
        tag="records",
        answer=answer,
        query=query,
        errors=(400, 404, 421) if missing else (400, 421),
        cached=True,
        strict=True,
    )


def _page(summary: str) -> Operation:
    media = (HTML, "text/css", "text/javascript", "text/markdown", TEXT, "image/svg+xml")
    return Operation(summary=summary, tag="page", media=media, errors=(400, 404, 421), cached=True)


def _udf(summary: str, answer: Any, *query: Parameter) -> Operation:  # noqa: ANN401 - a type
    return Operation(
        summary=summary,
        tag="tradingview",
        answer=answer,
        query=query,
        errors=(400, 404, 421, 503),
        refusal=shapes.UdfRefusal | shapes.ErrorAnswer,
        cached=True,
    )


def _rpc(
    summary: str,
    *query: Parameter,
    result: Any = UNSET,  # noqa: ANN401 - a type
    body: Any = UNSET,  # noqa: ANN401 - a type
) -> Operation:
    errors = (400, 421, 503) if body is UNSET else (400, 413, 421, 503)
    return Operation(
        summary=summary,
        tag="deribit",
        answer=Envelope,
        result=result,
        query=query,
        body=body,
        errors=errors,
        refusal=Envelope | shapes.ErrorAnswer,
    )


def operations(explanation: Any) -> dict[tuple[str, str], Operation]:  # noqa: ANN401 - a type
    """Every operation, by method and path.

    Args:
        explanation: Type of what `/v1/explain` answers; the composition root knows it.
    """
    history = _record(
        f"Candles that open in [from, to), at most {MAX_CANDLES}, and the gaps between them; a "
        "longer range is 400 with the advice to take a coarser resolution",
        CandleSeries,
        Parameter("from", _INSTANT, "Begin; 1,440 candles before the end without."),
        Parameter("to", _INSTANT, "End, excluded; now without. After `from`."),
        Parameter(
            "resolution",
            {"type": "integer", "enum": list(RESOLUTIONS_SECONDS), "default": 60},
            "Seconds of one candle.",
        ),
    )
    stream = Operation(
        summary="Server-sent events, without end: a snapshot, then what changes, newest only; the "
        "messages are in /asyncapi.json",
        tag="records",
        media=("text/event-stream",),
        query=(
            _names("assets", PATH["asset"], "Only these assets."),
            _names("tenors", PATH["tenor"], "Only these tenors."),
            _names(
                "kinds", {"type": "string", "enum": [kind.value for kind in Kind]}, "Only these."
            ),
            Parameter(
                "events",
                {"type": "string", "enum": ["recent"]},
                "`recent`: the events that are kept, too.",
            ),
        ),
        errors=(400, 421, 503),
        strict=True,
    )
    get: dict[str, Operation] = {
        "/v1/about": _record("The build and the source", shapes.About, missing=False),
        "/v1/index": _record("The newest record of every index", shapes.IndexList, missing=False),
        "/v1/index/{asset}": _record("The newest records of an asset", shapes.IndexList),
        "/v1/index/{asset}/{tenor}": _record("The newest record of one index", IndexValue),
        "/v1/venues": _record("What each option book says", shapes.VenueList, missing=False),
        "/v1/venues/{asset}": _record("What each book says of an asset", shapes.VenueList),
        "/v1/surface/{asset}": _record("All expiries and tenors", SurfaceValue),
        "/v1/smile/{asset}": _record(
            "Every smile, strike by strike, with the fit",
            SmileAnswer,
            Parameter("expiry", _INSTANT, "Only this listed expiry."),
        ),
        "/v1/analytics/{asset}": _record("What is read off index and surface", AnalyticsValue),
        "/v1/coupling": _record("How the assets move together", CouplingValue),
        "/v1/alerts": _record("The alerts that are up", shapes.Alerts, missing=False),
        "/v1/history/{asset}": _record("What is stored", shapes.Holdings, missing=False),
        "/v1/history/{asset}/{series}": history,
        "/v1/evidence/{asset}/{seq}": _record(
            "What one record rests on", EvidenceBundle, _TENOR_QUERY
        ),
        "/v1/explain/{asset}/{seq}": _record(
            "Why a record says what it says, or why it moved",
            explanation,
            _TENOR_QUERY,
            Parameter("against", PATH["seq"], "Number of the older record of a move."),
        ),
        "/v1/stream": stream,
        "/healthz": Operation(summary="Alive", tag="operation", answer=shapes.Health),
        "/readyz": Operation(
            summary="Ready; 503 with reasons when not", tag="operation", answer=shapes.Readiness,
            errors=(400, 421, 503), refusal=shapes.Readiness | shapes.ErrorAnswer,
        ),
        "/metrics": Operation(
            summary="Prometheus", tag="operation", media=(TEXT, "application/openmetrics-text"),
        ),
        "/openapi.json": Operation(
            summary="This document", tag="operation", answer=dict[str, Any], cached=True
        ),
        "/asyncapi.json": Operation(
            summary="AsyncAPI of what is pushed: Redis, events, websocket", tag="operation",
            answer=dict[str, Any], cached=True,
        ),
        "/": _page("The live page"),
        "/page/{name}": _page("A file of the live page"),
        "/methodology": _page("The rules"),
        "/methodology/{name}": _page("A file of the rules"),
        "/udf/config": _udf("What this feed can do", shapes.UdfConfig),
        "/udf/time": Operation(summary="Our time, seconds", tag="tradingview", media=(TEXT,)),
        "/udf/symbols": _udf("One index", shapes.UdfSymbol, _SYMBOL),
        "/udf/search": _udf(
            "Find an index",
            list[shapes.UdfFound],
            Parameter("query", {"type": "string"}, "Words."),
            Parameter("type", {"type": "string"}, "`index` or empty."),
            Parameter("exchange", {"type": "string"}, f"`{udf.EXCHANGE}` or empty."),
            Parameter(
                "limit", _UDF_SECONDS, f"At most so many; more than {udf.MAX_FOUND} is as many."
            ),
        ),
        "/udf/history": _udf(
            f"Bars, at most {MAX_CANDLES}",
            udf.Bars,
            _SYMBOL,
            Parameter(
                "resolution",
                {"type": "string", "enum": [*udf.RESOLUTIONS, "D", "1440"]},
                "Of a bar.",
                required=True,
            ),
            Parameter("to", _UDF_SECONDS, "End, excluded, seconds.", required=True),
            Parameter("from", _UDF_SECONDS, "Begin, seconds; before `to`."),
            Parameter(
                "countback",
                {"type": "integer", "minimum": 1, "maximum": MAX_CANDLES},
                "The newest so many; beats `from`.",
            ),
        ),
        "/ws/api/v2": Operation(
            summary="Websocket, JSON-RPC as Deribit speaks it; the messages are in /asyncapi.json",
            tag="deribit", media=(), errors=(400, 403, 421, 503), status=101,
        ),
        "/api/v2/public/test": _rpc("Try the link", _EXPECTED, result=shapes.Version),
        "/api/v2/public/hello": _rpc("Our version", result=shapes.Version),
        "/api/v2/public/get_time": _rpc("Our time, milliseconds", result=int),
        "/api/v2/public/get_volatility_index_data": _rpc(
            "Candles of the index, as Deribit's DVOL", *_CANDLES_QUERY, result=VolatilityData
        ),
    }  # fmt: skip
    found = {("GET", path): operation for path, operation in get.items()}
    for path in [*get, "/api/v2"]:
        if path.startswith("/api/v2"):
            found["POST", path] = _rpc("One JSON-RPC request", body=shapes.RpcCall)
    return found


def known_parameters(explanation: Any) -> dict[str, frozenset[str]]:  # noqa: ANN401 - a type
    """Names of the query of every strict route, by its path."""
    return {
        path: frozenset(parameter.name for parameter in operation.query)
        for (_, path), operation in operations(explanation).items()
        if operation.strict
    }


def openapi(routes: Iterable[tuple[str, str]], explanation: Any) -> Schema:  # noqa: ANN401 - a type
    """The document.

    Args:
        routes: Method and path of every route that there is, as aiohttp writes them.
        explanation: Type of what `/v1/explain` answers.

    Raises:
        LookupError: A route has no operation.
    """
    chosen: dict[tuple[str, str], Operation] = {}
    table = operations(explanation)
    for method, path in routes:
        # `{method}` stands for a method of Deribit; each has an operation of its own.
        form = re.escape(path).replace(r"\{method\}", "[a-z_]+")
        fitting = {
            key: operation
            for key, operation in table.items()
            if key[0] == method and re.fullmatch(form, key[1])
        }
        if not fitting:
            raise LookupError(f"expected an operation of {method} {path}, found none")
        chosen |= fitting
    references, schemas = components(
        one for operation in chosen.values() for one in operation.types if one is not UNSET
    )
    remaining = iter(references)
    paths: dict[str, Schema] = {}
    for (method, path), operation in chosen.items():
        found = [None if one is UNSET else next(remaining) for one in operation.types]
        paths.setdefault(path, {})[method.lower()] = _described(path, operation, *found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "volgauge",
            "version": __version__,
            "summary": "An open, real-time implied-volatility index for crypto options.",
            "description": "Every GET but a stream answers HEAD, too. Errors are "
            '`{"error": {"code", "message"}}`: 404 `not_found` for an unknown path, 405 with '
            "`Allow` for another method, 414 for a target above 4 KiB, 400 for a parameter that "
            "is given twice or, under /v1, unknown. There is no authentication: the server binds "
            "to loopback unless `http.allow_public` says otherwise.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name} for name in dict.fromkeys(operation.tag for operation in chosen.values())
        ],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _described(
    path: str,
    operation: Operation,
    answer: Schema | None,
    result: Schema | None,
    body: Schema | None,
    refusal: Schema | None,
) -> Schema:
    """One operation as the document has it."""
    parameters: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": PATH[name]}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    for parameter in operation.query:
        one: Schema = {
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.text,
            "schema": parameter.schema,
        }
        if parameter.is_list:
            one |= {"style": "form", "explode": False}
        parameters.append(one)
    told: Schema = {"description": operation.summary}
    if operation.media:
        schema = answer if answer is not None else {"type": "string"}
        if result is not None:
            schema = {"allOf": [schema, {"properties": {"result": result}}]}
        told["content"] = {media: {"schema": schema} for media in operation.media}
    responses: dict[str, Schema] = {str(operation.status): told}
    if operation.cached:
        headers = {
            "ETag": {"required": True, "schema": {"type": "string"}},
            "Cache-Control": {"required": True, "schema": {"type": "string"}},
        }
        told["headers"] = headers
        responses["304"] = {
            "description": "`If-None-Match` holds the tag of what would be sent",
            "headers": headers,
        }
    for status in (*operation.errors, 405, 414):
        responses[str(status)] = {
            "description": ERRORS[status],
            "content": {JSON: {"schema": refusal}},
        }
    responses["405"]["headers"] = {"Allow": {"required": True, "schema": {"type": "string"}}}
    described: Schema = {
        "operationId": _identifier(path, is_post=body is not None),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": parameters,
        "responses": responses,
    }
    if body is not None:
        method = path.rpartition("/")[2]
        names = [method] if method in RPC_METHODS else list(RPC_METHODS)
        named = {"properties": {"method": {"enum": [f"public/{name}" for name in names]}}}
        schema = {"allOf": [body, named]}
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return described


RPC_METHODS = ("test", "hello", "get_time", "get_volatility_index_data")
"""Those that need no websocket."""

ERRORS = {
    400: "The request is malformed, a parameter unknown, or given twice",
    403: "A script of a foreign page",
    404: "There is no such thing here",
    405: "Another method is expected",
    413: "The body is too long",
    414: "The target is too long",
    421: "A foreign Host header on a server that is not public",
    503: "Not now",
}
"""Why a request is refused, by status."""


def _identifier(path: str, *, is_post: bool) -> str:
    words = re.findall(r"\w+", path) or ["page"]
    return "_".join(["post" if is_post else "get", *words])
