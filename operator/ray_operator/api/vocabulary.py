"""The one table of what is said of RayClusters and RayCronJobs.

Owns: every condition and reason with its meaning. Does not own: when one is said
(`raycluster.status`, `raycluster.diagnosis`, …), RayJobs (`job_vocabulary`), RayServices
(`service_vocabulary`), annotations (`annotations`). Invariant: docs/reference.md is made of these
tables, so nothing is said to users that isn't explained there.
"""

import enum
from typing import Self


class Term(enum.StrEnum):
    """A name with its meaning, and what helps where something is wrong."""

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str = "", remedy: str = "") -> Self:
        """Make the text with what explains it."""
        term = str.__new__(cls, value)
        term._value_ = value
        term.meaning, term.remedy = meaning, remedy
        return term


class ClusterCondition(Term):
    """Types of a RayCluster's conditions, in the order in which they are written."""

    HEAD_POD_READY = "HeadPodReady", "the head Pod is ready (KubeRay's)"
    PROVISIONED = (
        "RayClusterProvisioned",
        "all was ready once since the last resumption (KubeRay's)",
    )
    READY = "RayClusterReady", "all Pods are there and ready now; else the reason says why not"
    SPEC_VALID = "RayClusterSpecValid", "the spec breaks no rule; else nothing is done about it"
    RAY_VERSION_MATCHES = (
        "RayVersionMatches",
        "the head runs the Ray that `rayVersion` names; told from when it first didn't",
    )
    REPLICA_FAILURE = "ReplicaFailure", "an object couldn't be made or deleted (KubeRay's)"
    ORPHANED_GROUP = (
        "OrphanedWorkerGroup",
        "Pods of a group run that the spec doesn't list any more",
    )
    UP_TO_DATE = "RayClusterUpToDate", "no Pod is of an older template than the spec's"
    AUTOSCALING = (
        "RayClusterAutoscaling",
        "the workers are scaled by what Ray asks for; there only where the spec wants that",
    )
    DEMAND_MET = (
        "RayClusterDemandMet",
        "whatever Ray asks for has a node, or one on its way; said by the operator's scaling only",
    )
    SUSPENDING = "RayClusterSuspending", "the Pods are on their way out (KubeRay's)"
    SUSPENDED = "RayClusterSuspended", "there is no Pod because the spec says so (KubeRay's)"


class ClusterReason(Term):
    """Reasons of the other conditions."""

    VALID = "Valid", "the spec breaks no rule"
    INVALID = "InvalidSpec", "it does; the message names each field and what to do"
    ORPHANED_PODS_FOUND = (
        "OrphanedWorkerGroupPodsFound",
        "list the group again, or let its Pods go by the annotation that is named",
    )
    VERSION_AS_SPECIFIED = "RayVersionAsSpecified", "the versions agree"
    ALL_PODS_UP_TO_DATE = "AllPodsUpToDate", "no Pod is of an older template"
    PODS_OUTDATED = "PodsOutdated", "some are, and stay, since no upgradeStrategy is given"
    RECREATING = "RecreateInProgress", "they are replaced all at once"
    ROLLING = "RollingUpdateInProgress", "they are replaced bit by bit; the message counts them"
    HEAD_KEPT = (
        "HeadNotReplaced",
        "only the head is left, and would lose its state: consent, or not",
    )
    SERVICE_KEPT = "HeadServiceNotReplaced", "all Pods are of now, but not yet the head Service"
    VERSION_CHANGES = (
        "RayVersionChanges",
        "nodes of two versions can't be one cluster: use Recreate",
    )
    SCALED_BY_OPERATOR = "ScaledByOperator", "the operator asks the head's GCS, and decides"
    SCALED_BY_SIDECAR = "ScaledBySidecar", "Ray's own autoscaler does, beside the head"
    HEAD_MADE_WITHOUT = (
        "HeadMadeWithoutAutoscaling",
        "autoscaling was switched on since the head was made: delete the head's Pod, or Recreate",
    )
    HEAD_NOT_RUNNING = "HeadNotRunning", "there is nobody to ask yet"
    GCS_UNREACHABLE = (
        "GcsUnreachable",
        "the head's GCS doesn't answer the operator, so nothing is scaled: mend NetworkPolicies",
    )
    DEMAND_SERVED = "DemandServed", "it has"
    DEMAND_UNMET = "DemandUnmet", "it hasn't: which request, and what is in its way"
    INFEASIBLE_REQUEST = (
        "InfeasibleRequest",
        "no group could ever hold a request: ask for less, or add a group of larger nodes",
    )


class PodReason(Term):
    """KubeRay's reasons of `HeadPodReady` and `RayClusterProvisioned`, and of being ready."""

    HEAD_NOT_FOUND = "HeadPodNotFound", "there is no head Pod (yet)"
    HEAD_READY = "HeadPodRunningAndReady", "it runs and is ready; else the reason is its own"
    PROVISIONING = "RayClusterPodsProvisioning", "Pods are still to be made, or to get ready"
    ALL_READY_FIRST_TIME = (
        "AllPodRunningAndReadyFirstTime",
        "all were ready, for the first time since the cluster was made or resumed",
    )
    ALL_READY = "AllPodsRunningAndReady", "all are, now"
    UNKNOWN = "Unknown", "the Pod says nothing of itself yet"


class NotReady(Term):
    """Reasons of a false `RayClusterReady`."""

    ADMISSION_DENIED = (
        "AdmissionDenied",
        "a webhook or an admission policy refuses an object",
        "do as the policy says",
    )
    ADMISSION_UNAVAILABLE = (
        "AdmissionUnavailable",
        "an admission webhook doesn't answer",
        "mend its service, or remove its configuration",
    )
    CONTAINER_CONFIG_INVALID = (
        "ContainerConfigInvalid",
        "the kubelet can't make the container",
        "correct what is named, e.g. a key or a user id",
    )
    CONTAINER_CRASHED = (
        "ContainerCrashed",
        "it ended; exit code and last words of its log",
        "as the log says",
    )
    CREATE_REFUSED = (
        "CreateRefused",
        "the API server refuses an object for another cause",
        "as it says",
    )
    FORMER_HEAD_TERMINATES = (
        "FormerHeadTerminates",
        "the head before may still write to the volume with the cluster's state",
        "nothing; if its node is gone for good, delete the Pod with `--force`",
    )
    HEAD_UNREACHABLE = (
        "HeadUnreachable",
        "a worker ended because it lost the head's GCS",
        "mend the head, NetworkPolicies",
    )
    IMAGE_NOT_FOUND = (
        "ImageNotFound",
        "the registry doesn't have the image, or the node may not pull it",
        "name and tag of the image",
    )
    IMAGE_PULL_DENIED = (
        "ImagePullDenied",
        "the registry wants other credentials",
        "the image's name, `imagePullSecrets`",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        "no registry to reach or to trust, or no valid name",
        "the node's network and certificates",
    )
    LIMIT_RANGE_VIOLATED = (
        "LimitRangeViolated",
        "a container asks for more or less than the namespace allows",
        "stay within the LimitRange",
    )
    MEMORY_TOO_SMALL = (
        "MemoryTooSmall",
        "the head doesn't answer, or lost a process, with a limit below 1Gi",
        "give the head 1Gi or more",
    )
    NAME_TAKEN = (
        "NameTaken",
        "an object of that name isn't this cluster's",
        "delete or rename one of the two",
    )
    NODE_LOST = (
        "NodeLost",
        "the Pod's node doesn't answer, shut down or is gone",
        "the node; the Pod is replaced by itself",
    )
    OBJECT_MISSING = (
        "ObjectMissing",
        "a Secret, ConfigMap, claim, service account or class isn't there",
        "make it, or correct its name",
    )
    OPERATOR_FORBIDDEN = (
        "OperatorForbidden",
        "the operator's Role lacks a right",
        "upgrade the Role together with the operator",
    )
    OUT_OF_MEMORY = (
        "OutOfMemory",
        "killed at its memory limit",
        "raise `resources.limits.memory`; a head needs 1Gi or more",
    )
    POD_EVICTED = (
        "PodEvicted",
        "the node ran short of something, or is being drained",
        "requests and limits; nothing after a drain",
    )
    POD_FAILED = (
        "PodFailed",
        "the node ended the Pod or wouldn't have it",
        "as it says",
    )
    POD_PREEMPTED = (
        "PodPreempted",
        "it gave way to a Pod of a higher priority",
        "a PriorityClass, or more nodes",
    )
    POD_SECURITY_VIOLATED = (
        "PodSecurityViolated",
        "the namespace's Pod Security level forbids it",
        "set the `securityContext` that is named",
    )
    PROBE_FAILING = (
        "ProbeFailing",
        "a probe fails for longer than it may; which one, and what it said",
        "as the probe says",
    )
    PROGRAM_MISSING = (
        "ProgramMissing",
        "the image has no bash or no Ray",
        "an image with both",
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        "the ResourceQuota is used up, or wants limits",
        "ask for less; a larger quota",
    )
    RAY_VERSION_MISMATCH = (
        "RayVersionMismatch",
        "images of head and workers, or `rayVersion`, differ",
        "the same Ray and Python everywhere",
    )
    SANDBOX_FAILED = (
        "SandboxFailed",
        "no network or no sandbox for the Pod",
        "the node's network plugin and container runtime",
    )
    SCHEDULING_GATED = (
        "SchedulingGated",
        "`schedulingGates` hold the Pod back",
        "what set them has to remove them",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        "no node takes it: which resource, taint or rule",
        "ask for less, or add such nodes",
    )
    VOLUME_UNAVAILABLE = (
        "VolumeUnavailable",
        "a claim isn't bound, or a volume can't be mounted",
        "a PersistentVolume or StorageClass for it",
    )
    WAITING_FOR_HEAD = (
        "WaitingForHead",
        "a worker waits for the GCS too long; since when, which address",
        "the head, NetworkPolicies, DNS, the image's Ray",
    )


class Starting(Term):
    """Reasons of a false `RayClusterReady` while nothing is known to be wrong."""

    PODS_NOT_READY = "PodsNotReady", "the Pods are still starting; the message counts them"
    SUSPENDING = "RayClusterSuspending", "the cluster is being suspended"
    SUSPENDED = "RayClusterSuspended", "the cluster is suspended"


class CronCondition(Term):
    """Types of a RayCronJob's conditions, in the order in which they are written."""

    SPEC_VALID = "RayCronJobSpecValid", "the spec breaks no rule; else no RayJob is made"
    SCHEDULED = "RayCronJobScheduled", "the next RayJob will be made at the time that is told"


class CronReason(Term):
    """Reasons of `RayCronJobScheduled`."""

    ON_TIME = "OnTime", "all that was due is done", "nothing"
    FEATURE_GATE_OFF = (
        "FeatureGateOff",
        "the operator runs without the feature gate `RayCronJob`, and makes no RayJobs of it",
        "`--feature-gates=RayCronJob=true`; in the chart `featureGates`",
    )
    INVALID = "InvalidSpec", "the spec breaks a rule", "as the condition about the spec says"
    SUSPENDED = "Suspended", "the spec says so", "`suspend: false`; what was missed stays undone"
    NEVER = (
        "NoNextTime",
        "the schedule names no time in the next five years, such as 31 February",
        "correct the schedule",
    )
    WAITING = (
        "PreviousRunActive",
        "a RayJob is due, an earlier one goes on, and `concurrencyPolicy` is `Forbid`",
        "nothing, or end the earlier one",
    )
    NOT_CREATED = (
        "RayJobNotCreated",
        "a RayJob is due and can't be made, or the one that it replaces can't be deleted",
        "as the API server says",
    )
