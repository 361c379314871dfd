"""The Ingress of the head's dashboard.

Owns: its manifest, and what a Route shares with it. Does not own: when it is made (`children`).
Source: KubeRay 1.7, head Ingress; annotations that are kubectl's or ours stay on the RayCluster.
"""

from typing import Any

from ray_operator import names
from ray_operator.api import options
from ray_operator.api import raycluster as api
from ray_operator.raycluster import metadata, rayparams, services

_NOT_COPIED = (
    *("kubectl.kubernetes.io/", "ray.io/", "ray-operator.io/"),
    names.INGRESS_CLASS_ANNOTATION,
)


def ingress(cluster: api.RayCluster) -> dict[str, Any] | None:
    """Return the Ingress, None when the user doesn't want one."""
    head = cluster.spec.head_group_spec
    if not head.enable_ingress:
        return None
    given = head.ingress_options or options.IngressOptions()
    backend = {
        "service": {
            "name": rayparams.head_service_name(cluster),
            "port": {"number": dashboard_port(cluster)},
        }
    }
    path = {
        "path": given.path or "/",
        "pathType": given.path_type or "Prefix",
        "backend": backend,
    }
    rule = {**({"host": given.host} if given.host else {}), "http": {"paths": [path]}}
    class_name = cluster.metadata.annotations.get(names.INGRESS_CLASS_ANNOTATION)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata.child(
            cluster,
            {"name": names.legacy(f"{cluster.metadata.name}-head-ingress")},
            labels=labels(cluster),
            annotations=copied_annotations(cluster),
        ),
        "spec": {
            **({"ingressClassName": class_name} if class_name else {}),
            "rules": [rule],
            **({"tls": given.tls} if given.tls else {}),
        },
    }


def dashboard_port(cluster: api.RayCluster) -> int:
    """Return the port of the dashboard."""
    return services.head_ports(cluster.spec.head_group_spec).get("dashboard", 8265)


def labels(cluster: api.RayCluster) -> dict[str, str]:
    """Return the labels of Ingress and Route."""
    return {
        names.CLUSTER_LABEL: cluster.metadata.name,
        names.IDENTIFIER_LABEL: names.identifier(cluster.metadata.name, names.HEAD),
        names.APP_NAME_LABEL: names.APP_NAME,
        names.CREATED_BY_LABEL: names.CREATED_BY,
    }


def copied_annotations(cluster: api.RayCluster) -> dict[str, str]:
    """Return the cluster's annotations without those that are meant for it alone."""
    return {
        key: text
        for key, text in cluster.metadata.annotations.items()
        if not key.startswith(_NOT_COPIED)
    }
