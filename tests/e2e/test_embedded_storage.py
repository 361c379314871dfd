"""A head that comes back with its state from a volume, with a Ray that has the embedded store."""

from datetime import timedelta
from typing import Any

import pytest

from tests.e2e import conftest
from tests.support import cluster as clusters
from tests.support import operators, ray

NAME = "raycluster"
VERSION = "2.60.0"
IMAGE = f"rayproject/ray:{VERSION}"
MINUTE = timedelta(minutes=1)
GATE = [{"name": "GCSFaultToleranceEmbeddedStorage", "enabled": True}]
KEEP = """
import ray
ray.init(namespace="kept", log_to_driver=False)
@ray.remote(num_cpus=0.5)
class Keeper:
    def set(self, value): self.value = value
    def get(self): return self.value
keeper = Keeper.options(name="keeper", lifetime="detached").remote()
ray.get(keeper.set.remote("still here"))
"""
ASK = """
import ray
ray.init(namespace="kept", log_to_driver=False)
keeper = ray.get_actor("keeper")
print("answer:", ray.get(keeper.get.remote()))
"""


MAY_WRITE = {
    "name": "may-write",
    "image": IMAGE,
    "command": ["chmod", "777", "/data/gcs"],
    "securityContext": {"runAsUser": 0},
    "volumeMounts": [{"name": "gcs-storage", "mountPath": "/data/gcs"}],
}
"""What fsGroup does for volumes of a storage driver."""


def volume(name: str, node: str) -> clusters.Json:
    """Return a volume in a directory of one node; root's, as the kubelet makes it."""
    on = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": name,
            "hostPath": {"path": f"/tmp/{name}", "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": on}]}},
        },
    }


def template(container: str, **fields: Any) -> clusters.Json:
    made = ray.pod_template(container, **fields)
    made["spec"]["containers"][0]["image"] = IMAGE
    return made


def python(cluster: clusters.Cluster, namespace: str, program: str) -> str:
    head = ray.head(cluster, namespace, NAME)
    where = ("-n", namespace, "exec", "-i", head, "-c", "ray-head", "--", "python", "-")
    return cluster.kubectl(*where, stdin=program)


@pytest.mark.full
def test_a_head_comes_back_with_its_state_from_a_volume(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    node = next(
        item["metadata"]["name"]
        for item in cluster.list("nodes", None)
        if not item["spec"].get("taints")
    )
    head = {
        "rayStartParams": {"num-cpus": "0"},
        "template": template("ray-head", initContainers=[MAY_WRITE]),
    }
    storage = {"size": "1Gi", "storageClassName": namespace, "deletionPolicy": "Retain"}
    manifest = ray.ray_cluster(
        NAME,
        head=head,
        groups=[ray.worker_group(template=template("ray-worker"))],
        rayVersion=VERSION,
        gcsFaultToleranceOptions={"backend": "rocksdb", "storage": storage},
    )
    gated = {"featureGates": GATE}
    operators.install(cluster, namespace=conftest.OPERATOR_NAMESPACE, values=gated)
    cluster.apply(volume(namespace, node), namespace)
    try:
        cluster.apply(manifest, namespace)
        ray.wait_ready(cluster, namespace, NAME, workers=1)
        python(cluster, namespace, KEEP)

        first = ray.head(cluster, namespace, NAME)
        cluster.kubectl("-n", namespace, "delete", "pod", first, "--wait=false")
        ray.wait_ready(cluster, namespace, NAME, workers=1)
        assert ray.head(cluster, namespace, NAME) != first
        cluster.wait(
            lambda: "answer: still here" in python(cluster, namespace, ASK),
            within=2 * MINUTE,
            what="the actor's answer to the new head",
            namespace=namespace,
        )
        cluster.kubectl("-n", namespace, "delete", "raycluster", NAME, "--timeout=60s")
        cluster.wait(
            lambda: not cluster.list("pods", namespace),
            within=2 * MINUTE,
            what="no Pods",
            namespace=namespace,
        )
        claim = cluster.get("persistentvolumeclaims", namespace, f"{NAME}-gcs-pvc") or {}
        assert claim["status"]["phase"] == "Bound"
        assert "deletionTimestamp" not in claim["metadata"]
    finally:
        cluster.kubectl("delete", "pv", namespace, "--wait=false")
        operators.install(cluster, namespace=conftest.OPERATOR_NAMESPACE)
    assert operator.pods()
