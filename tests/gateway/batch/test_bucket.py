"""A batch whose pictures are in a bucket of a real S3 server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway_process import GatewayProcess
from gateway_testbed import picture
from imageclassifier_gateway.batch.__main__ import main
from s3_server import S3Server, s3_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.upload(
            {
                "photographs/a.jpg": picture("red"),
                "photographs/2026/b.jpg": picture("blue"),
                "photographs/2026/empty/": b"",
                "photographs/list.csv": b"a.jpg",
                "other/c.jpg": picture("red"),
            }
        )
        yield server


def test_the_pictures_below_a_uri_are_classified(
    server: S3Server,
    shared_gateway: GatewayProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results.jsonl"

    def batch(uri: str, user: str) -> int:
        secret = server.secret(tmp_path / user, user)
        gateway = ["--gateway", f"http://127.0.0.1:{shared_gateway.port}", "--results", str(results)]
        bucket = ["--endpoint", server.endpoint, "--region", "us-east-1", "--credentials", str(secret)]
        return main(["--pictures", uri, *gateway, *bucket])

    assert batch("s3://models/photographs", "reader") == 0
    found = [json.loads(line) for line in results.read_text().splitlines()]
    assert {each["picture"]: each["label"] for each in found} == {"a.jpg": "pizza", "2026/b.jpg": "not_pizza"}
    assert batch("s3://models/photographs", "nobody") == 2
    refusal = capsys.readouterr().out.splitlines()[-1]
    assert refusal.startswith(
        "s3://models/photographs cannot be listed: the store responds with 403 Forbidden"
    )
    assert batch("s3://models/none", "reader") == 2
    assert "No picture was found in s3://models/none" in capsys.readouterr().out
