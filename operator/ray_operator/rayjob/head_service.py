"""The Service that leads to the head of whichever attempt runs, under a name that stays.

Owns: its manifest, and when it follows to another cluster. Does not own: what a head Service looks
like (`raycluster.services`). Invariant: the operator itself doesn't use it.
Source: KubeRay 1.7, head Service of a RayJob.
"""

from typing import Any

from ray_operator import actions, names, records, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.raycluster import services
from ray_operator.rayjob import children
from ray_operator.rayjob.observed import Observed

_PORT = 8265


def manifest(
    job: api.RayJob, cluster: cluster_api.RayCluster, *, options: settings.Settings
) -> dict[str, Any]:
    """Return the Service for the head of that cluster."""
    spec = dict(services.head_service(cluster, settings=options)["spec"])
    labels = {
        **{key: names.label_value(text) for key, text in children.origin(job).items()},
        names.NODE_TYPE_LABEL: names.HEAD,
        names.IDENTIFIER_LABEL: names.identifier(job.metadata.name, names.HEAD),
    }
    name = names.head_service(job.metadata.name)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": children.metadata(job, name=name, labels=labels),
        "spec": spec,
    }


def dashboard(cluster: cluster_api.RayCluster, *, options: settings.Settings) -> str:
    """Return where the dashboard is, `host:port`, by the cluster's own head Service."""
    service = services.head_service(cluster, settings=options)
    metadata, ports = service["metadata"], service["spec"]["ports"]
    host = names.fqdn(metadata["name"], metadata["namespace"], options.cluster_domain)
    port = next((each["port"] for each in ports if each.get("name") == "dashboard"), _PORT)
    return f"{host}:{port}"


def plan(
    job: api.RayJob,
    observed: Observed,
    *,
    options: settings.Settings,
) -> tuple[actions.Action, ...]:
    """Make it, or have it follow to the present cluster; else leave it as it is."""
    cluster, found = observed.cluster, observed.service
    if cluster is None or (
        found is not None and found.selector.get(names.CLUSTER_LABEL) == cluster.metadata.name
    ):
        return ()
    wanted = manifest(job, cluster, options=options)
    if found is None:
        return (
            actions.Apply(
                resource=records.SERVICES, manifest=wanted, reasons=children.SERVICE, is_new=True
            ),
        )
    if (found.cluster_ip == "None") is not (wanted["spec"].get("clusterIP") == "None"):
        wanted["spec"].pop("clusterIP", None)  # it can't change; the rest can
    return (
        actions.Apply(resource=records.SERVICES, manifest=wanted, reasons=children.SERVICE_UPDATED),
    )
