"""What Pods ask of Kubernetes: container resources as quantities, and the cluster's total.

Owns: reading container resources and summing them up for the status. Does not own: Ray's logical
resources (`rayparams`). Invariant: unreadable quantities count as nothing here; `api.validate`
reports them. Source: KubeRay 1.7, desired resources of the status.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ray_operator import quantity
from ray_operator.api import raycluster as api
from ray_operator.raycluster import groups

TPU = "google.com/tpu"
_MIG = re.compile(r"nvidia\.com/mig-\d+g\.\d+gb$")


class Totals(NamedTuple):
    """Resources of a whole cluster as canonical quantities; `0` when there is nothing."""

    cpu: str
    memory: str
    gpu: str
    tpu: str


def is_gpu(name: str) -> bool:
    """Tell whether a resource name means GPUs, whole or slices of one."""
    return name.endswith("gpu") or _MIG.search(name) is not None


def amount(listed: Mapping[str, Any] | None, name: str) -> quantity.Quantity:
    """Read one entry of a resource list; missing and unreadable ones are zero."""
    try:
        return quantity.parse((listed or {}).get(name) or 0)
    except ValueError:
        return quantity.ZERO


def limits(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container's limits, empty when it has none."""
    return (container.get("resources") or {}).get("limits") or {}


def requests(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container's requests, empty when it has none."""
    return (container.get("resources") or {}).get("requests") or {}


def limit_or_request(container: Mapping[str, Any], name: str) -> quantity.Quantity:
    """Return the limit unless it is zero, else the request."""
    return amount(limits(container), name) or amount(requests(container), name)


def pod_resources(group: api.GroupSpec) -> dict[str, quantity.Quantity]:
    """Sum over the template's containers, for each resource the request, else the limit.

    Init containers and what the operator injects don't count.
    """
    return _sum(
        {name: amount({**limits(container), **requests(container)}, name)}
        for container in group.containers
        for name in sorted({*limits(container), *requests(container)})
    )


def totals(cluster: api.RayCluster) -> Totals:
    """Sum what the head and all desired workers ask for."""
    spec = cluster.spec
    summed = _sum(
        [
            pod_resources(spec.head_group_spec),
            *(
                {name: each * groups.desired_pods(group) for name, each in pod.items()}
                for group in spec.worker_group_specs
                for pod in [pod_resources(group)]
            ),
        ]
    )
    gpus = quantity.total(each for name, each in sorted(summed.items()) if is_gpu(name))
    return Totals(
        cpu=str(summed.get("cpu", quantity.ZERO)),
        memory=str(summed.get("memory", quantity.ZERO)),
        gpu=str(gpus),
        tpu=str(summed.get(TPU, quantity.ZERO)),
    )


def _sum(parts: Iterable[Mapping[str, quantity.Quantity]]) -> dict[str, quantity.Quantity]:
    summed: dict[str, quantity.Quantity] = defaultdict(lambda: quantity.ZERO)
    for part in parts:
        for name, each in part.items():
            summed[name] += each
    return dict(summed)
