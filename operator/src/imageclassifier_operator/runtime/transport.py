"""Requests to the API server: connections, credentials, timeouts, how many are under way, and their count.

An error response is raised as an `ApiError` with the API server's message.
"""

import asyncio
import os
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from imageclassifier_operator import metrics
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import LEASES, Kind
from imageclassifier_operator.runtime.api_error import ApiError

REQUEST_TIMEOUT_SECONDS = 15
MAX_REQUESTS = 16
"""How many requests are under way at once, beside the watches and the Lease. With more, an API server that is
busy answers each later, and the Lease too late.
"""
MAX_CONNECTIONS = 100
"""The watches, which never end, and the requests of all workers."""


@dataclass(frozen=True)
class Request:
    """One request to the API server. `verb` and `kind` are the labels of its metric."""

    method: str
    path: str
    kind: Kind
    verb: str
    body: Json | list[Json] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    accept: str = "application/json"


class Transport:
    """The connections to the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._places = asyncio.Semaphore(MAX_REQUESTS)
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before every write, except of the Lease: False once another replica may lead."""

    @classmethod
    async def connect(cls) -> Self:
        """Connect as the pod's service account or, outside of a cluster, with the kubeconfig."""
        configuration = Configuration()
        try:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            # Passed here because the library reads the variable only once, when it is imported.
            await load_kube_config(
                config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration
            )  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = MAX_CONNECTIONS
        # Otherwise aiohttp looks for a proxy and for ~/.netrc with every request, each time in a thread.
        configuration.client_session_kwargs = {"trust_env": bool(urllib.request.getproxies())}
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def call(self, request: Request, limits: aiohttp.ClientTimeout) -> Any:
        """Send a request. Returns the response, whose body is not read yet."""
        serialized = await self._client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            auth_settings=["BearerToken"],
        )
        if request.method != "GET" and request.kind is not LEASES and not self.may_write():
            raise ApiError(0, "LeaseExpired", "nothing was written, because another replica may lead now")
        method, url, headers, *_ = serialized
        # The body is JSON already. The client would copy it value by value.
        return await self._client.call_api(method, url, headers, request.body, _request_timeout=limits)

    async def send(self, request: Request) -> dict[str, Any]:
        """Send a request and read its response. Raises ApiError if the API server refuses it."""
        if request.kind is LEASES:
            return await self._send_now(request)
        async with self._places:
            return await self._send_now(request)

    async def _send_now(self, request: Request) -> dict[str, Any]:
        kind, verb = request.kind.kind, request.verb
        try:
            response = await self.call(request, aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS))
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            metrics.API_REQUESTS.labels(verb, kind, "unreachable").inc()
            raise ApiError(0, "Unreachable", f"the API server cannot be reached: {error!r}") from error
        metrics.API_REQUESTS.labels(verb, kind, str(response.status)).inc()
        if 200 <= response.status < 300:
            answer: dict[str, Any] = orjson.loads(data)
            return answer
        retry_after = response.headers.get("Retry-After", "")
        raise ApiError.of_response(response.status, response.reason or "", data, retry_after)
