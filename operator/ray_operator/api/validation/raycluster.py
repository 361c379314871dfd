"""All rules of a RayCluster, and of the cluster within another kind.

Source: KubeRay 1.7, validation of RayCluster.
"""

from collections.abc import Iterator, Mapping

from ray_operator import features, names
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import (
    autoscaling,
    fault_tolerance,
    forms,
    groups,
    history,
    meta,
    security,
    upgrade,
)


def errors(
    cluster: api.RayCluster, enabled: features.Features = features.DEFAULT
) -> list[FieldError]:
    """List all that is wrong, with the feature gates that are on."""
    creator = cluster.metadata.labels.get(names.ORIGIN_KIND_LABEL, "")
    return [
        *meta.name("RayCluster", cluster.metadata),
        *spec_errors(cluster.spec, "spec", cluster.metadata.annotations, enabled),
        *upgrade.errors(cluster.spec, "spec", creator=creator),
    ]


def warnings(cluster: api.RayCluster) -> list[FieldError]:
    """List what works, and hardly as meant."""
    if forms.cluster(cluster.spec, "spec"):
        return []
    return [*autoscaling.warnings(cluster.spec, "spec"), *_serve_port(cluster)]


def _serve_port(cluster: api.RayCluster) -> Iterator[FieldError]:
    head, key = cluster.spec.head_group_spec, names.SERVE_SERVICE_ANNOTATION
    if cluster.metadata.annotations.get(key) != "true" or not head.containers:
        return
    ports = head.ray_container.get("ports") or [{"name": "serve"}]
    if not any(f"{each.get('name')}-".startswith("serve-") for each in ports):
        message = "makes no Service: name a port of the head's Ray container serve, or serve-…"
        yield FieldError(f"metadata.annotations[{key}]", message, Rule.SERVE_PORT)


def spec_errors(
    spec: api.RayClusterSpec,
    at: str,
    annotations: Mapping[str, str],
    enabled: features.Features,
) -> Iterator[FieldError]:
    """Check the cluster spec at that path; the annotations are the outermost resource's."""
    if malformed := forms.cluster(spec, at):
        yield from malformed
        return
    yield from groups.errors(spec, at)
    yield from autoscaling.errors(spec, at, enabled)
    yield from fault_tolerance.errors(spec, at, annotations, enabled)
    yield from history.errors(spec, at, enabled)
    yield from security.errors(spec, at, enabled)
