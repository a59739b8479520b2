"""deploy/nginx/volgauge.conf before the real service: password, events, websocket, closed doors."""

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from integration.processes import Process, eventually, free_port, page_of

PROXY = Path(__file__).parents[2] / "deploy" / "nginx" / "volgauge.conf"
NAME = "index.example.org"
SIGNED_IN = {"Authorization": "Basic " + base64.b64encode(b"reader:word").decode()}
SERVICE = {
    # A browser says the proxy's name; the service listens on loopback all the same.
    "VOLGAUGE__HTTP__ALLOW_PUBLIC": "true",
    "VOLGAUGE__HTTP__PORT": "0",
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Root of nginx with the committed configuration, and the service behind it."""
    paths = f"{os.environ.get('PATH', '')}:/usr/sbin"
    nginx, openssl = shutil.which("nginx", path=paths), shutil.which("openssl", path=paths)
    if nginx is None or openssl is None:
        pytest.skip("nginx or openssl is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
            "-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem"),
        ],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    (folder / "htpasswd").write_text("reader:{PLAIN}word\n")
    with Process("demo", "--venue", "none", "--rate", "200", environment=SERVICE) as service:
        behind = page_of(service).removeprefix("http://")
        port = free_port()
        text = PROXY.read_text()
        for committed, here in (
            ("/etc/volgauge/tls/", f"{folder}/"),
            ("/etc/volgauge/", f"{folder}/"),
            ("listen 443 ", f"listen 127.0.0.1:{port} "),
            ("server 127.0.0.1:8080;", f"server {behind};"),
        ):
            assert committed in text
            text = text.replace(committed, here)
        (folder / "site.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
            "events {}\n"
            f"http {{ access_log off; client_body_temp_path {folder}/body; "
            f"proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; "
            f"uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; "
            f"include {folder}/site.conf; }}\n"
        )
        process = subprocess.Popen(
            [nginx, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        )
        try:
            root = f"https://127.0.0.1:{port}"
            eventually(lambda: status(root, "/healthz") == 200, "nginx answers")
            yield root
        finally:
            process.terminate()
            process.wait(10)


def trusting() -> ssl.SSLContext:
    """For the certificate that was made a moment ago."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def status(root: str, path: str, headers: dict[str, str] | None = None) -> int:
    """Status of a plain request; 0 when nobody answers."""
    request = request_of(root, path, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10, context=trusting()) as answer:  # noqa: S310 - loopback
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def request_of(root: str, path: str, headers: dict[str, str]) -> urllib.request.Request:
    """A request that says the proxy's name."""
    return urllib.request.Request(f"{root}{path}", headers={"Host": NAME, **headers})  # noqa: S310 - loopback


@pytest.mark.parametrize("path", ["/", "/v1/index", "/v1/stream", "/ws/api/v2", "/api/v2"])
def test_nothing_is_shown_without_the_password(proxy: str, path: str) -> None:
    """Page, API, events and websocket."""
    assert status(proxy, path) == 401


@pytest.mark.parametrize("path", ["/", "/v1/index", "/methodology"])
def test_the_password_opens_page_and_api(proxy: str, path: str) -> None:
    """The service takes the proxy's name for its own."""
    assert status(proxy, path, SIGNED_IN) == 200


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_what_is_for_the_operator_stays_inside(proxy: str, path: str) -> None:
    """Also for those who know the password."""
    assert status(proxy, path, SIGNED_IN) == 403


def test_events_pass_as_they_come(proxy: str) -> None:
    """A proxy that collects them would hand over old ones."""
    ages_seconds: list[float] = []
    request = request_of(proxy, "/v1/stream", SIGNED_IN)
    with urllib.request.urlopen(request, timeout=20, context=trusting()) as stream:  # noqa: S310 - loopback
        kind = stream.headers["Content-Type"]
        while len(ages_seconds) < 4:
            line = stream.readline()
            assert line
            if line.startswith(b'data: {"now_ns":'):
                sent_ns = json.loads(line.removeprefix(b"data: "))["now_ns"]
                ages_seconds.append((time.time_ns() - sent_ns) / 1e9)

    assert kind == "text/event-stream"
    assert min(ages_seconds[1:]) < 0.5


def test_the_websocket_passes(proxy: str) -> None:
    """A script of the proxy's own page is at home."""
    address = urlsplit(proxy)
    with connect(
        f"wss://{NAME}/ws/api/v2",
        sock=socket.create_connection((address.hostname, address.port)),
        ssl=trusting(),
        origin=Origin(f"https://{NAME}"),
        additional_headers=SIGNED_IN,
    ) as session:
        session.send(json.dumps({"jsonrpc": "2.0", "id": 7, "method": "public/test"}))
        answer = json.loads(session.recv(timeout=10))

    assert answer["id"] == 7
    assert "result" in answer


def test_a_foreign_page_gets_no_websocket(proxy: str) -> None:
    """Its visitor's browser would sign in for it."""
    answers = {
        origin: status(proxy, "/ws/api/v2", {**SIGNED_IN, "Origin": origin})
        for origin in (f"https://{NAME}", f"http://{NAME}", "https://elsewhere.example")
    }

    # What is let through is no handshake, and the service says so.
    assert list(answers.values()) == [400, 403, 403]
