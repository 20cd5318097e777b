"""The closed list of reasons that conditions, events and failed versions may carry.

A reason is a word a machine may match on; the sentence beside it is for people. `docs/reference.md` is made
from this list, and a test refuses a condition whose reason is not in it.
"""

from enum import StrEnum


class Reason(StrEnum):
    """One reason and, as its `meaning`, the sentence that the reference docs print."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "Reason":
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # Things are well, or on their way.
    AVAILABLE = "Available", "The serving version answers requests."
    READY = (
        "Ready",
        "The version that the spec asks for is fully rolled out and every gateway has acknowledged it.",
    )
    AT_REST = "AtRest", "No rollout is under way: the version that the spec asks for serves."
    LOADING = "Loading", "The pods of the new version start and load the model."
    VERIFYING = "Verifying", "A Job checks the new version before any request reaches it."
    SHIFTING = (
        "Shifting",
        "The new version takes a growing share of the requests, judged against the old one.",
    )
    SHADOWING = "Shadowing", "The new version answers copies of requests, and its answers are only compared."
    PAUSED = "Paused", "The rollout waits for `imageclassifier.dev/promote`, as `spec.rollout.pause` is true."
    SETTLING = "Settling", "The new version takes all requests; the one before stays warm."
    RETIRING = "Retiring", "The version before is being removed, once every gateway has left it."
    UPDATING = "Updating", "Pods are being replaced after a change of settings."
    AWAITING_GATEWAYS = (
        "AwaitingGateways",
        "Not every ready gateway pod has acknowledged the newest routing yet, or is connected to the new "
        "version.",
    )
    GATEWAY_STARTING = "GatewayStarting", "Gateway pods are starting."
    NO_VERSION_SERVES = "NoVersionServes", "No version has passed loading and verification yet."
    VERSION_UNUSABLE = (
        "VersionUnusable",
        "A gateway cannot use the version that serves: it does not reach it, or cannot read its contract.",
    )
    NO_READY_PODS = "NoReadyPods", "The serving version, or the gateway, has no ready pod at this moment."
    # Pods that do not come up.
    IMAGE_PULL_FAILED = "ImagePullFailed", "The node cannot pull a container's image."
    UNSCHEDULABLE = "Unschedulable", "No node has room for a pod, or fits its constraints."
    QUOTA_EXCEEDED = "QuotaExceeded", "A ResourceQuota or LimitRange refuses the pods."
    ADMISSION_REFUSED = "AdmissionRefused", "Admission (Pod Security, a webhook, a policy) refuses the pods."
    VOLUME_FAILED = "VolumeFailed", "A volume cannot be mounted."
    CONTAINER_CONFIG_INVALID = (
        "ContainerConfigInvalid",
        "The kubelet cannot make the container from its settings.",
    )
    MODEL_NOT_FOUND = "ModelNotFound", "The image or volume holds no SavedModel for this name and version."
    MODEL_LOAD_FAILED = "ModelLoadFailed", "TensorFlow Serving cannot load the model."
    OUT_OF_MEMORY = "OutOfMemory", "A container was ended because it used more memory than its limit."
    CONTAINER_CRASHED = "ContainerCrashed", "A container ended with an error."
    POD_EVICTED = "PodEvicted", "A node ended a pod: evicted it, made room with it, or was shut down."
    NOT_ANSWERING = "NotAnswering", "The container runs but its probe does not pass."
    # Rollouts that are taken back.
    PROGRESS_DEADLINE_EXCEEDED = (
        "ProgressDeadlineExceeded",
        "Not up within `spec.rollout.progressDeadlineSeconds`.",
    )
    ACCEPTANCE_FAILED = "AcceptanceFailed", "Too few acceptance pictures got the expected label."
    GOLDEN_FAILED = "GoldenFailed", "The model answers its own golden vectors differently than in training."
    CONTRACT_INVALID = "ContractInvalid", "The model's contract or signature cannot be used."
    CLASSES_CHANGED = "ClassesChanged", "The class list differs and `spec.rollout.allowClassChange` is false."
    VERIFICATION_FAILED = "VerificationFailed", "The verification could not be carried out in time."
    TOO_MANY_ERRORS = (
        "TooManyErrors",
        "The version fails more requests than `spec.rollout.limits.errorRate` allows.",
    )
    TOO_SLOW = "TooSlow", "The version's 99th percentile is above `spec.rollout.limits.p99Milliseconds`."
    DISAGREES = (
        "Disagrees",
        "In shadow the version agrees less often than `spec.rollout.shadow.minAgreement`.",
    )
    CANDIDATE_UNAVAILABLE = (
        "CandidateUnavailable",
        "The version had no ready pod for ten seconds while it had traffic.",
    )
    # The object itself.
    INVALID_SPEC = "InvalidSpec", "The spec cannot be acted on; the version that serves goes on."
    CONFLICT = "Conflict", "An object of a name we need exists and belongs to someone else."
    API_REFUSED = "ApiRefused", "The API server refuses an object that the operator has to write."

    @classmethod
    def of(cls, word: str, otherwise: "Reason") -> "Reason":
        """The reason called `word`, or `otherwise` for a word that is not on the list."""
        return next((reason for reason in cls if reason.value == word), otherwise)
