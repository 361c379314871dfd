"""All conditions and reasons of a RayJob, with what they mean.

Owns: these terms; the reference of the documentation is made of them. Does not own: when one holds
(`rayjob.aspects`, `rayjob.verdict`). Source: KubeRay 1.7 for why a job failed.
"""

from ray_operator.api.vocabulary import Term


class JobCondition(Term):
    """Types of a RayJob's conditions, in the order in which they are written."""

    COMPLETE = "Complete", "the job has succeeded, or was stopped; as of a Kubernetes Job"
    FAILED = "Failed", "it has failed, and no attempt is left; as of a Kubernetes Job"
    SUSPENDED = "Suspended", "there is no cluster because the spec says so"
    SPEC_VALID = (
        "RayJobSpecValid",
        "the spec breaks no rule; else an attempt goes on under the last one that broke none",
    )
    CLUSTER_READY = "RayClusterReady", "the attempt's RayCluster is ready; else it says why not"
    REACHABLE = "RayReachable", "Ray answers; else what is told of the job may be out of date"
    CHILD_FAILURE = "ChildFailure", "an object couldn't be made or deleted"


class JobReason(Term):
    """Reasons of these conditions, but for those of `Failed`."""

    SUCCEEDED = "JobSucceeded", "Ray says so"
    STOPPED = "JobStopped", "somebody stopped it"
    FAILED = "JobFailed", "it has failed, for a reason that wasn't written down"
    SUSPENDED = "JobSuspended", "it is"
    SUSPENDING = "JobSuspending", "what there is of the attempt is being removed"
    RESUMED = "NotSuspended", "it isn't"
    CLUSTER_NOT_FOUND = "RayClusterNotFound", "there is no RayCluster of that name (yet)"
    CLUSTER_UNKNOWN = "RayClusterUnknown", "the RayCluster says nothing of itself yet"
    ANSWERS = "RayAnswers", "the newest question got an answer"
    UNREACHABLE = (
        "HeadUnreachable",
        "it got none: since when and why; a RayJob fails when that lasts too long",
    )
    NOT_ASKED = "NotAskedYet", "nothing was asked yet"


class JobFailure(Term):
    """Why an attempt failed: `status.reason`, and the reason of `Failed`."""

    SUBMISSION_FAILED = (
        "SubmissionFailed",
        "Ray wouldn't take the job, or the submitter never got to it",
        "what the message says: the entrypoint's runtime environment, the submitter's image",
    )
    APP_FAILED = (
        "AppFailed",
        "the entrypoint failed, or what ran it was lost: its head, say",
        "the message has the end of its log",
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        "it took longer than `activeDeadlineSeconds`",
        "a longer one, or a faster job",
    )
    PRE_RUNNING_DEADLINE_EXCEEDED = (
        "PreRunningDeadlineExceeded",
        "it didn't begin to run within `preRunningDeadlineSeconds`",
        "what the cluster waits for: the condition `RayClusterReady`",
    )
    GRACE_EXCEEDED = (
        "JobDeploymentStatusTransitionGracePeriodExceeded",
        "it failed, and its submitter never ended; or the submitter ended first, where that counts",
        "the submitter's Pod; `RAYJOB_DEPLOYMENT_STATUS_TRANSITION_GRACE_PERIOD_SECONDS`",
    )
    CHECK_TIMED_OUT = (
        "JobStatusCheckTimeoutExceeded",
        "the head was asked in vain for too long",
        "the head, NetworkPolicies; `RAYJOB_STATUS_CHECK_TIMEOUT_SECONDS`",
    )
    VALIDATION_FAILED = (
        "ValidationFailed",
        "the spec breaks a rule, and nothing was begun",
        "correct the spec as the message says",
    )
