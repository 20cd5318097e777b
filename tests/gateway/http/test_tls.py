"""A gateway with a certificate of its own: the limits of HTTP hold, and nobody notices a renewal."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_model import FakeModel
from gateway_process import GatewayProcess, request
from gateway_testbed import eventually, picture, routing, write_atomically
from key_secret import KeySecret

MakeGateway = Callable[..., GatewayProcess]
#: The first bytes of a handshake.
BEGINNING = b"\x16\x03\x01\x02\x00\x01"


def certificate(folder: Path, name: str) -> dict[str, str]:
    """A self-signed certificate for loopback, as the entries of a Secret."""
    key, chain = folder / f"{name}.key", folder / f"{name}.crt"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
    options = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *options, "-keyout", key, "-out", chain], check=True, capture_output=True
    )
    return {"tls.crt": chain.read_text(), "tls.key": key.read_text()}


class Https:
    """A gateway with a certificate, and clients that trust only this one."""

    def __init__(self, process: GatewayProcess, secret: KeySecret) -> None:
        self.process, self.secret = process, secret
        #: A handshake that began before the first test, and never ends.
        self.handshake = socket.create_connection(("127.0.0.1", process.port), timeout=60)
        self.handshake.sendall(BEGINNING)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.secret.folder / "tls.crt"))

    def connect(self) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.process.port), timeout=60)
        return self.context().wrap_socket(raw, server_hostname="127.0.0.1")

    def client(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.process.port, timeout=60, context=self.context())

    def predict(self, client: http.client.HTTPSConnection, body: bytes) -> int:
        client.request("POST", "/predict", body)
        response = client.getresponse()
        response.read()
        return response.status


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Https]:
    model = FakeModel().start()
    folder = tmp_path_factory.mktemp("tls")
    secret = KeySecret(folder / "secret", **certificate(folder, "first"))
    process = GatewayProcess(tmp_path_factory.mktemp("gateway"), GATEWAY_TLS_DIRECTORY=str(secret.folder))
    yield Https(process.start_ready(routing(model)), secret)
    process.stop()
    model.stop()


def read_status(connection: ssl.SSLSocket) -> bytes:
    return connection.makefile("rb").readline().strip()


def test_predictions_small_and_large_are_answered_on_one_connection(https: Https) -> None:
    client = https.client()
    # What follows a picture is not looked at.
    sizes = [0, 1, 16_383, 16_384, 100_000, 5_000_000]
    assert [https.predict(client, picture() + bytes(size)) for size in sizes] == [200] * len(sizes)
    client.request("GET", "/page.js")
    assert client.getresponse().read().endswith(b"});\n")


def test_a_request_that_arrives_byte_by_byte_or_pipelined_is_answered(https: Https) -> None:
    one = b"GET /problems HTTP/1.1\r\nHost: x\r\n\r\n"
    with https.connect() as connection:
        for byte in one:
            connection.sendall(bytes([byte]))
        assert read_status(connection) == b"HTTP/1.1 200 OK"
    with https.connect() as connection:
        connection.sendall(one * 50 + one.replace(b"Host", b"Connection: close\r\nHost"))
        received = connection.makefile("rb").read()
        assert received.count(b"HTTP/1.1 200 OK") == 51


def test_a_refused_upload_gets_its_response_although_it_goes_on(https: Https) -> None:
    with https.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(20):
            connection.sendall(bytes(100_000))
        assert read_status(connection) == b"HTTP/1.1 413 Request Entity Too Large"


def test_plain_http_gets_a_sentence(https: Https) -> None:
    answer = request(https.process.port, "GET", "/")
    assert (answer.status, answer.body) == (400, b"This port needs HTTPS. Write https:// in the URL.\n")


def test_handshakes_that_never_end_keep_no_response_from_a_good_client(https: Https) -> None:
    waiting = [socket.create_connection(("127.0.0.1", https.process.port), timeout=60) for _ in range(300)]
    for each in waiting:
        each.sendall(BEGINNING)
    assert https.predict(https.client(), picture()) == 200
    assert https.process.internal("/livez") == 200
    for each in waiting:
        each.close()


def test_old_protocols_are_refused(https: Https) -> None:
    context = https.context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    raw = socket.create_connection(("127.0.0.1", https.process.port), timeout=60)
    with pytest.raises(ssl.SSLError), context.wrap_socket(raw, server_hostname="127.0.0.1"):
        pass


def test_a_renewed_certificate_takes_effect_and_no_connection_is_lost(https: Https, tmp_path: Path) -> None:
    old = https.client()
    assert https.predict(old, picture()) == 200
    before = https.connect().getpeercert()
    https.secret.write(**certificate(tmp_path, "second"))

    def renewed() -> bool:
        try:
            return https.connect().getpeercert() != before
        except ssl.SSLError:
            return False

    eventually(renewed, "new connections get the new certificate", 5)
    assert https.predict(old, picture()) == 200
    broken = {**certificate(tmp_path, "third"), "tls.key": "no key"}
    trusted = https.context()
    https.secret.write(**broken)
    error = eventually(lambda: https.process.rollout()["access"]["certificate_error"], "it is reported", 5)
    assert "is invalid" in error
    assert "tls.key, its key without a password" in error
    raw = socket.create_connection(("127.0.0.1", https.process.port), timeout=60)
    assert trusted.wrap_socket(raw, server_hostname="127.0.0.1").getpeercert()
    assert https.process.internal("/readyz") == 200


@pytest.mark.parametrize("entries", [{}, {"tls.crt": "x", "tls.key": "y"}], ids=["missing", "invalid"])
def test_a_gateway_without_a_valid_certificate_is_alive_but_not_ready_and_never_speaks_plain_http(
    make_gateway: MakeGateway, model: FakeModel, tmp_path: Path, entries: dict[str, str]
) -> None:
    secret = KeySecret(tmp_path / "secret", **entries)
    gateway = make_gateway(GATEWAY_TLS_DIRECTORY=str(secret.folder))
    write_atomically(gateway.routing_file, routing(model))
    gateway.start()
    reason = request(gateway.internal_port, "GET", "/readyz")
    assert reason.status == 503
    assert b"The certificate in" in reason.body
    with pytest.raises(OSError):  # noqa: PT011  any end of the connection
        request(gateway.port, "GET", "/")
    secret.write(**certificate(tmp_path, "late"))
    eventually(lambda: gateway.internal("/readyz") == 200, "the gateway is ready with a certificate")


def test_a_handshake_gets_no_more_time_than_a_connection_that_sends_nothing(https: Https) -> None:
    assert https.handshake.recv(1) == b""
    https.handshake.close()
