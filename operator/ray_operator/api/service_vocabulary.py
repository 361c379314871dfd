"""All conditions and reasons of a RayService, with what they mean.

Owns: these terms; the reference of the documentation is made of them. Does not own: when one holds
(`rayservice.aspects`). Source: KubeRay 1.7 for those of its own; the others are ours.
"""

from ray_operator.api.vocabulary import Term


class ServiceCondition(Term):
    """Types of a RayService's conditions, in the order in which they are written."""

    READY = "Ready", "the serve Service has had a ready endpoint for two seconds"
    UPGRADE_IN_PROGRESS = (
        "UpgradeInProgress",
        "another cluster gets ready to serve; the message says what it waits for",
    )
    SUSPENDING = "Suspending", "clusters and Services are being removed because the spec says so"
    SUSPENDED = "Suspended", "there are none because the spec says so"
    SPEC_VALID = (
        "RayServiceSpecValid",
        "the spec breaks no rule; else what serves goes on serving, and nothing of it changes",
    )
    UP_TO_DATE = "RayServiceUpToDate", "what serves is what the spec describes"
    CLUSTER_READY = (
        "RayClusterReady",
        "the RayCluster that is waited for is ready, or the one that serves; else it says why not",
    )
    APPLICATIONS_RUNNING = (
        "ApplicationsRunning",
        "all applications of the configuration run on that cluster",
    )
    REACHABLE = "RayReachable", "Serve answers; else what is told of it may be out of date"
    CHILD_FAILURE = "ChildFailure", "an object couldn't be made, changed or deleted"


class ServiceReason(Term):
    """Reasons of these conditions; those of the first four are KubeRay's."""

    INITIALIZING = "Initializing", "nothing has served yet", "as the other conditions say"
    ENDPOINTS = "NonZeroServeEndpoints", "there are some", "nothing"
    NO_ENDPOINTS = (
        "ZeroServeEndpoints",
        "there were some, and are none any more",
        "the head, its workers, and the applications",
    )
    VALIDATION_FAILED = (
        "ValidationFailed",
        "the spec breaks a rule, and nothing serves",
        "correct the spec as the message says",
    )
    INITIALIZING_TIMEOUT = (
        "InitializingTimeout",
        "nothing served in the time of the annotation; the clusters are removed",
        "any change of the spec begins anew",
    )
    SUSPEND_REQUESTED = "SuspendRequested", "the spec says so", "nothing"
    SUSPEND_IN_PROGRESS = "SuspendInProgress", "clusters and Services are being removed", "nothing"
    SUSPEND_COMPLETE = "SuspendComplete", "they are gone", "`suspend: false`"
    RESUMED = "RayServiceResumed", "it was suspended, and isn't any more", "nothing"
    BOTH_CLUSTERS = (
        "BothActivePendingClustersExist",
        "one serves, the other gets ready",
        "what the message says it waits for",
    )
    NO_PENDING_CLUSTER = "NoPendingCluster", "only the one that serves is there", "nothing"
    NO_ACTIVE_CLUSTER = "NoActiveCluster", "none serves", "as the other conditions say"
    UP_TO_DATE = "UpToDate", "it is", "nothing"
    UPGRADING = "UpgradeInProgress", "another cluster gets ready", "nothing"
    STRATEGY_NONE = (
        "UpgradesAreOff",
        "the spec of the cluster changed, and `upgradeStrategy` keeps the one that serves",
        "`upgradeStrategy.type: NewCluster`",
    )
    NOT_SUPPORTED = (
        "IncrementalUpgradeNotSupported",
        "the spec of the cluster changed; traffic can't be moved step by step yet",
        "`upgradeStrategy.type: NewCluster`; until then the present cluster serves",
    )
    CONFIG_NOT_APPLIED = (
        "ConfigurationNotApplied",
        "Ray hasn't taken the configuration yet",
        "nothing, unless it lasts",
    )
    CONFIG_REFUSED = (
        "ConfigurationRefused",
        "Ray won't take the configuration; the one before goes on",
        "correct `serveConfigV2` as the message says",
    )
    NO_CONFIG = (
        "NoApplications",
        "`serveConfigV2` lists none",
        "list one",
    )
    NOT_ASKED = "NotAskedYet", "nothing was asked yet", "nothing"
    RUNNING = "AllRunning", "they do", "nothing"
    DEPLOYING = "Deploying", "some are being deployed", "nothing, unless it lasts"
    UNHEALTHY = (
        "Unhealthy",
        "one fails, or couldn't be deployed; the message is Serve's",
        "the application",
    )
    ANSWERS = "RayAnswers", "the newest question got an answer", "nothing"
    UNREACHABLE = (
        "HeadUnreachable",
        "it got none: since when and why; what serves is left as it is",
        "the head, NetworkPolicies, its memory",
    )
    CLUSTER_NOT_FOUND = "RayClusterNotFound", "there is no RayCluster of that name (yet)", "nothing"
    CLUSTER_UNKNOWN = "RayClusterUnknown", "the RayCluster says nothing of itself yet", "nothing"
