"""The closed list of reasons of conditions, Events and failed versions.

Programs match on the reason; people read the message beside it. `docs/reference.md` is generated from this
list, and a test fails for a condition with any other reason.
"""

from enum import StrEnum


class Reason(StrEnum):
    """One reason, with the description that the reference documentation prints."""

    description: str

    def __new__(cls, value: str, description: str) -> "Reason":
        """Make the member a string that carries its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    # Healthy, or in progress.
    AVAILABLE = "Available", "The serving version answers requests."
    READY = (
        "Ready",
        "The version in the spec is fully rolled out, and every gateway has acknowledged it.",
    )
    AT_REST = "AtRest", "No rollout is in progress, and the version in the spec serves."
    LOADING = "Loading", "The pods of the candidate start and load the model."
    VERIFYING = "Verifying", "A Job verifies the candidate before it gets any request."
    SHIFTING = (
        "Shifting",
        "The candidate gets a growing share of the requests, and is compared with the serving version.",
    )
    SHADOWING = "Shadowing", "The candidate gets copies of requests. Its answers are only compared."
    PAUSED = (
        "Paused",
        "`spec.rollout.paused` is true, and the rollout waits for a new value of "
        "`spec.rollout.promoteToken` or of the annotation `imageclassifier.dev/promote`.",
    )
    STOPPED = "Stopped", "`spec.stopped` is true: no pods run, and the state is kept."
    SETTLING = "Settling", "The new version serves all traffic, and the previous version is kept warm."
    RETIRING = "Retiring", "The previous version is removed when no gateway sends it requests any more."
    UPDATING = "Updating", "Pods are replaced after a change of settings."
    AWAITING_GATEWAYS = (
        "AwaitingGateways",
        "A ready gateway pod has not acknowledged the newest routing yet, or is not connected to the "
        "candidate.",
    )
    GATEWAY_STARTING = "GatewayStarting", "Gateway pods are starting."
    NO_VERSION_SERVES = "NoVersionServes", "No version has passed verification yet."
    VERSION_UNUSABLE = (
        "VersionUnusable",
        "A gateway cannot reach the serving version, or cannot read its contract.",
    )
    GATEWAYS_NOT_OBSERVED = (
        "GatewaysNotObserved",
        "The operator gets no answer from a ready gateway pod, so it cannot tell whether the version answers "
        "requests. The condition is Unknown.",
    )
    API_KEYS_UNUSABLE = (
        "ApiKeysUnusable",
        "The Secret with the API keys has an invalid entry or none, or the image of a gateway is too old for "
        "API keys.",
    )
    CERTIFICATE_UNUSABLE = (
        "CertificateUnusable",
        "The Secret in `spec.gateway.tls` has no valid certificate with its key. A gateway that has had one "
        "keeps it.",
    )
    NO_READY_PODS = "NoReadyPods", "The serving version has no ready pod."
    # Pods that do not become ready.
    IMAGE_PULL_FAILED = "ImagePullFailed", "The node cannot pull a container's image."
    UNSCHEDULABLE = (
        "Unschedulable",
        "No node has enough free resources for a pod, or matches its constraints.",
    )
    QUOTA_EXCEEDED = "QuotaExceeded", "A ResourceQuota or LimitRange refuses the pods."
    ADMISSION_REFUSED = (
        "AdmissionRefused",
        "Admission control (Pod Security, a webhook, a policy) refuses the pods.",
    )
    VOLUME_FAILED = "VolumeFailed", "A volume cannot be mounted."
    CONTAINER_CONFIG_INVALID = (
        "ContainerConfigInvalid",
        "The kubelet cannot create the container from its settings.",
    )
    MODEL_NOT_FOUND = "ModelNotFound", "The source contains no SavedModel of this name and version."
    MODEL_DOWNLOAD_FAILED = (
        "ModelDownloadFailed",
        "The model of `spec.model.source.https` or `.storage` cannot be downloaded or unpacked.",
    )
    MODEL_LOAD_FAILED = "ModelLoadFailed", "TensorFlow Serving cannot load the model."
    OUT_OF_MEMORY = "OutOfMemory", "A container was killed because it exceeded its memory limit."
    CONTAINER_CRASHED = "ContainerCrashed", "A container ended with an error."
    POD_EVICTED = "PodEvicted", "A node ended a pod: by eviction, preemption or shutdown."
    NODE_LOST = "NodeLost", "The node of a pod has stopped reporting to Kubernetes."
    NOT_ANSWERING = "NotAnswering", "The container runs but fails its readiness probe."
    # Rollouts that fail.
    PROGRESS_DEADLINE_EXCEEDED = (
        "ProgressDeadlineExceeded",
        "The version did not become ready or usable within `spec.rollout.progressDeadlineSeconds`.",
    )
    ACCEPTANCE_FAILED = (
        "AcceptanceFailed",
        "Too few acceptance pictures or pictures of the data set got their label.",
    )
    WORSE_THAN_SERVING = (
        "WorseThanServing",
        "The version is shown to be worse than the serving version on the pictures of "
        "`spec.rollout.acceptance.dataset`.",
    )
    DATASET_INVALID = (
        "DatasetInvalid",
        "`spec.rollout.acceptance.dataset` has a folder that is no class of the version.",
    )
    GOLDEN_FAILED = (
        "GoldenFailed",
        "The model's probabilities for its golden pictures differ from those at training.",
    )
    CONTRACT_INVALID = "ContractInvalid", "The model's contract or signature is invalid."
    CLASSES_CHANGED = (
        "ClassesChanged",
        "The classes differ from the serving version's, and `spec.rollout.allowClassChange` is false.",
    )
    VERIFICATION_FAILED = "VerificationFailed", "The verification could not be completed in time."
    TOO_MANY_ERRORS = (
        "TooManyErrors",
        "The version fails more requests than `spec.rollout.limits.errorRateIncrease` allows.",
    )
    TOO_SLOW = (
        "TooSlow",
        "The version's 99th percentile latency exceeds `spec.rollout.limits.p99Milliseconds`.",
    )
    DISAGREES = (
        "Disagrees",
        "As a shadow the version agrees with the serving version less often than "
        "`spec.rollout.shadow.minAgreementRate`.",
    )
    CANDIDATE_UNAVAILABLE = (
        "CandidateUnavailable",
        "The version had no ready pod for too long while it had traffic, and no node is to blame.",
    )
    # The object itself.
    INVALID_SPEC = (
        "InvalidSpec",
        "The operator cannot act on the spec. The serving version continues to serve.",
    )
    CONFLICT = "Conflict", "An object with the name of a child exists and belongs to somebody else."
    API_REFUSED = "ApiRefused", "The API server refuses an object that the operator must write."

    @classmethod
    def of(cls, word: str, otherwise: "Reason") -> "Reason":
        """The reason called `word`; `otherwise` if there is none."""
        return next((reason for reason in cls if reason.value == word), otherwise)
