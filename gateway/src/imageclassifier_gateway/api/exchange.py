"""What prediction routes share: reading the pictures of a request, and having them classified."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from flask import g, request

from ..contract import Decision
from ..fetching.fetcher import FETCHES_PER_REQUEST
from ..fetching.place import Place
from ..fetching.responses import coding_of
from ..fetching.urls import FetchError
from ..gateway import Gateway
from ..http.access_log import Trace
from ..http.origins import is_foreign, is_from_browser, origin_is_allowed
from ..limits.admission import ARRIVED, Admission, Ticket
from ..limits.deadline import Deadline
from ..limits.pauses import Pauses
from ..limits.slow import Slow
from ..pixels import heat_map, images
from ..problems import Problem
from ..tracing import Metadata
from ..versions.classify_request import ClassifyRequest
from ..versions.routing import Sticky
from . import url_encoded_form
from .forms import read_form
from .payload import Payload, Picture, Reference, read_json
from .url_encoded_form import is_url_encoded_form, read_url_encoded_form

_CAUSE_OF_PICTURE_ERROR = {
    images.NotAPicture: "not-a-picture",
    images.BrokenPicture: "broken-picture",
    images.UnsupportedPicture: "unsupported-picture",
    images.PictureTooLarge: "too-large",
}
#: The share of a request's time in which its URLs must have been fetched: one that drips in is that picture's
#: own error, and the others can still be classified.
_FETCH_SHARE = 0.6
#: Reading JSON holds its text, the picture's part of that, the same as bytes, and what they decode to.
_JSON_COPIES = 4


@dataclass
class Answers:
    """One outcome for each picture of a request, who decided, and how long each stage took."""

    outcomes: list[Decision | Problem]
    model: str
    version: int
    seconds: dict[str, float] = field(default_factory=dict)
    #: The heat map of the only picture as a PNG, if the request asked for it.
    heat_map: bytes | None = None

    @property
    def timings_ms(self) -> dict[str, float]:
        """The milliseconds of each stage."""
        return {stage: round(seconds * 1000, 1) for stage, seconds in self.seconds.items()}


class Exchange:
    """Turns the current Flask request into answers."""

    def __init__(self, gateway: Gateway, admission: Admission) -> None:
        self._gateway = gateway
        self._settings = gateway.settings
        self._admission = admission

    def pauses(self) -> Pauses:
        """Pauses for the long work of one request, while there are others."""
        return Pauses(lambda: self._admission.in_flight > 1)

    def read_body(self, ticket: Ticket) -> bytes:
        """The whole body. Raises Problem when it is too large or compressed."""
        length, limit = request.content_length, self._settings.max_body_bytes
        if length is not None and length > limit:
            raise Problem("too-large", f"The body has {length:,} bytes; at most {limit:,} are accepted.")
        _check_coding()
        arrived = request.environ.get(ARRIVED)
        if arrived is not None:
            g.trace.seconds["receive"] = arrived - g.trace.first_byte_at
            g.trace.span.record("receive", g.trace.first_byte_at, arrived)
        # By way of Werkzeug's streams a large picture would be copied.
        stream = request.environ["wsgi.input"]
        body: bytes = stream.read(limit + 1 if length is None else length)
        if len(body) > limit:
            raise Problem("too-large", f"The body has more than {limit:,} bytes, which is the limit.")
        if arrived is None:  # another server, which did not count the bytes as they arrived
            ticket.hold(len(body))
        return body

    def admit_json(self, body: bytes, ticket: Ticket) -> bytes:
        """Reserve memory for the copies that parsing JSON makes, and return `body`.

        Raises Problem if there is not enough memory.
        """
        limit = self._settings.max_json_bytes
        if len(body) > limit:
            raise Problem(
                "too-large",
                f"The JSON body has {len(body):,} bytes; at most {limit:,} are accepted. Send large pictures "
                "as the body itself, or as a form.",
            )
        ticket.hold(_JSON_COPIES * len(body))
        return body

    def read_payload(self, ticket: Ticket) -> Payload:
        """The pictures of a `/predict` request, in whichever form they came."""
        body = self.read_body(ticket)
        if request.mimetype == "multipart/form-data":
            boundary = request.mimetype_params.get("boundary")
            ticket.hold(len(body))  # reading the form copies its files
            return read_form(body, boundary, self._settings.max_pictures)
        if request.mimetype == url_encoded_form.MEDIA_TYPE and is_url_encoded_form(body):
            return read_url_encoded_form(
                self.admit_json(body, ticket), self._settings.max_pictures, self.pauses()
            )
        # No picture format begins with a brace.
        if request.is_json or body[:64].lstrip()[:1] == b"{":
            _check_json_type()
            return read_json(self.admit_json(body, ticket), self._settings.max_pictures, self.pauses())
        if not body:
            raise Problem(
                "bad-request",
                "The request has no body. Send a picture, a multipart form with a picture, or JSON with a "
                "URL.",
            )
        return Payload([Picture(body)])

    def answer(
        self,
        sources: Sequence[Picture | Reference],
        ticket: Ticket,
        *,
        version: int | None = None,
        explain: bool = False,
    ) -> Answers:
        """Fetch the references and classify all pictures, only by `version` if it is given.

        With `explain`, there may be only one picture, and the answer has its heat map.

        Raises Problem if no picture can be classified for a reason that is not its own.
        """
        gateway = self._gateway
        self._check_origin(sources)
        trace: Trace = g.trace
        timeout_seconds = self._settings.timeout_seconds
        deadline = Deadline.of_request(trace.first_byte_at, timeout_seconds)
        fleet = gateway.predictor.fleet()
        fetch_deadline = Deadline.of_request(trace.first_byte_at, timeout_seconds * _FETCH_SHARE)
        with ExitStack() as stack:
            pictures = self._fetch(sources, fetch_deadline, ticket, stack)
            wanted = ClassifyRequest(
                [each for each in pictures if isinstance(each, bytes)],
                deadline,
                ticket.hold,
                partial(ticket.become_slow, Slow.COSTLY),
                decoded=stack.close,  # releases the place for fetches
                sticky_value=_sticky_value(fleet.routing.sticky),
                version=version,
                metadata=_metadata(trace),
                explain=explain,
                seconds=trace.seconds,
                span=trace.span,
            )
            classified = gateway.predictor.classify(fleet, wanted)
        decided = iter(classified.outcomes)
        outcomes = [each if isinstance(each, Problem) else _outcome(next(decided)) for each in pictures]
        drawn = _heat_map(wanted, outcomes[0], ticket) if wanted.explained else None
        seconds = trace.seconds | {"total": time.monotonic() - trace.first_byte_at}
        trace.log_fields |= {"version": classified.version, "pictures": len(sources)}
        return Answers(outcomes, classified.model, classified.version, seconds, drawn)

    def _check_origin(self, sources: Sequence[Picture | Reference]) -> None:
        """Raises Problem when a page of another site gives a URL, unless the owner allows its origin."""
        origin = request.headers.get("Origin")
        if (
            any(isinstance(source, Reference) for source in sources)
            and is_foreign(request.headers.get)
            and not origin_is_allowed(origin, self._settings.cors_allowed_origins)
        ):
            raise Problem(
                "cross-site-url",
                f"Pages of {(origin or 'other sites')[:200]} may not send URLs to this gateway. Send the "
                "picture itself, or ask the owner to add the origin to spec.gateway.cors.allowedOrigins.",
            )

    def _fetch(
        self, sources: Sequence[Picture | Reference], deadline: Deadline, ticket: Ticket, stack: ExitStack
    ) -> list[bytes | Problem]:
        """The pictures. The place for fetches is released when `stack` is closed."""
        urls = [source.url for source in sources if isinstance(source, Reference)]
        if not urls:
            return [source.data for source in sources if isinstance(source, Picture)]
        trace: Trace = g.trace
        place = stack.enter_context(self._gateway.fetcher.place(urls))
        with ticket.fetching(), trace.stage("fetch"), trace.span.child("fetch"):

            def one(source: Picture | Reference) -> bytes | Problem:
                if isinstance(source, Picture):
                    return source.data
                return self._fetch_one(source.url, place, deadline, ticket)

            if len(sources) == 1:
                return [one(sources[0])]
            with ThreadPoolExecutor(
                min(len(sources), FETCHES_PER_REQUEST), thread_name_prefix="fetch"
            ) as pool:
                return list(pool.map(one, sources))

    def _fetch_one(self, url: str, place: Place, deadline: Deadline, ticket: Ticket) -> bytes | Problem:
        try:
            data = place.fetch(url, deadline, ticket.hold)
        except FetchError as error:
            self._gateway.stats.fetches.labels(error.outcome).inc()
            return Problem(error.cause, str(error))
        except Problem as problem:
            return problem
        self._gateway.stats.fetches.labels("fetched").inc()
        return data


def _check_coding() -> None:
    """Raise Problem for a compressed body: one of a megabyte could take a gigabyte of memory."""
    coding = coding_of(request.headers.get("Content-Encoding", ""))
    if coding is not None:
        raise Problem(
            "compressed-body",
            f"The body is compressed with '{coding}'. Send it uncompressed, without the header "
            "Content-Encoding.",
            # RFC 9110, section 12.5.3: the codings that would have been accepted.
            {"Accept-Encoding": "identity"},
        )


def _check_json_type() -> None:
    """Raise Problem for JSON with another Content-Type.

    A page of another site can send any text, but a JSON type only after the gateway has allowed its origin.
    """
    if request.is_json:
        return
    # curl --data calls every body a form; other programs send no type at all.
    usual = request.mimetype in ("", "application/x-www-form-urlencoded")
    if not usual or is_from_browser(request.headers.get):
        raise Problem(
            "bad-request",
            f"The body looks like JSON, but its Content-Type is '{request.mimetype[:60]}'. Send it with "
            "Content-Type: application/json.",
        )


def _heat_map(wanted: ClassifyRequest, outcome: Decision | Problem, ticket: Ticket) -> bytes | None:
    explained = wanted.explained
    if explained is None or isinstance(outcome, Problem):
        return None
    size = heat_map.size_for(wanted.pictures[0], explained.wanted)
    ticket.hold(size[0] * size[1] * heat_map.BYTES_PER_PIXEL)
    chosen = list(outcome.probabilities).index(outcome.label)
    return heat_map.draw(explained.pixels, heat_map.contrast(explained.maps, chosen), size)


def _outcome(outcome: Decision | images.PictureError) -> Decision | Problem:
    if isinstance(outcome, Decision):
        return outcome
    return Problem(_CAUSE_OF_PICTURE_ERROR[type(outcome)], str(outcome))


def _sticky_value(sticky: Sticky | None) -> str | None:
    """The user's value that the version is chosen by; None where the request has none."""
    if sticky is None:
        return None
    if sticky.header is not None:
        return request.headers.get(sticky.header) or None
    return request.cookies.get(sticky.cookie or "") or None


def _metadata(trace: Trace) -> Metadata:
    metadata = (("x-request-id", trace.request_id),)
    return (*metadata, ("traceparent", trace.traceparent)) if trace.traceparent else metadata
