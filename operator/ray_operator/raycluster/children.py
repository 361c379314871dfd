"""Decide about the children of a RayCluster besides Pods: Services, Secret, Ingress.

Owns: which there shall be, and when one is brought up to date or removed. Does not own: what they
look like. Invariant: each carries the hash of what it was made of, so that one that is as wanted
costs nothing; one without a hash is another operator's, and stays as it is until the user changes
the spec.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ray_operator import actions, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import auth, desired, groups, ingress
from ray_operator.raycluster import observed as seen


def _reasons(kind: str) -> actions.Reasons:
    return actions.Reasons(f"Created{kind}", f"FailedToCreate{kind}", f"FailedCreate{kind}")


CREATE = {kind: _reasons(kind) for kind in ("Service", "Ingress", "Secret")}
UPDATE = {
    kind: actions.Reasons(f"Updated{kind}", f"FailedToUpdate{kind}", f"FailedUpdate{kind}")
    for kind in CREATE
}
DELETE = {
    kind: actions.Reasons(f"Deleted{kind}", f"FailedToDelete{kind}", f"FailedDelete{kind}")
    for kind in CREATE
}
_RESOURCES = {each.kind: each for each in (records.SERVICES, records.INGRESSES, records.SECRETS)}


def plan(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings
) -> tuple[actions.Action, ...]:
    """Create what is missing, update what changed, delete what is no longer wanted."""
    present: dict[tuple[str, str], records.Meta | records.Service] = {
        **{("Service", each.name): each for each in observed.services},
        **{(each.kind, each.name): each for each in observed.others},
    }
    wanted = [_hashed(each) for each in _wanted(cluster, observed, options)]
    names_ = {(each["kind"], each["metadata"]["name"]) for each in wanted}
    todo: list[actions.Action] = []
    for manifest in wanted:
        kind = manifest["kind"]
        found = present.get((kind, manifest["metadata"]["name"]))
        if found is None:
            todo.append(_create(manifest))
        elif kind != "Secret" and _is_outdated(cluster, found.annotations, manifest):
            todo.append(
                actions.Apply(resource=_RESOURCES[kind], manifest=manifest, reasons=UPDATE[kind])
            )
    todo += [
        actions.Delete(
            resource=records.INGRESSES,
            namespace=each.namespace,
            name=each.name,
            uid=each.uid,
            reasons=DELETE["Ingress"],
            why="enableIngress is off",
        )
        for each in observed.others
        if each.kind == "Ingress" and (each.kind, each.name) not in names_
    ]
    return tuple(todo)


def _wanted(
    cluster: api.RayCluster, observed: seen.Observed, options: settings.Settings
) -> Iterator[dict[str, Any]]:
    if secret := auth.secret(cluster):
        yield secret
    head = desired.head_service(cluster, settings=options)
    standing = observed.head_service()
    if standing is not None:  # whatever its name, it is the one that Pods were told of
        head["metadata"]["name"] = standing.name
        head["spec"] = _with_standing_address(head["spec"], standing)
    yield head
    if any(groups.is_multi_host(each, options) for each in cluster.spec.worker_group_specs):
        yield desired.headless_service(cluster)
    if cluster.metadata.annotations.get(names.SERVE_SERVICE_ANNOTATION) == "true":
        serve = desired.serve_service(cluster)
        if serve is not None:
            yield serve
    if found := ingress.ingress(cluster):
        yield found


def _with_standing_address(spec: Mapping[str, Any], standing: records.Service) -> dict[str, Any]:
    """Leave a Service the address that it was made with, which nothing can change.

    Older operators gave head Services one; those of now are headless unless told not to be.
    """
    kept = {key: each for key, each in spec.items() if key != "clusterIP"}
    if standing.cluster_ip == "None" and spec.get("type") in {None, "ClusterIP"}:
        return {**kept, "clusterIP": "None"}
    return kept if standing.cluster_ip and spec.get("clusterIP") == "None" else dict(spec)


def _create(manifest: dict[str, Any]) -> actions.Action:
    kind = manifest["kind"]
    resource, reasons = _RESOURCES[kind], CREATE[kind]
    if kind == "Secret":
        return actions.Create(
            resource=resource, manifest=manifest, reasons=reasons, secret_key=auth.TOKEN_KEY
        )
    return actions.Apply(resource=resource, manifest=manifest, reasons=reasons, is_new=True)


def _hashed(manifest: dict[str, Any]) -> dict[str, Any]:
    """Stamp the manifest with the hash of its content."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    given = manifest["metadata"]
    annotations = {**given.get("annotations", {}), names.CONTENT_HASH_ANNOTATION: digest}
    return {**manifest, "metadata": {**given, "annotations": annotations}}


def _is_outdated(
    cluster: api.RayCluster, found: Mapping[str, str], wanted: Mapping[str, Any]
) -> bool:
    stamped = found.get(names.CONTENT_HASH_ANNOTATION)
    if stamped is None:
        answered = cluster.status.get("observedGeneration", cluster.metadata.generation)
        return bool(answered < cluster.metadata.generation)
    return bool(stamped != wanted["metadata"]["annotations"][names.CONTENT_HASH_ANNOTATION])
