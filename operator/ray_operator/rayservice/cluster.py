"""The RayClusters of a RayService: how one is made, and how one is changed in place.

Owns: their manifests and changes. Does not own: when one is made (`succession`), or the Pods in it
(`raycluster`). Invariant: what others decided about a living cluster stays: replicas where an
autoscaler scales, what queues write (suspension, where Pods may run), its place in Redis.
Source: KubeRay 1.7, RayClusters of RayServices.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import actions, merge_patch, names, ownership, records, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayservice as api
from ray_operator.api import serve_config
from ray_operator.rayservice import goal, reasons

_STORE = "gcsFaultToleranceOptions"
_OF_QUEUES = ("nodeSelector", "tolerations", "schedulingGates")


def manifest(service: api.RayService, *, name: str, options: settings.Settings) -> dict[str, Any]:
    """Return the cluster of that name."""
    spec = service.spec.ray_cluster_config.dump()
    store = spec.get(_STORE) or {}
    if place := store.get("externalStorageNamespace"):
        spec[_STORE] = {**store, "externalStorageNamespace": goal.store_of(name, place)}
    annotations = {
        **ownership.copied_annotations(service),
        **_proxies(service),
        **goal.marks(service, options=options),
    }
    if place := annotations.get(names.FT_NAMESPACE_ANNOTATION):
        annotations[names.FT_NAMESPACE_ANNOTATION] = goal.store_of(name, place)
    return {
        "apiVersion": records.RAYCLUSTERS.api_version,
        "kind": records.RAYCLUSTERS.kind,
        "metadata": ownership.metadata(
            service, name=name, labels=_labels(service), annotations=annotations
        ),
        "spec": spec,
    }


def create(service: api.RayService, *, name: str, options: settings.Settings) -> actions.Create:
    """Return what makes the cluster of that name."""
    return actions.Create(
        resource=records.RAYCLUSTERS,
        manifest=manifest(service, name=name, options=options),
        reasons=reasons.CLUSTER,
    )


def update(
    service: api.RayService, cluster: cluster_api.RayCluster, *, options: settings.Settings
) -> actions.Patch:
    """Return what changes a living cluster in place; it must need no more than that."""
    annotations = {
        **ownership.copied_annotations(service),
        **goal.marks(service, options=options),
    }
    annotations.pop(names.FT_NAMESPACE_ANNOTATION, None)  # a head keeps its place for life
    live = cluster.spec.dump()
    wanted = _kept(service, live)
    given = cluster.metadata.annotations.get(names.SUSPENSION_ANNOTATION)
    if given in {None, annotations[names.SUSPENSION_ANNOTATION]}:
        wanted = _as_live(wanted, live, ("suspend",))
    change = merge_patch.difference(live, wanted)
    metadata = {
        "resourceVersion": cluster.metadata.resource_version,
        "labels": _labels(service),
        "annotations": annotations,
    }
    return actions.Patch(
        resource=records.RAYCLUSTERS,
        namespace=cluster.metadata.namespace,
        name=cluster.metadata.name,
        uid=cluster.metadata.uid,
        change={"metadata": metadata, **({"spec": change} if change else {})},
        reasons=reasons.CLUSTER_UPDATED,
        is_told=True,
    )


def annotate(
    cluster: cluster_api.RayCluster,
    annotations: Mapping[str, str | None],
    *,
    told: actions.Reasons | None = None,
) -> actions.Patch:
    """Return what writes down something about a cluster, or (None) takes it away.

    It is told of if `told` says how.
    """
    return actions.Patch(
        resource=records.RAYCLUSTERS,
        namespace=cluster.metadata.namespace,
        name=cluster.metadata.name,
        uid=cluster.metadata.uid,
        change={"metadata": {"annotations": dict(annotations)}},
        reasons=told or reasons.NOTED,
        is_told=told is not None,
    )


def delete(cluster: cluster_api.RayCluster, why: str) -> actions.Delete:
    """Return what deletes a cluster."""
    return actions.Delete(
        resource=records.RAYCLUSTERS,
        namespace=cluster.metadata.namespace,
        name=cluster.metadata.name,
        uid=cluster.metadata.uid,
        reasons=reasons.CLUSTER_DELETED,
        why=why,
    )


def _labels(service: api.RayService) -> dict[str, str]:
    return {**service.metadata.labels, **ownership.origin(service)}


def _proxies(service: api.RayService) -> dict[str, str]:
    """Say where requests are taken if not on every node, which Ray decides once, at its start."""
    config = serve_config.read(service.spec.serve_config_v2)
    if config is None or config.proxy_location == serve_config.EVERY_NODE:
        return {}
    return {names.PROXY_LOCATION_ANNOTATION: config.proxy_location}


def _kept(service: api.RayService, live: dict[str, Any]) -> dict[str, Any]:
    """Return the spec as wanted, with what is others' to decide as it is."""
    wanted = service.spec.ray_cluster_config.dump()
    if _STORE in wanted and _STORE in live:
        wanted[_STORE] = live[_STORE]
    is_scaled = bool(wanted.get("enableInTreeAutoscaling"))
    before = {each.get("groupName"): each for each in live.get("workerGroupSpecs", ())}
    wanted["headGroupSpec"] = _as_queued(wanted["headGroupSpec"], live["headGroupSpec"])
    if "workerGroupSpecs" in wanted:
        wanted["workerGroupSpecs"] = [
            _group(each, before.get(each.get("groupName")), is_scaled=is_scaled)
            for each in wanted["workerGroupSpecs"]
        ]
    return wanted


def _group(
    wanted: dict[str, Any], live: dict[str, Any] | None, *, is_scaled: bool
) -> dict[str, Any]:
    if live is None:
        return wanted
    queued = _as_queued(wanted, live)
    return _as_live(queued, live, ("replicas", "scaleStrategy")) if is_scaled else queued


def _as_queued(wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """Return a group with what queueing systems write in the Pod template as it is."""
    template, before = wanted.get("template") or {}, live.get("template") or {}
    spec = _as_live(template.get("spec") or {}, before.get("spec") or {}, _OF_QUEUES)
    return {**wanted, "template": {**template, "spec": spec}}


def _as_live(
    wanted: dict[str, Any], live: dict[str, Any], fields: tuple[str, ...]
) -> dict[str, Any]:
    """Return `wanted` with these fields as they are, or aren't, in `live`."""
    rest = {key: each for key, each in wanted.items() if key not in fields}
    return {**rest, **{key: live[key] for key in fields if key in live}}
