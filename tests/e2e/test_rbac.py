"""The operator's rights are enough, and no more than it says it needs."""

from datetime import datetime, timedelta

import pytest

from ray_operator import permissions
from scripts import generate
from tests.support import audit as audits
from tests.support import cluster as clusters
from tests.support import operators, ray

CRIPPLED = "crippled-operator"
RIGHT_LESS = ("pods", "create")
MINUTE = timedelta(minutes=1)


def _role(namespace: str, *, without: tuple[str, str]) -> list[clusters.Json]:
    """Return a Role of all the operator's rights in a namespace but one, and its binding."""
    table = [
        item._replace(verbs=tuple(verb for verb in item.verbs if (item.resource, verb) != without))
        for item in permissions.OPERATOR
    ]
    assert table != list(permissions.OPERATOR)
    api, metadata = "rbac.authorization.k8s.io/v1", {"name": CRIPPLED, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": CRIPPLED}
    subject = {"kind": "ServiceAccount", "name": CRIPPLED, "namespace": namespace}
    return [
        {"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": generate.rules(table)},
        {
            "apiVersion": api,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": reference,
            "subjects": [subject],
        },
    ]


def test_missing_right_is_told(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str, audit: audits.Log
) -> None:
    """Proves that the look at the audit log below can fail; and that users are told."""
    for item in _role(namespace, without=RIGHT_LESS):
        cluster.apply(item, namespace)
    values = {
        "singleNamespaceInstall": True,
        "watchNamespace": [],
        "crNamespacedRbacEnable": False,
        "serviceAccount": {"create": True, "name": CRIPPLED},
    }
    with operators.paused(operator):
        crippled = operators.install(cluster, namespace=namespace, values=values)
        cluster.apply(ray.ray_cluster(groups=[]), namespace)

        def is_told() -> bool:
            found = cluster.get("rayclusters", namespace, "raycluster") or {}
            failure = ray.condition(found.get("status", {}), "ReplicaFailure")
            return failure.get("status") == "True" and "forbidden" in failure["message"]

        what = "a condition that names the missing right"
        cluster.wait(is_told, within=MINUTE, what=what, namespace=namespace)
        crippled.uninstall()
    denied = {(request.resource, request.verb) for request in audit.denied(CRIPPLED)}
    assert denied == {RIGHT_LESS}


@pytest.mark.last
def test_operator_was_never_denied(operator: operators.Operator, audit: audits.Log) -> None:
    """From its installation on: those of journeys before lose their rights before they end."""
    found = operator.cluster.get("deployments", operator.namespace, operators.NAME) or {}
    since = audit.later(datetime.fromisoformat(found["metadata"]["creationTimestamp"]))
    assert since.writes(operator.user), "the audit log doesn't show the operator at all"
    assert since.denied(operators.NAME) == []
