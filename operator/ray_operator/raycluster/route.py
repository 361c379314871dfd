"""The OpenShift Route of the head's dashboard.

Owns: its manifest. Does not own: whether there is a Route or an Ingress (`children`). Source:
KubeRay 1.7, head Route.
"""

from typing import Any

from ray_operator import names
from ray_operator.api import raycluster as api
from ray_operator.raycluster import ingress, metadata, rayparams


def name(cluster: api.RayCluster) -> str:
    """Name the Route."""
    return names.route(cluster.metadata.name, cluster.metadata.namespace)


def route(cluster: api.RayCluster) -> dict[str, Any] | None:
    """Return the Route, None when the user doesn't want one."""
    if not cluster.spec.head_group_spec.enable_ingress:
        return None
    service = {"kind": "Service", "name": rayparams.head_service_name(cluster), "weight": 100}
    return {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": metadata.child(
            cluster,
            {"name": name(cluster)},
            labels=ingress.labels(cluster),
            annotations=ingress.copied_annotations(cluster),
        ),
        "spec": {
            "to": service,
            "port": {"targetPort": ingress.dashboard_port(cluster)},
            "wildcardPolicy": "None",
        },
    }
