"""The parts of one gateway process, without HTTP, and its readiness and `/rollout` document."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

from .access.api_keys import ApiKeys
from .access.certificate import Certificate
from .access.key_folder import KeyFolder
from .config import Settings
from .contract import Contract
from .fetching.fetcher import Fetcher
from .limits.admission import Admission
from .limits.decoding import Decoder
from .limits.slow import Slow
from .pixels import images
from .stats import Stats
from .tracing import NO_TRACER, Tracer
from .versions.answer_cache import CachingPredictor
from .versions.predictor import Predictor
from .versions.shadow import ShadowSender
from .versions.shadow_labels import shadow_labels
from .versions.watcher import RoutingWatcher

#: Models with more classes report no names: the operator polls the report every few seconds.
MAX_REPORTED_CLASSES = 1000


@dataclass
class Gateway:
    """The parts of a running gateway, and its state as the kubelet and the operator see it."""

    settings: Settings
    stats: Stats
    watcher: RoutingWatcher
    predictor: Predictor | CachingPredictor
    decoder: Decoder
    fetcher: Fetcher
    shadow: ShadowSender
    admission: Admission
    tracer: Tracer
    #: None: the public port speaks plain HTTP.
    certificate: Certificate | None
    #: None: requests need no key.
    api_keys: ApiKeys | None
    _draining: threading.Event
    _was_ready: bool = False

    def start(self) -> None:
        """Read the certificate, and start to follow the API keys and the routing file."""
        if self.certificate is not None:
            self.certificate.look()
        if self.api_keys is not None:
            self.api_keys.start()
        self.watcher.start()

    def stop(self) -> None:
        """Stop the threads and close the connections."""
        if self.api_keys is not None:
            self.api_keys.stop()
        self.watcher.stop()
        self.shadow.stop()
        self.decoder.close()

    def begin_draining(self) -> None:
        """Report not ready, so that the Service drops this pod; requests are still answered."""
        self._draining.set()

    @property
    def draining(self) -> bool:
        """Whether the gateway is shutting down."""
        return self._draining.is_set()

    def unready_reason(self) -> str | None:
        """Why this pod is not ready; None if it is ready.

        The gateway is ready once it has read what it needs: a certificate, a valid API key, and the contract
        of a serving version. It stays ready. If the model fails later, the gateway answers with 503. If all
        gateways became unready instead, clients would get no response that explains the failure.
        """
        if self.draining:
            return "The gateway is shutting down."
        if self._was_ready:
            return None
        if self.certificate is not None and self.certificate.context is None:
            return self.certificate.error
        if self.api_keys is not None and not self.api_keys.are_usable:
            return self.api_keys.error
        fleet = self.watcher.fleet
        if fleet is None:
            return self.watcher.error
        if fleet.serving.state.contract is None:
            return f"Version {fleet.serving.number} is not available: {fleet.serving.state.error}"
        self._was_ready = True
        return None

    def rollout_document(self) -> dict[str, Any]:
        """The response to `GET /rollout` (docs/architecture.md)."""
        fleet = self.watcher.fleet
        document: dict[str, Any] = {
            "schema": 1,
            "start_id": self.stats.start_id,
            "revision": fleet.routing.revision if fleet else None,
            "serving": fleet.routing.serving if fleet else None,
            "routing_error": self.watcher.error,
            "access": {
                "needs_key": self.api_keys is not None,
                "error": None if self.api_keys is None else self.api_keys.error,
                "certificate_error": None if self.certificate is None else self.certificate.error,
            },
            "versions": {},
            "shadow": None,
        }
        for version in fleet.versions.values() if fleet else ():
            state = version.state
            document["versions"][str(version.number)] = {
                "ready": state.ready,
                "error": state.error,
                "contract_digest": state.contract.digest if state.contract else None,
                "classes": _class_names(state.contract),
                **self.stats.version_document(version.number),
            }
        if fleet and fleet.routing.shadow:
            document["shadow"] = self.stats.shadow_document(fleet.routing.shadow.version)
        return document


def _class_names(contract: Contract | None) -> list[str] | None:
    """The names of the classes, unless they would make each report long."""
    if contract is None or len(contract.classes) > MAX_REPORTED_CLASSES:
        return None
    return list(contract.class_names)


def build_gateway(settings: Settings, tracer: Tracer = NO_TRACER) -> Gateway:
    """Build the parts of a gateway; nothing runs before `start`."""
    stats = Stats()
    # A connection that is no longer routed to is closed when the last request that may use it has ended.
    watcher = RoutingWatcher(settings.routing_file, stats, close_after_seconds=settings.timeout_seconds + 1)
    limits = images.Limits.of_requests(settings.max_image_bytes, settings.max_image_pixels)
    decoder = Decoder(limits, settings.decoding_threads, stats)
    label = partial(shadow_labels, decoder=decoder, timeout_seconds=settings.timeout_seconds)
    shadow = ShadowSender(stats, label)
    predictor = Predictor(
        watcher,
        stats,
        shadow,
        decoder,
        timeout_seconds=settings.timeout_seconds,
        max_pixel_bytes=settings.max_pixel_bytes,
    )
    cache_bytes = settings.cache_bytes
    keys_directory, tls_directory = settings.api_keys_directory, settings.tls_directory
    return Gateway(
        settings=settings,
        stats=stats,
        watcher=watcher,
        predictor=CachingPredictor(predictor, stats, cache_bytes) if cache_bytes else predictor,
        decoder=decoder,
        fetcher=Fetcher.of_settings(settings, Slow.URLS.most_of(settings.max_requests_in_flight)),
        shadow=shadow,
        admission=Admission(
            settings.max_requests_in_flight, settings.max_buffered_bytes, stats.in_flight, stats.held_bytes
        ),
        tracer=tracer,
        certificate=None if tls_directory is None else Certificate(tls_directory),
        api_keys=None if keys_directory is None else ApiKeys(KeyFolder(keys_directory), stats),
        _draining=threading.Event(),
    )
