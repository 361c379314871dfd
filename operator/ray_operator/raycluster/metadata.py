"""Metadata of the objects that a RayCluster owns: names, labels, annotations, owner.

Owns: who carries which key. Does not own: the keys (`names`). Invariant: the labels by which Pods
are found (cluster, node type, group) are always ours. Source: KubeRay 1.7, labels of Pods.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import names, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import autoscaling, fault_tolerance, spec_hash


def child(
    cluster: api.RayCluster,
    given: Mapping[str, Any],
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """Complete the given metadata of an object that the cluster owns, in its namespace."""
    completed = {
        **given,
        "namespace": cluster.metadata.namespace,
        "labels": dict(labels),
        "annotations": dict(annotations),
        "ownerReferences": [owner(cluster)],
    }
    return {key: value for key, value in completed.items() if value}


def pod_labels(
    cluster: api.RayCluster, group: api.GroupSpec, *, settings: settings.Settings
) -> dict[str, str]:
    """Return a Pod's labels: the operator-wide, then defaults, the template's, the group's, ours.

    Later ones win.
    """
    is_head = isinstance(group, api.HeadGroupSpec)
    name = cluster.metadata.name
    node_type = names.HEAD if is_head else names.WORKER
    labels = {
        **settings.additions.labels,
        names.IS_RAY_NODE_LABEL: "yes",
        names.IDENTIFIER_LABEL: names.identifier(name, node_type),
        names.APP_NAME_LABEL: names.APP_NAME,
        names.CREATED_BY_LABEL: names.CREATED_BY,
        **(_template_metadata(group).get("labels") or {}),
        **group.labels,
        names.CLUSTER_LABEL: name,
        names.NODE_TYPE_LABEL: node_type,
        names.GROUP_LABEL: group.group_name
        if isinstance(group, api.WorkerGroupSpec)
        else names.HEAD_GROUP,
    }
    if creator_kind(cluster) == "RayService":
        labels[names.SERVE_LABEL] = str(not is_head and workers_serve(cluster)).lower()
    return labels


def pod_annotations(
    cluster: api.RayCluster, group: api.GroupSpec, *, settings: settings.Settings
) -> dict[str, str]:
    """Return a Pod's annotations: the template's, ours, and the hashes.

    The spec's hash is on workers too: a head that was replaced between an edit and its discovery
    must not hide that the workers are of the old spec.
    """
    annotations = {
        names.DEFAULT_CONTAINER_ANNOTATION: group.ray_container["name"],
        **settings.additions.annotations,
        **(_template_metadata(group).get("annotations") or {}),
        names.HASH_ANNOTATION: spec_hash.spec_hash(cluster.spec),
        names.GROUP_HASH_ANNOTATION: spec_hash.group_hash(cluster.spec, group),
    }
    if _is_truthy(cluster.metadata.annotations, names.OVERWRITE_COMMAND_ANNOTATION):
        annotations[names.OVERWRITE_COMMAND_ANNOTATION] = "true"
    if isinstance(group, api.HeadGroupSpec):
        annotations |= autoscaling.annotations(cluster, settings)
        annotations[names.FT_ENABLED_ANNOTATION] = str(fault_tolerance.is_on(cluster)).lower()
        if fault_tolerance.uses_redis(cluster):
            namespace = fault_tolerance.storage_namespace(cluster)
            annotations[names.FT_NAMESPACE_ANNOTATION] = namespace
        annotations[names.VERSION_ANNOTATION] = settings.version
    return annotations


def workers_serve(cluster: api.RayCluster) -> bool:
    """Tell whether the workers of a RayService's cluster take requests."""
    said = cluster.metadata.annotations.get(names.PROXY_LOCATION_ANNOTATION, "")
    return creator_kind(cluster) == "RayService" and said not in {"HeadOnly", "Disabled"}


def creator_kind(cluster: api.RayCluster) -> str:
    """Tell which kind of resource the cluster was made for; `RayCluster` for its own sake."""
    kind = cluster.metadata.labels.get(names.ORIGIN_KIND_LABEL, "")
    return kind if kind in {"RayJob", "RayService"} else "RayCluster"


def _template_metadata(group: api.GroupSpec) -> Mapping[str, Any]:
    return group.template.get("metadata") or {}


def _is_truthy(annotations: Mapping[str, str], key: str) -> bool:
    return annotations.get(key, "").lower() == "true"


def owner(cluster: api.RayCluster) -> dict[str, Any]:
    """Return the reference by which the cluster controls an object."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "name": cluster.metadata.name,
        "uid": cluster.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
