"""Decide about the children of a RayCluster besides Pods: Services, access rights, Ingress, ….

Owns: which there shall be, and when one is brought up to date or removed. Does not own: what they
look like. Invariant: each carries the hash of what it was made of, so that one that is as wanted
costs nothing; one without a hash is another operator's, and stays as it is until the user changes
the spec.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from ray_operator import actions, content, names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import (
    auth,
    autoscaling,
    claim,
    desired,
    groups,
    head_service,
    ingress,
    rbac,
    route,
)
from ray_operator.raycluster import observed as seen


def _reasons(kind: str) -> actions.Reasons:
    return actions.Reasons(f"Created{kind}", f"FailedToCreate{kind}", f"FailedCreate{kind}")


_RESOURCES = {
    each.kind: each
    for each in (
        records.SERVICES,
        records.SECRETS,
        records.INGRESSES,
        records.ROUTES,
        records.SERVICE_ACCOUNTS,
        records.ROLES,
        records.ROLE_BINDINGS,
    )
}
CREATE = {kind: _reasons(kind) for kind in _RESOURCES}
UPDATE = {
    kind: actions.Reasons(f"Updated{kind}", f"FailedToUpdate{kind}", f"FailedUpdate{kind}")
    for kind in _RESOURCES
}
DELETE = {
    kind: actions.Reasons(f"Deleted{kind}", f"FailedToDelete{kind}", f"FailedDelete{kind}")
    for kind in _RESOURCES
}
_SHOWS = ("Ingress", "Route")
"""What shows the dashboard, and goes when it is no longer to be shown."""
LOOK_AGAIN = timedelta(seconds=5)

_Child = records.Meta | records.Service


def plan(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings
) -> actions.Plan:
    """Create what is missing, update what changed, delete what is no longer wanted.

    What is being deleted is waited for: a load balancer takes its time to go.
    """
    present = _present(cluster, observed)
    wanted = [content.stamped(each) for each in _wanted(cluster, observed, options)]
    leaving = head_service.leaving(cluster, observed, options=options)
    todo: list[actions.Action] = [
        _delete(each, "Service") for each in leaving if each.deletion_at is None
    ]
    waits = timedelta() if todo else None
    for manifest in wanted:
        kind = manifest["kind"]
        found = present.get((kind, manifest["metadata"]["name"]))
        if found is not None:
            if found in leaving:
                continue
            if kind != "Secret" and _is_outdated(cluster, found.annotations, manifest):
                todo.append(_update(manifest))
        elif kind == "RoleBinding" and not _has_role(present, manifest):
            waits = timedelta()  # it would be refused
        else:
            todo.append(_create(manifest))
    shown = {(each["kind"], each["metadata"]["name"]) for each in wanted}
    if _knows_exposure(cluster, observed):
        todo += [
            _delete(each, each.kind)
            for key, each in present.items()
            if isinstance(each, records.Meta)
            and each.kind in _SHOWS
            and key not in shown
            and each.deletion_at is None
        ]
    else:
        waits = LOOK_AGAIN
    return actions.joined(
        claim.plan(cluster, observed.around), actions.Plan(actions=tuple(todo), requeue_after=waits)
    )


def _present(cluster: api.RayCluster, observed: seen.Observed) -> dict[tuple[str, str], _Child]:
    found = observed.around.route
    is_ours = found is not None and found.owner and found.owner.uid == cluster.metadata.uid
    return {
        **{("Service", each.name): each for each in observed.services},
        **{(each.kind, each.name): each for each in observed.others},
        **({("Route", found.name): found} if found and is_ours else {}),
    }


def _has_role(present: Mapping[tuple[str, str], _Child], binding: Mapping[str, Any]) -> bool:
    return ("Role", binding["roleRef"]["name"]) in present


def _knows_exposure(cluster: api.RayCluster, observed: seen.Observed) -> bool:
    """Tell whether it is clear what shall show the dashboard."""
    is_wanted = cluster.spec.head_group_spec.enable_ingress
    return not is_wanted or observed.around.is_openshift is not None


def _exposure(
    cluster: api.RayCluster, observed: seen.Observed, options: settings.Settings
) -> dict[str, Any] | None:
    if not _knows_exposure(cluster, observed):
        return None
    by_route = observed.around.is_openshift and not options.ingress_on_openshift
    return route.route(cluster) if by_route else ingress.ingress(cluster)


def _wanted(
    cluster: api.RayCluster, observed: seen.Observed, options: settings.Settings
) -> Iterator[dict[str, Any]]:
    if autoscaling.has_sidecar(cluster, options):
        if account := rbac.service_account(cluster):
            yield account  # first: no Pod is made before its account
        yield rbac.role(cluster)
        yield rbac.role_binding(cluster)
    if secret := auth.secret(cluster):
        yield secret
    yield head_service.wanted(cluster, observed, options=options)
    if any(groups.is_multi_host(each, options) for each in cluster.spec.worker_group_specs):
        yield desired.headless_service(cluster)
    if cluster.metadata.annotations.get(names.SERVE_SERVICE_ANNOTATION) == "true":
        serve = desired.serve_service(cluster)
        if serve is not None:
            yield serve
    if found := _exposure(cluster, observed, options):
        yield found


def _create(manifest: dict[str, Any]) -> actions.Action:
    kind = manifest["kind"]
    resource, reasons = _RESOURCES[kind], CREATE[kind]
    if kind == "Secret":
        return actions.Create(
            resource=resource, manifest=manifest, reasons=reasons, secret_key=auth.TOKEN_KEY
        )
    return actions.Apply(resource=resource, manifest=manifest, reasons=reasons, is_new=True)


def _update(manifest: dict[str, Any]) -> actions.Action:
    kind = manifest["kind"]
    return actions.Apply(resource=_RESOURCES[kind], manifest=manifest, reasons=UPDATE[kind])


def _delete(found: _Child, kind: str) -> actions.Action:
    return actions.Delete(
        resource=_RESOURCES[kind],
        namespace=found.namespace,
        name=found.name,
        uid=found.uid,
        reasons=DELETE[kind],
        why="the spec asks for none",
    )


def _is_outdated(
    cluster: api.RayCluster, found: Mapping[str, str], wanted: Mapping[str, Any]
) -> bool:
    stamped = found.get(names.CONTENT_HASH_ANNOTATION)
    if stamped is None:
        answered = cluster.status.get("observedGeneration", cluster.metadata.generation)
        return bool(answered < cluster.metadata.generation)
    return bool(stamped != content.stamp(wanted))
