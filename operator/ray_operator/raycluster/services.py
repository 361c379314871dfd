"""Services: the names under which workers, clients and tools find head, hosts and Serve.

Owns: their manifests. Does not own: when they are made (`plan`). Invariant: selectors hold only
labels that users can't override, so a Service never loses its head through a label of the template.
Source: KubeRay 1.7, Services.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ray_operator import names, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import containers, fault_tolerance, metadata, rayparams

HEADLESS = {"clusterIP": "None", "publishNotReadyAddresses": True}
_DEFAULT_PORTS = {"client": 10001, "gcs-server": 6379, "dashboard": 8265, "serve": 8000}


def head_service(cluster: api.RayCluster, *, settings: settings.Settings) -> dict[str, Any]:
    """Return the head Service: the user's, completed, or one that is headless by default."""
    head = cluster.spec.head_group_spec
    given = head.head_service or {}
    given_metadata = given.get("metadata") or {}
    labels = {**(given_metadata.get("labels") or {}), **_labels(cluster)}
    annotations = {
        **(given_metadata.get("annotations") or {}),
        **cluster.spec.head_service_annotations,
    }
    spec = {**(given.get("spec") or {})}
    kind = spec.get("type") or head.service_type
    if kind:
        spec["type"] = kind
    if not head.head_service and kind in {None, "", "ClusterIP"}:
        spec |= _address(cluster, settings)
    spec["selector"] = {
        names.CLUSTER_LABEL: cluster.metadata.name,
        names.NODE_TYPE_LABEL: names.HEAD,
    }
    spec["ports"] = _with_derived(spec.get("ports") or [], head)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata.child(
            cluster,
            {**given_metadata, "name": rayparams.head_service_name(cluster)},
            labels=labels,
            annotations=annotations,
        ),
        "spec": spec,
    }


def _address(cluster: api.RayCluster, settings: settings.Settings) -> dict[str, Any]:
    """Choose whether the head is found by its own address or by one that stays.

    One that stays lets workers find a head that comes back. Without it Ray 2.46 loses, on most
    tries, what its workers were to hear of new jobs, whose tasks then wait for ever: gRPC asks
    DNS again only each 30 s.
    """
    if fault_tolerance.is_on(cluster):
        return {"publishNotReadyAddresses": True}
    return {} if settings.head_cluster_ip_service else HEADLESS


def headless_service(cluster: api.RayCluster) -> dict[str, Any]:
    """Return the Service that gives each host of multi-host replicas its DNS name."""
    name = cluster.metadata.name
    labels = {names.CLUSTER_LABEL: name, names.HEADLESS_WORKERS_LABEL: name}
    selector = {names.CLUSTER_LABEL: name, names.NODE_TYPE_LABEL: names.WORKER}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata.child(
            cluster, {"name": names.headless_service(name)}, labels=labels, annotations={}
        ),
        "spec": {**HEADLESS, "selector": selector},
    }


def serve_service(cluster: api.RayCluster) -> dict[str, Any] | None:
    """Return the Service of Serve's ports on all nodes; None when the head declares none."""
    name, head = cluster.metadata.name, cluster.spec.head_group_spec
    ports = serve_ports(head)
    if not ports:
        return None
    labels = {
        names.CLUSTER_LABEL: name,
        names.ORIGIN_NAME_LABEL: name,
        names.ORIGIN_KIND_LABEL: "RayCluster",
        names.SERVE_LABEL: f"{name}-serve",
    }
    kind = {"type": head.service_type} if head.service_type else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata.child(
            cluster, {"name": names.serve_service(name)}, labels=labels, annotations={}
        ),
        "spec": {
            **kind,
            "selector": {names.CLUSTER_LABEL: name},
            "ports": [{"name": each, "port": ports[each]} for each in sorted(ports)],
        },
    }


def serve_ports(head: api.HeadGroupSpec) -> dict[str, int]:
    """Return the ports of Serve by name: `serve` and those that start with `serve-`."""
    return {
        name: number
        for name, number in head_ports(head).items()
        if name == "serve" or name.startswith("serve-")
    }


def _labels(cluster: api.RayCluster) -> dict[str, str]:
    template = cluster.spec.head_group_spec.template
    template_labels = (template.get("metadata") or {}).get("labels") or {}
    name = cluster.metadata.name
    return {
        names.CLUSTER_LABEL: name,
        names.NODE_TYPE_LABEL: names.HEAD,
        names.IDENTIFIER_LABEL: names.identifier(name, names.HEAD),
        names.APP_NAME_LABEL: template_labels.get(names.APP_NAME_LABEL, names.APP_NAME),
        names.CREATED_BY_LABEL: names.CREATED_BY,
    }


def _with_derived(
    given: Iterable[Mapping[str, Any]], head: api.HeadGroupSpec
) -> list[dict[str, Any]]:
    """Append the head's ports to the user's, except those whose name or number is taken."""
    ports = [dict(each) for each in given]
    taken_names = {each.get("name") for each in ports}
    taken_numbers = {each.get("port") for each in ports if each.get("protocol", "TCP") == "TCP"}
    for name, number in sorted(head_ports(head).items()):
        if name not in taken_names and number not in taken_numbers:
            ports.append({"name": name, "port": number, "appProtocol": "tcp"})
            taken_numbers.add(number)
    return ports


def head_ports(head: api.HeadGroupSpec) -> dict[str, int]:
    """Return the ports of the head by name: those that the Ray container declares, and metrics."""
    declared = head.ray_container.get("ports") or []
    ports = {
        each.get("name") or f"{each['containerPort']}-port": each["containerPort"]
        for each in declared
    }
    added = {each["name"]: each["containerPort"] for each in containers.metrics_ports(head)}
    return {**(ports or _DEFAULT_PORTS), **added}
