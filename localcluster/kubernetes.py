"""What the launcher asks the running cluster's API server.

Owns kubectl calls, and waiting for nodes and cluster DNS. Deliberately works for every provider.
Invariant: it only ever talks to the cluster whose kubeconfig it was given.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import time
import typing

from localcluster import commands, errors, paths, progress

_SYSTEM_MANIFEST = paths.PACKAGE / "manifests" / "system.yaml"


@dataclasses.dataclass(frozen=True)
class Client:
    """kubectl, tied to one kubeconfig."""

    kubectl: str
    kubeconfig: pathlib.Path

    def run(self, *arguments: str | os.PathLike[str]) -> str:
        """Run kubectl; raise with its output when it fails."""
        return commands.run(self.kubectl, "--kubeconfig", self.kubeconfig, *arguments)

    def get(self, *arguments: str) -> dict[str, typing.Any] | None:
        """Get an object or a list as JSON; None when the API server doesn't answer or lacks it."""
        line = [self.kubectl, "--kubeconfig", str(self.kubeconfig), "get", *arguments]
        line += ["-o", "json", "--request-timeout=5s"]
        done = subprocess.run(line, capture_output=True, check=False)
        if done.returncode != 0:
            return None
        answer: dict[str, typing.Any] = json.loads(done.stdout)
        return answer

    def apply_system(self) -> None:
        """Create or update what the cluster itself needs."""
        self.run("apply", "--server-side", "--force-conflicts", "-f", _SYSTEM_MANIFEST)


def ready_nodes(listed: dict[str, typing.Any] | None) -> dict[str, bool]:
    """Read each node's readiness from a list of nodes, by name."""
    items = listed["items"] if listed else []
    return {item["metadata"]["name"]: _is_true(item, "Ready") for item in items}


def is_available(deployment: dict[str, typing.Any] | None) -> bool:
    """Tell whether a Deployment serves."""
    return deployment is not None and _is_true(deployment, "Available")


def _is_true(item: dict[str, typing.Any], condition: str) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == condition and c["status"] == "True" for c in conditions)


def wait_for_nodes(
    client: Client, *, count: int, timeout_seconds: float, step: progress.Step
) -> None:
    """Wait until so many nodes are Ready.

    Raises:
        errors.LocalClusterError: time is up; tells how many are.
    """
    deadline = time.monotonic() + timeout_seconds
    while (ready := sum(ready_nodes(client.get("nodes")).values())) < count:
        step.detail = f"{ready} of {count} nodes Ready"
        if time.monotonic() > deadline:
            raise errors.LocalClusterError(f"timed out: {step.detail}; see `status`")
        time.sleep(0.3)


def wait_for_dns(client: Client, *, timeout_seconds: float) -> None:
    """Wait until cluster DNS serves.

    Raises:
        errors.LocalClusterError: time is up; shows the state of its Pods.
    """
    deadline = time.monotonic() + timeout_seconds
    while not is_available(client.get("deployment", "coredns", "-n", "kube-system")):
        if time.monotonic() > deadline:
            pods = client.run("describe", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns")
            tail = "\n".join(pods.splitlines()[-15:])
            raise errors.LocalClusterError(f"cluster DNS is not available\n{tail}")
        time.sleep(0.3)


def print_nodes(listed: dict[str, typing.Any] | None) -> int:
    """Print nodes with readiness and versions; return how many are Ready."""
    print("nodes:")
    for item in listed["items"] if listed else []:
        info = item["status"]["nodeInfo"]
        state = "Ready" if _is_true(item, "Ready") else "NotReady"
        versions = f"kubelet {info['kubeletVersion']}, {info['containerRuntimeVersion']}"
        print(f"  {item['metadata']['name']}: {state}, {versions}")
    return sum(ready_nodes(listed).values())
