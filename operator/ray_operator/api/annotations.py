"""All annotations that the operator reads or writes, ours and KubeRay's, with what they mean.

Owns: the table that the reference of the documentation is made of. Does not own: the keys
(`names`), or when one is written.
"""

from typing import NamedTuple

from ray_operator import names


class Annotation(NamedTuple):
    """An annotation; `on` is what carries it."""

    key: str
    on: str
    meaning: str
    is_for_users: bool = False


ANNOTATIONS = (
    Annotation(
        names.AUTOSCALER_ANNOTATION,
        "RayCluster",
        "`sidecar` or `operator`: who scales the workers, from the next head on; also on head Pods",
        is_for_users=True,
    ),
    Annotation(
        names.WAKE_ANNOTATION,
        "RayCluster",
        "any value: a cluster that was suspended for being idle starts again; removed when it does",
        is_for_users=True,
    ),
    Annotation(
        names.RAW_ENTRYPOINT_ANNOTATION,
        "RayJob",
        "`true`: the submitter's shell reads the entrypoint, as KubeRay has it, and not Ray's",
        is_for_users=True,
    ),
    Annotation(
        names.PAUSED_ANNOTATION,
        "RayCluster",
        "`true`: nothing is made, changed or deleted for it; its status stays true",
        is_for_users=True,
    ),
    Annotation(
        names.DELETE_ORPHANS_ANNOTATION,
        "RayCluster",
        "`true`: Pods of groups that were removed from the spec go, drained first",
        is_for_users=True,
    ),
    Annotation(
        names.OVERWRITE_COMMAND_ANNOTATION,
        "RayCluster, Pod template",
        "`true`: containers run the command of the template; `KUBERAY_GEN_RAY_START_CMD` has what"
        " would have been run",
        is_for_users=True,
    ),
    Annotation(
        names.KEEP_HEAD_ANNOTATION,
        "RayCluster",
        "`true`: a head that is gone isn't made anew once the cluster has been ready",
        is_for_users=True,
    ),
    Annotation(
        names.FT_ENABLED_ANNOTATION,
        "RayCluster",
        "`true`: Ray's state is kept in Redis; `gcsFaultToleranceOptions` says it better",
        is_for_users=True,
    ),
    Annotation(
        names.FT_NAMESPACE_ANNOTATION,
        "RayCluster",
        "under which name Redis keeps it; else the UID",
        is_for_users=True,
    ),
    Annotation(
        names.CLEANUP_TIMEOUT_ANNOTATION,
        "RayCluster",
        "seconds that the deletion waits at most for Redis to be cleaned up; else 300",
        is_for_users=True,
    ),
    Annotation(
        names.IN_PLACE_RESIZE_ANNOTATION,
        "RayCluster",
        "how Ray's own autoscaler resizes Pods in place; keeps its sidecar",
        is_for_users=True,
    ),
    Annotation(
        names.SERVE_SERVICE_ANNOTATION,
        "RayCluster",
        "`true`: a Service for Ray Serve, without a RayService",
        is_for_users=True,
    ),
    Annotation(
        names.INGRESS_CLASS_ANNOTATION,
        "RayCluster",
        "the class of the head's Ingress, which has no such annotation itself",
        is_for_users=True,
    ),
    Annotation(
        names.INITIALIZING_TIMEOUT_ANNOTATION,
        "RayService",
        "how long nothing may serve at first, as `10m` or seconds, before the clusters are removed;"
        " also while no cluster can be made",
        is_for_users=True,
    ),
    Annotation(
        names.HEAD_ANNOTATION,
        "RayJob",
        "the head that the attempt belongs to, where an older CRD has no `status.head`",
    ),
    Annotation(
        names.SERVE_CONFIG_ANNOTATION,
        "RayCluster of a RayService",
        "which configuration Serve has taken, so that a restarted operator doesn't send it again",
    ),
    Annotation(
        names.PROXY_LOCATION_ANNOTATION,
        "RayCluster of a RayService",
        "where Serve takes requests, if not on every node: its workers are ready without a proxy",
    ),
    Annotation(
        names.SUSPENSION_ANNOTATION,
        "RayCluster of a RayService",
        "its `suspend` as the RayService last gave it; a queue may have changed it since",
    ),
    Annotation(
        names.RETIRE_ANNOTATION,
        "RayCluster of a RayService",
        "another one serves in its place: when it goes",
    ),
    Annotation(
        names.DRAINING_ANNOTATION,
        "worker Pod",
        "it is on its way out: until when its work may finish",
    ),
    Annotation(
        names.FAILURES_ANNOTATION,
        "worker Pod, head Service",
        "how many Pods before it failed in a row; the next waits accordingly longer",
    ),
    Annotation(names.GROUP_HASH_ANNOTATION, "Pod", "of which template of its group it was made"),
    Annotation(
        names.CONTENT_HASH_ANNOTATION,
        "Service, Ingress, RayCluster, …",
        "of what it was made, as a whole",
    ),
    Annotation(names.VERSION_ANNOTATION, "head Pod, RayCluster of a RayService", "who made it"),
    Annotation(
        names.HASH_ANNOTATION, "Pod", "of which spec it was made, as far as `Recreate` looks at it"
    ),
    Annotation(
        names.GOAL_HASH_ANNOTATION,
        "RayCluster of a RayService",
        "of which spec it was made, numbers of workers left out",
    ),
    Annotation(
        names.GROUP_COUNT_ANNOTATION,
        "RayCluster of a RayService",
        "how many worker groups it was made with",
    ),
    Annotation(names.TICK_ANNOTATION, "RayJob of a RayCronJob", "the time that it was made for"),
    Annotation(
        names.DEFAULT_CONTAINER_ANNOTATION, "Pod", "which container `kubectl logs` and `exec` take"
    ),
)
