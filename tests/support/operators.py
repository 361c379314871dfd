"""The operator as users install it: by Helm, in a Pod, under its own service account.

Owns: installing, scaling and removing a release. Does not own: the image (`make images`).
Invariant: an operator is stopped before its rights are taken, so that its last requests, the
release of the lease for one, are not refused.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support import cluster as clusters

CHART = Path(__file__).parents[2] / "charts/ray-operator"
NAME = "kuberay-operator"
START = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An installed operator; `service_account` is the name its requests are made under."""

    cluster: clusters.Cluster
    namespace: str
    service_account: str = NAME

    @property
    def user(self) -> str:
        """Name of the operator in the API server's audit log."""
        return f"system:serviceaccount:{self.namespace}:{self.service_account}"

    def pods(self) -> list[clusters.Json]:
        """Return the operator's Pods."""
        return self.cluster.list("pods", self.namespace, labels=clusters.OPERATOR_PODS)

    def log(self) -> str:
        """Return the logs of the operator's running containers."""
        return "".join(
            self.cluster.kubectl("-n", self.namespace, "logs", pod["metadata"]["name"])
            for pod in self.pods()
        )

    def scale(self, replicas: int) -> None:
        """Scale the operator and wait until exactly so many Pods are there and ready."""
        self.cluster.kubectl(
            "-n", self.namespace, "scale", "deployment", NAME, f"--replicas={replicas}"
        )
        self.wait_ready(replicas)

    def wait_ready(self, replicas: int) -> None:
        """Wait until exactly so many Pods are there, all ready."""

        def is_so() -> bool:
            pods = self.pods()
            return len(pods) == replicas and all(_is_ready(pod) for pod in pods)

        what = f"{replicas} operator Pods ready in {self.namespace}"
        self.cluster.wait(is_so, within=START, what=what, namespace=self.namespace)

    def uninstall(self) -> None:
        """Stop the operator, then remove what Helm installed."""
        self.scale(0)
        self.cluster.helm("uninstall", NAME, "-n", self.namespace, "--wait")


_always: dict[str, Any] = {}


@contextmanager
def always(values: Mapping[str, Any]) -> Iterator[None]:
    """Have these values in force for whatever is installed within, and no others by this."""
    before = dict(_always)
    try:
        _always.clear()
        _always.update(values)
        yield
    finally:
        _always.clear()
        _always.update(before)


def install(
    cluster: clusters.Cluster, *, namespace: str, values: Mapping[str, Any] | None = None
) -> Operator:
    """Install the chart, or upgrade to it, restart the Pods, and wait until they are ready.

    `values` come on top of those that are in force `always`. Values for `crds` leave the CRDs to
    the chart.
    """
    chosen = {**_image(), **_always, **(values or {})}
    arguments = [f"--set-json={name}={json.dumps(value)}" for name, value in chosen.items()]
    if "crds" not in chosen:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CHART / "crds"))
    where = ("-n", namespace)
    options = ("--create-namespace", "--reset-values")
    cluster.helm("upgrade", "--install", NAME, str(CHART), *where, *options, *arguments)
    # The image's tag is always the same: restart, so that the newest build is tested.
    cluster.kubectl(*where, "rollout", "restart", "deployment", NAME)
    cluster.kubectl(*where, "rollout", "status", "deployment", NAME, "--timeout=120s")
    account = chosen.get("serviceAccount", {}).get("name", NAME)
    operator = Operator(cluster=cluster, namespace=namespace, service_account=account)
    operator.wait_ready(int(chosen.get("replicas", 1)))
    return operator


def is_installed(cluster: clusters.Cluster, namespace: str) -> bool:
    """Tell whether our release is in the namespace."""
    return NAME in cluster.helm("list", "-n", namespace, "--short", "--all").split()


def others(cluster: clusters.Cluster, namespace: str) -> list[str]:
    """Name the operators for Ray outside a namespace, as `namespace/name`; they would interfere."""
    labels = "app.kubernetes.io/name in (kuberay-operator,kuberay)"
    found = [item["metadata"] for item in cluster.list("deployments", None, labels=labels)]
    return [f"{m['namespace']}/{m['name']}" for m in found if m["namespace"] != namespace]


@contextmanager
def paused(operator: Operator) -> Iterator[None]:
    """Have the operator out of the way, for a test that runs another one."""
    replicas = len(operator.pods())
    operator.scale(0)
    try:
        yield
    finally:
        operator.scale(replicas)


def _image() -> dict[str, Any]:
    reference = os.environ.get("OPERATOR_IMAGE", "")
    repository, _, tag = reference.rpartition(":")
    return {"image.repository": repository, "image.tag": tag} if reference else {}


def _is_ready(pod: clusters.Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return not pod["metadata"].get("deletionTimestamp") and any(
        item["type"] == "Ready" and item["status"] == "True" for item in conditions
    )
