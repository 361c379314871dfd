"""Whether a cluster is what the spec describes, and what brings it there.

Owns: the comparison, and the annotations that it needs. Does not own: what follows (`succession`,
`cluster`). Invariant: a cluster is compared by what was asked for when it was made, never by its
own spec, which autoscalers and queues may write; one that another operator, or another version,
made is first marked by what it is, so that an upgrade of the operator replaces nothing.

KubeRay's hash is of Go's JSON and can't be computed here. Source: KubeRay 1.7, names of the
annotations, and that worker groups may be appended in place.
"""

import enum
from typing import Any

from ray_operator import content, names, ownership, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayservice as api
from ray_operator.raycluster import spec_hash


class Change(enum.Enum):
    """What a cluster needs to become what the spec describes."""

    NOTHING = "nothing"
    IN_PLACE = "in place"
    NEW_CLUSTER = "a new cluster"


def change(service: api.RayService, cluster: cluster_api.RayCluster) -> Change:
    """Compare a cluster that is marked with the spec."""
    goal, marks = service.spec.ray_cluster_config, cluster.metadata.annotations
    stamped = marks.get(names.GOAL_HASH_ANNOTATION)
    if stamped != spec_hash.spec_hash(goal):
        count = _count(marks.get(names.GROUP_COUNT_ANNOTATION, ""))
        if count is None or len(goal.worker_group_specs) <= count:
            return Change.NEW_CLUSTER
        first = goal.model_copy(update={"worker_group_specs": goal.worker_group_specs[:count]})
        if stamped != spec_hash.spec_hash(first):
            return Change.NEW_CLUSTER
        return Change.IN_PLACE
    is_same = marks.get(names.CONTENT_HASH_ANNOTATION) == _content(service)
    return Change.NOTHING if is_same else Change.IN_PLACE


def is_marked(cluster: cluster_api.RayCluster, *, options: settings.Settings) -> bool:
    """Tell whether the marks of the cluster are this operator's."""
    marks = cluster.metadata.annotations
    is_ours = marks.get(names.VERSION_ANNOTATION) == options.version
    return is_ours and names.CONTENT_HASH_ANNOTATION in marks


def marks(service: api.RayService, *, options: settings.Settings) -> dict[str, str]:
    """Return the annotations of a cluster that is as the spec describes it."""
    goal = service.spec.ray_cluster_config
    return {
        names.GOAL_HASH_ANNOTATION: spec_hash.spec_hash(goal),
        names.GROUP_COUNT_ANNOTATION: str(len(goal.worker_group_specs)),
        names.VERSION_ANNOTATION: options.version,
        names.SUSPENSION_ANNOTATION: str(bool(goal.suspend)).lower(),
        names.CONTENT_HASH_ANNOTATION: _content(service),
    }


def adopted(
    service: api.RayService, cluster: cluster_api.RayCluster, *, options: settings.Settings
) -> dict[str, str]:
    """Return the annotations that mark another operator's cluster by what it is.

    Whether what can change in place is as wanted can't be told of KubeRay's, so it is taken to be.
    """
    found, wanted = cluster.metadata.annotations, marks(service, options=options)
    ours = (names.CONTENT_HASH_ANNOTATION, names.SUSPENSION_ANNOTATION)
    wanted |= {key: found[key] for key in ours if key in found}  # an edit meanwhile must show
    if found.get(names.GOAL_HASH_ANNOTATION) == wanted[names.GOAL_HASH_ANNOTATION]:
        return wanted
    spec, goal = without_suffix(cluster), service.spec.ray_cluster_config
    first = goal.worker_group_specs[: len(spec.worker_group_specs)]
    asked = goal.model_copy(update={"worker_group_specs": first})
    is_queued = names.KUEUE_QUEUE_LABEL in cluster.metadata.labels
    is_as_asked = names.CONTENT_HASH_ANNOTATION not in found and spec_hash.is_alike(
        asked, spec, is_queued=is_queued
    )
    return {
        **wanted,
        names.GOAL_HASH_ANNOTATION: spec_hash.spec_hash(asked if is_as_asked else spec),
        names.GROUP_COUNT_ANNOTATION: str(len(spec.worker_group_specs)),
    }


def marked(
    service: api.RayService, cluster: cluster_api.RayCluster, *, options: settings.Settings
) -> cluster_api.RayCluster:
    """Return the cluster as it is once it is marked, so that nothing waits for that."""
    if is_marked(cluster, options=options):
        return cluster
    annotations = {
        **cluster.metadata.annotations,
        **adopted(service, cluster, options=options),
    }
    metadata = cluster.metadata.model_copy(update={"annotations": annotations})
    return cluster.model_copy(update={"metadata": metadata})


def store_of(cluster: str, given: str) -> str:
    """Return the place in Redis of one cluster: two live at once, and mustn't share it."""
    return f"{given}-{cluster}"


def without_suffix(cluster: cluster_api.RayCluster) -> cluster_api.RayClusterSpec:
    """Return the cluster's spec as its RayService wrote it."""
    options = cluster.spec.gcs_fault_tolerance_options
    place = options.external_storage_namespace if options else None
    suffix = store_of(cluster.metadata.name, "")
    if options is None or not place or not place.endswith(suffix):
        return cluster.spec
    written = options.model_copy(update={"external_storage_namespace": place.removesuffix(suffix)})
    return cluster.spec.model_copy(update={"gcs_fault_tolerance_options": written})


def _content(service: api.RayService) -> str:
    """Hash all that a cluster takes over, also what changes nothing in its Pods."""
    taken: dict[str, Any] = {
        "labels": service.metadata.labels,
        "annotations": ownership.copied_annotations(service),
        "spec": spec_hash.written(service.spec.ray_cluster_config),
    }
    return content.digest(taken)


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
