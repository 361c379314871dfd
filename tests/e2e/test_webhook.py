"""The admission webhook as Helm installs it, with the certificate that the chart makes."""

from datetime import timedelta

from tests.support import cluster as clusters
from tests.support import kills, operators
from tests.support.rulebook import example

ON = {"webhook.enabled": True}


def certificate(operator: operators.Operator) -> dict[str, str]:
    found = operator.cluster.get("secrets", operator.namespace, f"{operators.NAME}-webhook")
    assert found is not None
    data: dict[str, str] = found["data"]
    return data


def refusal(cluster: clusters.Cluster, namespace: str, changes: example.Json) -> str:
    return cluster.dry_run(example.manifest("RayCluster", changes), namespace=namespace)


def test_it_refuses_at_once_and_keeps_its_certificate(
    operator: operators.Operator, namespace: str
) -> None:
    cluster = operator.cluster
    with kills.reinstalled(operator, ON):
        cluster.wait(
            lambda: example.NO_RESOURCES_SAID in refusal(cluster, namespace, example.NO_RESOURCES),
            within=timedelta(seconds=60),
            what="a refusal by the webhook",
            namespace=namespace,
        )
        cluster.wait(
            lambda: not refusal(cluster, namespace, {}),
            within=timedelta(seconds=60),
            what="a good manifest let through",
            namespace=namespace,
        )
        before = certificate(operator)
        operators.install(cluster, namespace=operator.namespace, values={**ON, "replicas": 1})
        assert certificate(operator) == before
    assert not refusal(cluster, namespace, example.NO_RESOURCES), (
        "without it a condition tells, later"
    )
