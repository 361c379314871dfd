"""Nodes that will soon be gone, as those say who take them away: by a taint.

Owns: watching nodes, and which taints mean that. Does not own: what becomes of their Pods
(`raycluster.nodes`). Invariant: without the right to watch nodes all works, only workers on such a
node learn of their end when their Pods are deleted.
Source: documentation of the cluster autoscaler, Karpenter, the AWS node termination handler, GKE
and Kubernetes.
"""

from collections.abc import Callable, Iterable

import msgspec

from ray_operator import informers, kube, listwatch, records, wire

TAINTS = (
    "ToBeDeletedByClusterAutoscaler",
    "aws-node-termination-handler/",
    "cloud.google.com/impending-node-termination",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "node.cloudprovider.kubernetes.io/shutdown",
    "node.kubernetes.io/out-of-service",
)
"""Keys, or how they begin."""


class _Taint(msgspec.Struct):
    key: str = ""


class _Spec(msgspec.Struct):
    taints: list[_Taint] = []


class _Node(msgspec.Struct):
    metadata: wire.Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


def node(data: bytes | msgspec.Raw) -> records.Node:
    """Decode a node's JSON."""
    found = msgspec.json.decode(data, type=_Node)
    doom = next((each.key for each in found.spec.taints if each.key.startswith(TAINTS)), "")
    return records.Node(found.metadata.name, found.metadata.resource_version, doom)


class DoomedNodes(listwatch.ListWatch[records.Node]):
    """Keep the nodes that go; `changed` is told of the owners of Pods on them."""

    forbidden_pause_seconds = 300.0

    def __init__(
        self,
        client: kube.Kube,
        *,
        pods: informers.Children[records.Pod],
        changed: Callable[[records.Key], None],
    ) -> None:
        super().__init__(client, records.NODES, namespace=None, decode=node)
        self._pods = pods
        self._changed = changed
        self._dooms: dict[str, str] = {}

    def among(self, pods: Iterable[records.Pod]) -> dict[str, str]:
        """Return those that one of the Pods is on, and why they go."""
        if not self._dooms:
            return {}
        return {pod.node: self._dooms[pod.node] for pod in pods if pod.node in self._dooms}

    def _listed(self, items: list[records.Node], *, version: str) -> None:
        del version
        self._dooms.clear()
        for item in items:
            self._came(item)

    def _came(self, item: records.Node) -> None:
        if not item.doom:
            self._dooms.pop(item.name, None)
        elif self._dooms.get(item.name) != item.doom:
            self._dooms[item.name] = item.doom
            for pod in self._pods.all():
                if pod.node == item.name and pod.owner is not None:
                    self._changed(records.Key(pod.owner.kind, pod.namespace, pod.owner.name))

    def _gone(self, item: records.Node) -> None:
        self._dooms.pop(item.name, None)
