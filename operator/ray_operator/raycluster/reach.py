"""How a cluster's head is reached from elsewhere than the cluster's own passes.

Owns: the address of the dashboard by the head Service, the head as pollers know it, and a Service
under another one's name that leads to it. Does not own: asking (`heads`). Invariant: what is asked
of a head goes by the cluster's own Service, which leads to no other.
Source: KubeRay 1.7, head Services of RayJobs and RayServices.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import names, ownership, ray_records, records, settings
from ray_operator.api import base
from ray_operator.api import raycluster as api
from ray_operator.raycluster import auth, services
from ray_operator.raycluster import observed as seen

_DASHBOARD_PORT = 8265
_OF_ONE_ALONE = ("clusterIP", "clusterIPs", "loadBalancerIP", "healthCheckNodePort", "nodePort")


def dashboard(cluster: api.RayCluster, *, options: settings.Settings) -> str:
    """Return where the dashboard is, `host:port`, by the cluster's own head Service."""
    service = services.head_service(cluster, settings=options)
    metadata, ports = service["metadata"], service["spec"]["ports"]
    host = names.fqdn(metadata["name"], metadata["namespace"], options.cluster_domain)
    found = (each["port"] for each in ports if each.get("name") == "dashboard")
    return f"{host}:{next(found, _DASHBOARD_PORT)}"


def head(
    cluster: api.RayCluster | None, pod: records.Pod | None, address: str
) -> ray_records.RayHead:
    """Return the head to ask at `host:port`; one that isn't there isn't up, and is to be noticed.

    `cluster` and `pod` are None where there is none (any more).
    """
    ray = pod.ray() if pod else None
    host, _, port = address.rpartition(":")
    return ray_records.RayHead(
        pod_uid=pod.uid if pod else "",
        restarts=ray.restarts if ray else 0,
        is_up=pod is not None and seen.has_ray(pod),
        host=host,
        gcs_port=0,
        dashboard_port=int(port),
        token_secret=auth.secret_name(cluster) if cluster else "",
        wants_own_token=cluster is not None and auth.needs_volume(cluster.spec),
        service=host.partition(".")[0],
    )


def service(
    maker: base.Resource, cluster: api.RayCluster, *, options: settings.Settings
) -> dict[str, Any]:
    """Return the Service of a RayJob or RayService that leads to the head of this cluster.

    It is as the user wants the cluster's own, but for its name and what only one Service can have.
    """
    name = maker.metadata.name
    given = (cluster.spec.head_group_spec.head_service or {}).get("metadata") or {}
    spec = services.head_service(cluster, settings=options)["spec"]
    labels = {
        **ownership.origin(maker),
        names.NODE_TYPE_LABEL: names.HEAD,
        names.IDENTIFIER_LABEL: names.identifier(name, names.HEAD),
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": ownership.metadata(
            maker,
            name=names.head_service(name),
            labels=labels,
            annotations={
                **(given.get("annotations") or {}),
                **cluster.spec.head_service_annotations,
            },
        ),
        "spec": {**_sharable(spec), "ports": [_sharable(port) for port in spec["ports"]]},
    }


def _sharable(given: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out addresses and ports of nodes, of which each is one Service's alone."""
    return {
        key: each
        for key, each in given.items()
        if key not in _OF_ONE_ALONE or each in ("None", ["None"])
    }
