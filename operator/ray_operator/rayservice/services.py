"""The two Services of a RayService: under their names whichever cluster serves is found.

Owns: what they look like, where they lead, and when they are made, changed or removed. Does not
own: when traffic may move (`traffic`). Invariant: once made they lead to a cluster that serves, or
served last, and never away from it but to one that is ready; names and addresses stay.
Source: KubeRay 1.7, Services of RayServices.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray_operator import actions, content, names, ownership, records
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayservice as api
from ray_operator.raycluster import reach
from ray_operator.raycluster import services as cluster_services
from ray_operator.rayservice import reasons
from ray_operator.rayservice.case import Case


def serve_name(service: api.RayService) -> str:
    """Name the serve Service: as the user did, or after the RayService."""
    given = (service.spec.serve_service or {}).get("metadata") or {}
    return str(given.get("name") or names.serve_service(service.metadata.name))


def leading(service: api.RayService, found: Sequence[records.Service]) -> records.Service | None:
    """Return the serve Service, of an earlier name while there is none of the present one."""
    ours = {each.name: each for each in found if names.SERVE_LABEL in each.labels}
    return ours.get(serve_name(service)) or next(iter(ours.values()), None)


def target(case: Case) -> str:
    """Return the cluster that the serve Service leads to; `""` while there is no such Service."""
    found = leading(case.service, case.observed.services)
    return found.selector.get(names.CLUSTER_LABEL, "") if found else ""


def plan(case: Case, cluster: cluster_api.RayCluster) -> tuple[actions.Action, ...]:
    """Have both lead to that cluster, and look as the spec says."""
    return (*_replaced(case, cluster), *_applied(case, cluster), *_renamed(case, cluster))


def delete(found: records.Service, why: str) -> actions.Delete:
    """Return what deletes one of the Services."""
    return actions.Delete(
        resource=records.SERVICES,
        namespace=found.namespace,
        name=found.name,
        uid=found.uid,
        reasons=reasons.SERVICE_DELETED,
        why=why,
    )


def serve_service(
    service: api.RayService, cluster: cluster_api.RayCluster
) -> dict[str, Any] | None:
    """Return the serve Service for that cluster; None when it would have no ports."""
    given = service.spec.serve_service or {}
    metadata, spec = given.get("metadata") or {}, given.get("spec") or {}
    ports = _ports(cluster, spec.get("ports") or [])
    if not ports:
        return None
    kind = spec.get("type") or cluster.spec.head_group_spec.service_type
    labels = {
        **(metadata.get("labels") or {}),
        **ownership.origin(service),
        names.SERVE_LABEL: names.label_value(f"{service.metadata.name}-serve"),
    }
    selector = {names.CLUSTER_LABEL: cluster.metadata.name, names.SERVE_LABEL: "true"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": ownership.metadata(
            service,
            name=serve_name(service),
            labels=labels,
            annotations=metadata.get("annotations"),
        ),
        "spec": {
            **spec,
            **({"type": kind} if kind else {}),
            "selector": selector,
            "ports": ports,
        },
    }


def _ports(cluster: cluster_api.RayCluster, given: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the ports of Serve by name, as the user has them if so, and the user's others.

    Of two for one number the first stays: the API server takes no more.
    """
    named = {each.get("name"): dict(each) for each in given}
    found = cluster_services.serve_ports(cluster.spec.head_group_spec)
    ours = [
        named.get(name) or {"name": name, "port": found[name], "targetPort": found[name]}
        for name in sorted(found)
    ]
    others = (
        {**each, "name": each.get("name") or f"port-{each.get('port')}"}
        for each in given
        if each.get("name") not in found
    )
    taken: dict[tuple[Any, Any], dict[str, Any]] = {}
    for each in (*ours, *others):
        taken.setdefault((each.get("port"), each.get("protocol", "TCP")), each)
    return list(taken.values())


def _applied(case: Case, cluster: cluster_api.RayCluster) -> Iterator[actions.Action]:
    serve = serve_service(case.service, cluster)
    head = reach.service(case.service, cluster, options=case.options)
    for each in (head, *([_for_now(case, serve)] if serve else [])):
        manifest = content.stamped(each)
        found = case.observed.service(manifest["metadata"]["name"])
        if found is None:
            yield actions.Apply(
                resource=records.SERVICES, manifest=manifest, reasons=reasons.SERVICE, is_new=True
            )
        elif _is_outdated(case, found, manifest):
            is_headless = found.cluster_ip == "None"
            if is_headless and manifest["spec"].get("type", "ClusterIP") != "ClusterIP":
                yield delete(found, "without an address it can't be of another type")
                continue
            if is_headless is not (manifest["spec"].get("clusterIP") == "None"):
                manifest["spec"].pop("clusterIP", None)  # it can't change; the rest can
            yield actions.Apply(
                resource=records.SERVICES, manifest=manifest, reasons=reasons.SERVICE_UPDATED
            )


def _is_outdated(case: Case, found: records.Service, wanted: Mapping[str, Any]) -> bool:
    """Tell whether one has to change; another operator's only when it leads elsewhere."""
    cluster = wanted["spec"]["selector"][names.CLUSTER_LABEL]
    if found.selector.get(names.CLUSTER_LABEL) != cluster:
        return True
    stamped = found.annotations.get(names.CONTENT_HASH_ANNOTATION)
    if stamped is not None:
        return stamped != content.stamp(wanted)
    answered = case.service.status.get("observedGeneration", case.service.metadata.generation)
    return bool(answered < case.service.metadata.generation)


def _replaced(case: Case, cluster: cluster_api.RayCluster) -> Iterator[actions.Action]:
    """Have the serve Service of an earlier name lead on until that of the present one is there.

    That may never be, if its name is taken. Where it is to have the same address, which can't be
    given later, the earlier one goes first.
    """
    found = leading(case.service, case.observed.services)
    wanted = serve_service(case.service, cluster)
    if found is None or wanted is None or found.name == wanted["metadata"]["name"]:
        return
    if found.cluster_ip not in {"", "None"} and wanted["spec"].get("clusterIP") == found.cluster_ip:
        yield delete(found, f"{wanted['metadata']['name']} is to have its address")
    elif found.selector.get(names.CLUSTER_LABEL) != cluster.metadata.name:
        yield actions.Patch(
            resource=records.SERVICES,
            namespace=found.namespace,
            name=found.name,
            uid=found.uid,
            change={"spec": {"selector": wanted["spec"]["selector"]}},
            reasons=reasons.SERVICE_UPDATED,
            is_told=True,
        )


def _for_now(case: Case, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the serve Service without the node ports that one of an earlier name still has."""
    spec = wanted["spec"]
    held = {port.node_port for each in _earlier(case) for port in each.ports}
    ports = [
        {key: value for key, value in port.items() if key != "nodePort" or value not in held}
        for port in spec["ports"]
    ]
    return {**wanted, "spec": {**spec, "ports": ports}}


def _renamed(case: Case, cluster: cluster_api.RayCluster) -> Iterator[actions.Action]:
    """Remove the serve Service of an earlier name, once that of the present name leads on."""
    name = serve_name(case.service)
    found = case.observed.service(name)
    if found is None or found.selector.get(names.CLUSTER_LABEL) != cluster.metadata.name:
        return
    for each in _earlier(case):
        yield delete(each, f"it is {name} now")


def _earlier(case: Case) -> list[records.Service]:
    """Return the serve Services of other names than the present one."""
    name, found = serve_name(case.service), case.observed.services
    return [each for each in found if names.SERVE_LABEL in each.labels and each.name != name]
