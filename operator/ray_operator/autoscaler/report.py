"""What Ray is told of its cluster's scaling, so that its own tools tell the truth.

Owns: putting it together. Does not own: the messages (`wire_gcs`) or telling (`scaling`).
Invariant: equal decisions make equal reports, so that a standing one isn't told again and again.
Source: Ray, AutoscalerStateService; what `ray status` makes of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from ray_operator import scaling_records
from ray_operator.api import base
from ray_operator.autoscaler import amounts, explain, model, scale_up


def report(
    cluster: model.Cluster,
    solution: scale_up.Solution,
    launches: Mapping[str, int],
    *,
    stuck: Sequence[model.Worker],
    owed_since: Mapping[str, datetime],
) -> scaling_records.Report:
    """Return what is to come, what doesn't come, and what never will."""
    owed = {
        group.name: (group.owed() + launches.get(group.name, 0)) * group.hosts
        for group in cluster.groups
    }
    held = [
        scaling_records.MissingPods(each.group, 1, each.obstacle, each.created_at) for each in stuck
    ]
    if cluster.refusal:
        held += [
            scaling_records.MissingPods(name, count, cluster.refusal, owed_since[name])
            for name, count in owed.items()
            if count and name in owed_since
        ]
    return scaling_records.Report(
        requested=tuple((name, count) for name, count in owed.items() if count),
        pending=tuple(
            scaling_records.PendingPod(
                each.group, each.pod, each.ip, each.obstacle or each.phase or "pending"
            )
            for each in cluster.workers()
            if each.state is model.State.PENDING
        ),
        failed=tuple(held),
        infeasible=explain.infeasible(cluster, solution),
        infeasible_gangs=explain.infeasible_gangs(cluster, solution),
    )


def configs(cluster: model.Cluster) -> tuple[scaling_records.GroupConfig, ...]:
    """Return how large each group may get, for those of which it is known what a node has."""
    return tuple(
        scaling_records.GroupConfig(
            name=group.name,
            resources={
                name: amount / amounts.SCALE for name, amount in group.offers[0].total.items()
            },
            minimum=group.minimum * group.hosts,
            maximum=min(group.maximum * group.hosts, base.INT32_MAX),
        )
        for group in cluster.groups
        if group.offers
    )
