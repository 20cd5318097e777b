"""The resync removes from the cache what kopf's watch has missed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import kopf
from waiting import wait_in_loop

from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS, Kind
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.informer import Informer
from imageclassifier_operator.runtime.resync import resync
from imageclassifier_operator.runtime.work_queue import Key, WorkQueue

KEY = Key("food", "pizza")


def classifier(uid: str) -> dict[str, Any]:
    return {"metadata": {"name": "pizza", "namespace": "food", "uid": uid, "resourceVersion": "5"}}


class ApiServer:
    """It lists `uids`, after what happens `meanwhile`. Its first `failures` lists fail."""

    def __init__(self, uids: set[str], meanwhile: Callable[[], Awaitable[None]], failures: int = 0) -> None:
        self.uids, self._meanwhile, self._failures = uids, meanwhile, failures
        self.lists = 0

    async def list_uids(self, _: Kind) -> set[str]:
        self.lists += 1
        await self._meanwhile()
        if self.lists <= self._failures:
            raise ApiError(503, "ServiceUnavailable", "the API server starts")
        return self.uids


def after_resync(cached: str, listed: set[str], comes: str | None = None, failures: int = 0) -> Informer:
    """The informer, after a resync with one ImageClassifier `cached`. `comes`: what is added meanwhile."""

    async def run() -> Informer:
        informer = Informer(WorkQueue())
        await informer._startup(kopf.OperatorSettings())
        informer._classifiers.put(classifier(cached))

        async def meanwhile() -> None:
            if comes is not None:
                await informer._handle_event("ADDED", classifier(comes))  # type: ignore[arg-type]

        server = ApiServer(listed, meanwhile, failures)
        resyncing = asyncio.create_task(resync(server, informer, seconds=0.01))  # type: ignore[arg-type]
        await wait_in_loop(lambda: server.lists > failures + 1 or resyncing.done(), "lists")
        resyncing.cancel()
        await asyncio.gather(resyncing, return_exceptions=True)
        return informer

    return asyncio.run(run())


def test_a_deleted_imageclassifier_whose_event_was_missed_is_removed_and_its_key_is_reconciled() -> None:
    informer = after_resync("gone", listed=set())
    assert informer.classifiers() == set()
    assert informer.cache.image_classifier(KEY) is None
    assert len(informer.queue) == 1


def test_a_late_answer_to_a_write_does_not_bring_it_back() -> None:
    informer = after_resync("gone", listed=set())
    informer.cache.record_write(IMAGE_CLASSIFIERS, KEY, classifier("gone"))
    assert informer.cache.image_classifier(KEY) is None


def test_an_imageclassifier_that_exists_stays_and_nothing_is_reconciled() -> None:
    informer = after_resync("there", listed={"there"})
    assert informer.classifiers() == {"there"}
    assert len(informer.queue) == 0


def test_an_imageclassifier_that_was_created_after_the_list_was_read_stays() -> None:
    informer = after_resync("gone", listed={"young"}, comes="young")
    assert informer.classifiers() == {"young"}


def test_a_list_that_fails_removes_nothing_and_is_repeated() -> None:
    informer = after_resync("gone", listed=set(), failures=2)
    assert informer.classifiers() == set()
