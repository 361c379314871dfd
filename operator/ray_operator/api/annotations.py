"""All annotations of ours, with what they mean.

Owns: the table that the reference of the documentation is made of. Does not own: the keys
(`names`), or when one is written.
"""

from typing import NamedTuple

from ray_operator import names


class Annotation(NamedTuple):
    """An annotation of ours; `on` is what carries it."""

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
)
