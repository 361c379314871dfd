"""Names, labels and annotations that KubeRay's users and tools rely on.

Owns: every string that names an object of ours or marks it. Does not own: who carries which label
(`desired`). Invariant: nothing outside this module spells out a `ray.io/` key.
Source: KubeRay 1.7, names and labels of generated objects.
"""

import hashlib
import re

CLUSTER_LABEL = "ray.io/cluster"
NODE_TYPE_LABEL = "ray.io/node-type"
GROUP_LABEL = "ray.io/group"
IDENTIFIER_LABEL = "ray.io/identifier"
IS_RAY_NODE_LABEL = "ray.io/is-ray-node"
REPLICA_NAME_LABEL = "ray.io/worker-group-replica-name"
HOST_INDEX_LABEL = "ray.io/replica-host-index"
HEADLESS_WORKERS_LABEL = "ray.io/headless-worker-svc"
REPLICA_INDEX_LABEL = "ray.io/worker-group-replica-index"
ORIGIN_KIND_LABEL = "ray.io/originated-from-crd"
SERVE_LABEL = "ray.io/serve"
SUBMISSION_MODE_LABEL = "ray.io/job-submission-mode"
ORIGIN_NAME_LABEL = "ray.io/originated-from-cr-name"
APP_NAME_LABEL = "app.kubernetes.io/name"
CREATED_BY_LABEL = "app.kubernetes.io/created-by"
CRON_JOB_LABEL = "ray.io/cronjob-name"

APP_NAME = "kuberay"
CREATED_BY = "kuberay-operator"
HEAD_GROUP = "headgroup"
SUBMITTER = "ray-job-submitter"
"""Name of the container that submits a RayJob."""
HEAD = "head"
WORKER = "worker"

SERVE_SERVICE_ANNOTATION = "ray.io/enable-serve-service"
CONTENT_HASH_ANNOTATION = "ray-operator.io/content-hash"
START_COMMAND_VARIABLE = "KUBERAY_GEN_RAY_START_CMD"
FAILURES_ANNOTATION = "ray-operator.io/failures"
GROUP_HASH_ANNOTATION = "ray-operator.io/group-hash"
PAUSED_ANNOTATION = "ray-operator.io/paused"
DRAINING_ANNOTATION = "ray-operator.io/draining"
HEAD_ANNOTATION = "ray-operator.io/head"
SERVE_CONFIG_ANNOTATION = "ray-operator.io/serve-config"
PROXY_LOCATION_ANNOTATION = "ray-operator.io/serve-proxy-location"
SUSPENSION_ANNOTATION = "ray-operator.io/given-suspend"
RETIRE_ANNOTATION = "ray-operator.io/retire-at"
RAW_ENTRYPOINT_ANNOTATION = "ray-operator.io/raw-entrypoint"
AUTOSCALER_ANNOTATION = "ray-operator.io/autoscaler"
WAKE_ANNOTATION = "ray-operator.io/wake"
DELETE_ORPHANS_ANNOTATION = "ray-operator.io/delete-orphaned-worker-groups"
KEEP_HEAD_ANNOTATION = "ray.io/disable-provisioned-head-restart"
OVERWRITE_COMMAND_ANNOTATION = "ray.io/overwrite-container-cmd"
FT_ENABLED_ANNOTATION = "ray.io/ft-enabled"
FT_NAMESPACE_ANNOTATION = "ray.io/external-storage-namespace"
CLEANUP_TIMEOUT_ANNOTATION = "ray.io/gcs-ft-deletion-timeout"
IN_PLACE_RESIZE_ANNOTATION = "ray.io/ippr"
INGRESS_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
INITIALIZING_TIMEOUT_ANNOTATION = "ray.io/initializing-timeout"
VERSION_ANNOTATION = "ray.io/kuberay-version"
DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"
HASH_ANNOTATION = "ray.io/upgrade-strategy-recreate-hash"
GOAL_HASH_ANNOTATION = "ray.io/hash-without-replicas-and-workers-to-delete"
GROUP_COUNT_ANNOTATION = "ray.io/num-worker-groups"
TICK_ANNOTATION = "ray.io/cronjob-scheduled-timestamp"
GANG_SCHEDULING_LABEL = "ray.io/gang-scheduling-enabled"
PRIORITY_CLASS_LABEL = "ray.io/priority-class-name"
KUEUE_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
KAI_QUEUE_LABEL = "kai.scheduler/queue"
SCHEDULING_PREFIXES = ("kueue.x-k8s.io/", "volcano.sh/", "yunikorn.apache.org/")
MANAGED_BY_US = "ray.io/kuberay-operator"
MANAGED_BY_KUEUE = "kueue.x-k8s.io/multikueue"

LEASE = "ray-operator-leader"
"""As KubeRay's, so that in one namespace only one of both leads."""
IDENTITY_PREFIX = "ray-operator.io/"
"""Of the holders of our Lease; no host's name, as KubeRay's identities begin with, has a slash."""
OPERATOR_LABEL = "ray-operator.io/operator"
"""On our own Deployments, which else have KubeRay's labels."""

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""The API server's own: no vowels and no look-alikes, so that no word comes out."""
SUFFIX_LENGTH = 5
POD_PREFIX_LENGTH = 50
LABEL_LENGTH = 63
ROUTE_LENGTH = 51


def pod_prefix(*parts: str) -> str:
    """Join the parts with `-` and cut to the first 50 characters, lower-cased.

    What a group's name may hold and a host's may not becomes `-`.
    """
    return re.sub(r"[^a-z0-9-]", "-", "-".join(parts)[:POD_PREFIX_LENGTH].lower())


def head_pod(cluster: str) -> str:
    """Name the head Pod without its random suffix."""
    return f"{pod_prefix(cluster)}-head"


def worker_pod(cluster: str, group: str) -> str:
    """Name a worker Pod of the group without its random suffix."""
    return f"{pod_prefix(cluster, group)}-worker"


def head_service(cluster: str) -> str:
    """Name the head Service when the user didn't."""
    return f"{cluster}-head-svc"


def headless_service(cluster: str) -> str:
    """Name the Service that gives each host of multi-host replicas its DNS name."""
    return f"{cluster}-headless"


def storage_claim(cluster: str) -> str:
    """Name the claim of the head's embedded store when the user didn't."""
    return f"{cluster}-gcs-pvc"


def route(cluster: str, namespace: str) -> str:
    """Name the Route: its default host holds name and namespace in one label of 63 characters."""
    text = f"{cluster}-head-route"
    room = ROUTE_LENGTH - len(namespace)
    return legacy(text[:room] if room > 0 else text).rstrip("-")


def attempt(job: str, suffix: str) -> str:
    """Name the cluster of an attempt of a RayJob, or its submission id."""
    return f"{job}-{suffix}"


def run(cronjob: str, minute: int) -> str:
    """Name the RayJob that a RayCronJob makes for a minute since 1970."""
    return f"{cronjob}-{minute}"


def serve_service(cluster: str) -> str:
    """Name the Service of Serve's HTTP port, of a RayCluster or RayService."""
    return f"{cluster}-serve-svc"


def suffix(seed: str) -> str:
    """Draw the end of a name: the same for the same seed, so that pure code can draw it."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest())
    drawn = ""
    for _ in range(SUFFIX_LENGTH):
        number, index = divmod(number, len(SUFFIX_ALPHABET))
        drawn += SUFFIX_ALPHABET[index]
    return drawn


def fqdn(service: str, namespace: str, cluster_domain: str) -> str:
    """Name a Service for DNS, fully qualified without the trailing dot."""
    return f"{service}.{namespace}.svc.{cluster_domain}"


def legacy(text: str) -> str:
    """Cut to the last 50 characters, as KubeRay does; where no letter comes first, an `r` does."""
    cut = text[-POD_PREFIX_LENGTH:]
    return cut if len(text) <= POD_PREFIX_LENGTH or cut[:1].isalpha() else "r" + cut[1:]


def label_value(text: str) -> str:
    """Cut to the last 63 characters; a leading punctuation character becomes `r`."""
    cut = text[-LABEL_LENGTH:]
    return cut if cut[:1].isalnum() or not cut else "r" + cut[1:]


def identifier(cluster: str, node_type: str) -> str:
    """Name a cluster's head or workers for the identifier label."""
    return label_value(f"{cluster}-{node_type}")
