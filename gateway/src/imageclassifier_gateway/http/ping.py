"""HTTP's own ping, `OPTIONS *`: whether the public port answers."""

from __future__ import annotations

import http.client
import ssl
from http import HTTPStatus


def is_answering(port: int, seconds: float, *, tls: bool) -> bool:
    """Whether the public port answers `OPTIONS *`.

    Without this check a pod whose public port is dead would stay in the Service's endpoints. The certificate
    is not verified: it is for the name of the Service, and an expired one is no reason to restart a pod.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=seconds, context=context)
    try:
        connection.request("OPTIONS", "*")
        return connection.getresponse().status == HTTPStatus.NO_CONTENT
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
