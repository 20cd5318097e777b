"""Large pictures and slow URLs do not block the decoding and the upload of small pictures."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image
from prometheus_client import Gauge

from gateway_testbed import eventually
from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.limits.admission import Admission
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.limits.decoding import Decoder
from imageclassifier_gateway.limits.lane import Lane
from imageclassifier_gateway.limits.slow import Slow
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.problems import Problem
from imageclassifier_gateway.stats import Stats

WANTED = ModelInput(height=32, width=32)
SIZES = {"small": (512, 384), "large": (3_000, 3_000)}


def picture(size: tuple[int, int], file_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, file_format)
    return buffer.getvalue()


LARGE = picture(SIZES["large"])


@pytest.fixture
def large_wait(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until this event is set, large pictures are being decoded."""
    released = threading.Event()
    fit = images.fit

    def slow_fit(decoded: Image.Image, wanted: ModelInput) -> Image.Image:
        if decoded.size == SIZES["large"]:
            assert released.wait(60)
        return fit(decoded, wanted)

    monkeypatch.setattr(images, "fit", slow_fit)
    yield released
    released.set()


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(images.DEFAULT_LIMITS, 1, Stats())
    yield made
    made.close()


def prepare(decoder: Decoder, *pictures: bytes, seconds: float = 60.0) -> list[Any]:
    return decoder.prepare(pictures, WANTED, Deadline.after(seconds), lambda: None)


def test_small_pictures_are_decoded_while_a_large_one_has_the_core(
    decoder: Decoder, large_wait: threading.Event
) -> None:
    with ThreadPoolExecutor(3) as pool:
        large = [pool.submit(prepare, decoder, LARGE) for _ in range(3)]
        for file_format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
            [pixels] = prepare(decoder, picture(SIZES["small"], file_format))
            assert pixels.shape == (32, 32, 3)
        assert not any(each.done() for each in large)
        large_wait.set()
        assert [each.result()[0].shape for each in large] == [(32, 32, 3)] * 3


@pytest.mark.parametrize("size", SIZES)
def test_the_shadow_decodes_only_when_no_user_does(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    begun, released, fit = threading.Event(), threading.Event(), images.fit

    def slow_fit(decoded: Image.Image, wanted: ModelInput) -> Image.Image:
        begun.set()
        assert released.wait(60)
        return fit(decoded, wanted)

    monkeypatch.setattr(images, "fit", slow_fit)
    with ThreadPoolExecutor(2) as pool:
        user = pool.submit(prepare, decoder, picture(SIZES[size]))
        assert begun.wait(60)
        begun.clear()
        shadow = pool.submit(decoder.prepare_when_idle, picture((64, 64)), WANTED)
        assert not begun.wait(0.2)
        released.set()
        assert user.result()[0].shape == shadow.result().shape


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses while costly pictures are decoded, in seconds."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def test_large_pictures_alone_are_decoded_without_pauses(decoder: Decoder, pauses: list[float]) -> None:
    prepare(decoder, LARGE)
    prepare(decoder, LARGE, LARGE)
    decoder.close()  # the pause after a picture would come when its result is there
    assert pauses == []


def test_large_pictures_are_decoded_with_pauses_while_small_ones_come(
    decoder: Decoder, pauses: list[float]
) -> None:
    prepare(decoder, picture(SIZES["small"]), LARGE)
    assert pauses


def test_the_pictures_of_a_request_keep_their_order_regardless_of_cost(decoder: Decoder) -> None:
    green = io.BytesIO()
    Image.new("RGB", SIZES["small"], "lime").save(green, "PNG")
    results = prepare(decoder, LARGE, green.getvalue(), b"nothing", LARGE, green.getvalue())
    assert isinstance(results.pop(2), images.NotAPicture)
    assert [pixels[0, 0].tolist() for pixels in results] == [[255, 0, 0], [0, 255, 0]] * 2


def test_a_large_picture_that_cannot_be_decoded_in_time_is_refused_at_once(
    decoder: Decoder, large_wait: threading.Event
) -> None:
    admitted: list[None] = []
    with ThreadPoolExecutor(20) as pool:
        for _ in range(20):
            pool.submit(decoder.prepare, [LARGE], WANTED, Deadline.after(60), lambda: admitted.append(None))
        eventually(lambda: len(admitted) == 20 and decoder.waiting == 19, "one is decoded, the others wait")
        with pytest.raises(Problem, match=r"Large pictures wait .* smaller pictures") as refused:
            prepare(decoder, LARGE, seconds=1.0)
        assert refused.value.cause == "overloaded"
        assert decoder.waiting == 19
        large_wait.set()


def test_a_short_job_overtakes_long_ones_and_keeps_its_place_among_its_equals() -> None:
    lane, begun, released, done = Lane("test", 1), threading.Event(), threading.Event(), list[str]()

    def block() -> None:
        begun.set()
        released.wait(60)

    lane.submit(block, 1.0)
    assert begun.wait(60)
    jobs = [("long", 60.0), ("first", 0.0), ("second", 0.0)]
    futures = [lane.submit(lambda name=name: done.append(name), seconds) for name, seconds in jobs]
    assert lane.wait_seconds(0.0) < 10 < lane.wait_seconds(61.0)
    released.set()
    for future in futures:
        future.result(60)
    assert done == ["first", "second", "long"]
    lane.close()


def test_a_cancelled_job_leaves_the_queue_with_all_that_it_holds() -> None:
    class Held:
        """The memory that a job holds."""

    lane, released, held = Lane("test", 1), threading.Event(), Held()
    lane.submit(lambda: released.wait(60), 1.0)
    future = lane.submit(lambda held=held: held, 1.0)
    gone = weakref.ref(held)
    del held
    lane.cancel([future])
    del future
    assert gone() is None
    released.set()
    lane.close()


def test_a_job_that_fails_ends_no_thread() -> None:
    lane = Lane("test", 1)
    with pytest.raises(ZeroDivisionError):
        lane.submit(lambda: 1 // 0, 0.0).result(60)
    assert lane.submit(lambda: "done", 0.0).result(60) == "done"
    lane.close()


def test_a_thread_rests_after_each_job_while_the_caller_has_the_result() -> None:
    resting, rested = threading.Event(), threading.Event()

    def rest() -> None:
        resting.set()
        rested.wait(60)

    lane = Lane("test", 1, after_each=rest)
    assert lane.submit(lambda: "done", 1.0).result(60) == "done"
    assert resting.wait(60)
    assert not lane.is_idle
    next_one = lane.submit(lambda: "next", 1.0)
    assert lane.waiting == 1
    rested.set()
    assert next_one.result(60) == "next"
    lane.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
def test_costly_pictures_are_decoded_at_a_low_priority() -> None:
    lane = Lane("test", 1, niceness=10)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    its = lane.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), 0.0)
    assert its.result(60) == max(own, 10)
    lane.close()


def admission(max_requests: int = 64, max_bytes: int = 1_000) -> Admission:
    return Admission(max_requests, max_bytes, Gauge("a", "a", registry=None), Gauge("b", "b", registry=None))


def test_a_quarter_of_the_places_is_left_for_small_uploads() -> None:
    places, tickets = admission(), []
    for reason, most in ((Slow.URLS, 32), (Slow.COSTLY, 16)):
        tickets += [places.enter() for _ in range(most)]
        for ticket in tickets[-most:]:
            ticket.become_slow(reason)
            ticket.become_slow(reason)  # which counts once
        with pytest.raises(Problem, match="are being worked on already"), places.enter() as another:
            another.become_slow(reason)
    assert len([places.enter() for _ in range(16)]) == 16
    tickets[0].close()
    tickets[0].become_slow(Slow.URLS)


@pytest.mark.parametrize("reason", Slow)
def test_slow_requests_together_leave_half_of_the_memory_to_others(reason: Slow) -> None:
    places = admission()
    first, second, upload = places.enter(), places.enter(), places.enter()
    first.become_slow(reason)
    first.hold(300)
    second.hold(60)
    second.become_slow(reason)
    for slow in (first, second):
        with pytest.raises(Problem, match="too much memory"):
            slow.hold(21)
    upload.hold(520)
    upload.close()
    second.close()
    first.hold(500)  # a request that is alone may hold what it needs
    first.close()
    with places.enter() as last:
        last.become_slow(reason)
        last.hold(1_000)


@pytest.mark.parametrize("reason", Slow)
def test_requests_with_large_pictures_leave_memory_to_slow_requests_with_small_ones(reason: Slow) -> None:
    places = admission(max_bytes=168_000_000)
    large, also_large = places.enter(), places.enter()
    for ticket in (large, also_large):
        ticket.become_slow(reason)
    large.hold(60_000_000)
    with pytest.raises(Problem, match="too much memory"):
        also_large.hold(20_000_000)
    small = [places.enter() for _ in range(reason.most_of(64) - 2)]
    for ticket in small:
        ticket.become_slow(reason)
        ticket.hold(100_000)
        ticket.hold(300_000)
    with pytest.raises(Problem, match="too much memory"):
        small[0].hold(100_000)


def test_a_request_may_hold_the_pixels_of_a_fetched_picture_while_others_fetch_large_bodies() -> None:
    places = admission(max_bytes=168_000_000)
    others, small = places.enter(), places.enter()
    with others.fetching():
        others.hold(60_000_000)
        with small.fetching():
            small.hold(122_000)
        small.hold(8 * 752_640)
        with pytest.raises(Problem, match="too much memory"):
            small.become_slow(Slow.COSTLY)
    small.become_slow(Slow.COSTLY)
    with pytest.raises(Problem, match="too much memory"), others.fetching():
        pass


def test_a_request_that_fetches_leaves_nothing_counted() -> None:
    places = admission()
    with places.enter() as first, first.fetching():
        first.hold(400)
    with places.enter() as second:
        with suppress(RuntimeError), second.fetching():
            second.hold(100)
            raise RuntimeError
        second.become_slow(Slow.COSTLY)
        second.hold(300)
    with places.enter() as third, places.enter() as fourth, third.fetching():
        third.hold(370)
        with fourth.fetching():
            fourth.hold(1)
