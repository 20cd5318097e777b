"""Reads and writes what a batch needs in the cluster: Jobs, their pods, and the gateway that they use."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ClientError
from .api import Api, ApiError, Json
from .classifiers import Classifiers
from .gateway import service_name


@dataclass(frozen=True)
class Batches:
    """The batches of one namespace. `label`: has the name of the classifier."""

    classifiers: Classifiers
    label: str

    @property
    def _api(self) -> Api:
        return self.classifiers.api

    @property
    def _jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.classifiers.namespace}/jobs"

    def create(self, body: Json) -> str:
        """Create a Job, and return its name."""
        try:
            return str(self._api.create(self._jobs, body)["metadata"]["name"])
        except ApiError as error:
            raise self.classifiers.explained(error) from None

    def jobs(self, classifier: str | None) -> list[Json]:
        """The Jobs of one classifier or of all, the oldest first."""
        found = self._read(self._jobs, classifier)
        return sorted(found, key=lambda job: str(job["metadata"].get("creationTimestamp", "")))

    def pods(self, classifier: str | None) -> list[Json]:
        """The pods of these Jobs."""
        return self._read(self.classifiers.core_path("pods"), classifier)

    def last_line(self, pod: str) -> str:
        """The last line of a pod's log; empty while there is none."""
        path = self.classifiers.core_path("pods", pod, "log")
        try:
            return "".join(self._api.lines(path, {"tailLines": "1"}))
        except ApiError:
            return ""

    def gateway_pod(self, name: str) -> Json:
        """The spec of the pods of a classifier's gateway."""
        path = f"/apis/apps/v1/namespaces/{self.classifiers.namespace}/deployments/{service_name(name)}"
        try:
            pod: Json = self._api.get(path)["spec"]["template"]["spec"]
        except ApiError as error:
            if error.status == 404:
                raise ClientError(
                    f"{name} has no gateway yet. The command `why` says the reason. Retry when it is ready."
                ) from None
            raise self.classifiers.explained(error) from None
        return pod

    def check_claim(self, name: str) -> None:
        """Raise ClientError if there is no such claim: a pod would wait for it without end."""
        try:
            self._api.get(self.classifiers.core_path("persistentvolumeclaims", name))
        except ApiError as error:
            if error.status != 404:
                raise self.classifiers.explained(error) from None
            raise ClientError(
                f"There is no PersistentVolumeClaim {name} in namespace {self.classifiers.namespace}"
                f"{self._present_claims()}. Correct the name, or create the claim."
            ) from None

    def _present_claims(self) -> str:
        try:
            claims = self.classifiers.items(self.classifiers.core_path("persistentvolumeclaims"))
        except ClientError:  # the user may read a claim but not list them
            return ""
        return f" (there: {', '.join(each['metadata']['name'] for each in claims) or 'none'})"

    def _read(self, path: str, classifier: str | None) -> list[Json]:
        selector = self.label if classifier is None else f"{self.label}={classifier}"
        return self.classifiers.items(path, {"labelSelector": selector})
