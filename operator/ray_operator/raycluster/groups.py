"""How many Pods a worker group shall have: replicas held between their bounds, times hosts.

Owns: the counts of one group and of several. Does not own: which Pods come or go (`plan`).
Invariant: every count is at least 0, and a spec outside its bounds is clamped, never an error.
Source: KubeRay 1.7, desired worker count.
"""

from collections.abc import Iterable

from ray_operator import features, settings
from ray_operator.api import base
from ray_operator.api import raycluster as api


def hosts(group: api.WorkerGroupSpec) -> int:
    """Count the Pods of one replica; anything below 1 reads as 1."""
    return max(1, group.num_of_hosts)


def is_multi_host(group: api.WorkerGroupSpec, options: settings.Settings) -> bool:
    """Tell whether the Pods of a replica come and go together."""
    return hosts(group) > 1 and features.Feature.MULTI_HOST_INDEXING in options.feature_gates


def desired_replicas(group: api.WorkerGroupSpec) -> int:
    """Count the replicas that shall run: 0 when suspended.

    The lower bound wins where the bounds contradict each other.
    """
    if group.suspend:
        return 0
    return max(0, group.min_replicas, min(group.replicas, group.max_replicas))


def desired_pods(group: api.WorkerGroupSpec) -> int:
    """Count the Pods that shall run."""
    return desired_replicas(group) * hosts(group)


def min_pods(groups: Iterable[api.WorkerGroupSpec]) -> int:
    """Sum the fewest Pods that the groups may have; suspended groups count 0."""
    return sum(max(0, group.min_replicas) * hosts(group) for group in groups if not group.suspend)


def max_pods(groups: Iterable[api.WorkerGroupSpec]) -> int:
    """Sum the most Pods that the groups may have, at most an int32; suspended groups count 0."""
    total = sum(max(0, group.max_replicas) * hosts(group) for group in groups if not group.suspend)
    return min(total, base.INT32_MAX)


def listed(group: api.WorkerGroupSpec) -> frozenset[str]:
    """Return the names of the Pods that the autoscaler wants gone."""
    return frozenset(group.scale_strategy.workers_to_delete if group.scale_strategy else ())
