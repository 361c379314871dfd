"""The shape of the cluster: nodes, addresses, versions.

Owns every number that two components must agree on. Deliberately reads nothing but the CPU count.
Invariant: all addresses exist only inside the cluster's network namespace, so none can collide
with the host's; 192.0.2.0/24 is reserved for documentation, so none hides an outside address.
"""

import dataclasses
import math
import os

KUBERNETES_VERSION = "v1.34.4"

API_ADDRESS = "192.0.2.250"
API_PORT = 6443
SERVICE_CIDR = "10.96.0.0/16"
SERVICE_API_ADDRESS = "10.96.0.1"
SERVICE_DNS_ADDRESS = "10.96.0.10"
POD_CIDR = "10.244.0.0/16"
OUTSIDE_DNS_ADDRESS = "10.0.2.3"
OUTSIDE_LINK = "tap0"

MIN_NODES = 3
MIN_CPUS = 6
MAX_PODS = 200


@dataclasses.dataclass(frozen=True)
class Node:
    """Describe one node: a containerd and a kubelet of its own; `index` counts from 1."""

    index: int

    @property
    def name(self) -> str:
        """Name the node as Kubernetes knows it."""
        return f"node-{self.index}"

    @property
    def address(self) -> str:
        """Give the InternalIP, on which this node's kubelet listens."""
        return f"192.0.2.{self.index}"

    @property
    def pod_cidr(self) -> str:
        """Give the range of this node's Pods."""
        return f"10.244.{self.index}.0/24"

    @property
    def containerd_socket(self) -> str:
        """Give the CRI socket's path inside the cluster's mount namespace."""
        return f"/run/containerd-{self.name}.sock"


def nodes(cpus: int | None = None) -> tuple[Node, ...]:
    """List the nodes: at least three, and enough that their CPUs sum up to six.

    Every kubelet reports all CPUs of the machine (`cpus`; None reads it).
    """
    have = cpus or os.cpu_count() or 1
    count = max(MIN_NODES, math.ceil(MIN_CPUS / have))
    return tuple(Node(index) for index in range(1, count + 1))
