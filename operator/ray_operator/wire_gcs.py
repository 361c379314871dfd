"""Translate between the messages of Ray's GCS and what the operator works with.

Owns: the mapping, and which of several fields says the truth. Does not own: the calls (`gcs`) or
what is concluded (`autoscaler`). Invariant: nothing is judged or dropped here.
Source: Ray, autoscaler.proto, 2.9 to 2.60.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ray_operator import ray_records, scaling_records
from ray_operator.protos import autoscaler_pb2 as pb

MOST_TOLD = 1000
_STATUS = {
    pb.RUNNING: ray_records.NodeStatus.RUNNING,
    pb.DEAD: ray_records.NodeStatus.DEAD,
    pb.IDLE: ray_records.NodeStatus.IDLE,
    pb.DRAINING: ray_records.NodeStatus.DRAINING,
}


def state(found: pb.ClusterResourceState, *, at: datetime) -> ray_records.ResourceState:
    """Read an answer that came at that time."""
    return ray_records.ResourceState(
        at,
        tuple(_node(each) for each in found.node_states),
        demand=scaling_records.Demand(
            requests=_counted(found.pending_resource_requests),
            gangs=tuple(_gang(each) for each in found.pending_gang_resource_requests),
            constraint=tuple(
                counted
                for each in found.cluster_resource_constraints
                for counted in _counted(each.resource_requests)
            ),
        ),
        session=found.cluster_session_name,
        version=found.cluster_resource_state_version,
    )


def report(said: scaling_records.Report, *, now: datetime) -> pb.AutoscalingState:
    """Write what Ray is told; one entry a Pod to come, since Ray counts entries.

    Of a group at most `MOST_TOLD`: a mistyped number is no reason to send gigabytes.
    """
    return pb.AutoscalingState(
        autoscaler_state_version=int(now.timestamp() * 1000),
        pending_instance_requests=(
            pb.PendingInstanceRequest(
                instance_type_name=group,
                ray_node_type_name=group,
                count=1,
                request_ts=int(now.timestamp()),
            )
            for group, count in said.requested
            for _ in range(min(count, MOST_TOLD))
        ),
        pending_instances=(
            pb.PendingInstance(
                instance_type_name=each.group,
                ray_node_type_name=each.group,
                instance_id=each.name,
                ip_address=each.ip,
                details=each.details,
            )
            for each in said.pending
        ),
        failed_instance_requests=(
            pb.FailedInstanceRequest(
                instance_type_name=each.group,
                ray_node_type_name=each.group,
                count=each.count,
                reason=each.reason,
                start_ts=int(each.since.timestamp()),
                failed_ts=int(now.timestamp()),
            )
            for each in said.failed
        ),
        infeasible_resource_requests=map(_request, said.infeasible),
        infeasible_gang_resource_requests=(
            pb.GangResourceRequest(
                requests=map(_request, each.alternatives[0]), details=each.details
            )
            for each in said.infeasible_gangs
        ),
    )


def group_config(group: scaling_records.GroupConfig) -> pb.NodeGroupConfig:
    """Write a group's bounds; Ray reads whole amounts only."""
    return pb.NodeGroupConfig(
        name=group.name,
        resources={name: int(amount) for name, amount in group.resources.items()},
        min_count=group.minimum,
        max_count=group.maximum,
    )


def constraint(requests: scaling_records.Counted) -> pb.ClusterResourceConstraint:
    """Write what the cluster shall be able to hold."""
    return pb.ClusterResourceConstraint(
        resource_requests=(
            pb.ResourceRequestByCount(request=_request(each), count=count)
            for each, count in requests
        )
    )


def _node(found: pb.NodeState) -> ray_records.RayNode:
    return ray_records.RayNode(
        node_id=found.node_id,
        instance_id=found.instance_id,
        status=_STATUS.get(found.status, ray_records.NodeStatus.UNKNOWN),
        idle=timedelta(milliseconds=found.idle_duration_ms),
        ip=found.node_ip_address,
        available=dict(found.available_resources),
        total=dict(found.total_resources),
        labels={**found.labels, **found.dynamic_labels},
    )


def _counted(found: Iterable[pb.ResourceRequestByCount]) -> scaling_records.Counted:
    return tuple((_read(each.request), each.count) for each in found)


def _gang(found: pb.GangResourceRequest) -> scaling_records.Gang:
    """Read a placement group; only its bundle selectors, where there are any, know labels."""
    lists = [each.resource_requests for each in found.bundle_selectors] or [found.requests]
    places = [
        each.locality_requirement.locality_constraint.label_name for each in found.bundle_selectors
    ]
    return scaling_records.Gang(
        alternatives=tuple(tuple(_read(each) for each in some) for some in lists if some),
        details=found.details,
        locality=next(filter(None, places), ""),
    )


def _read(found: pb.ResourceRequest) -> scaling_records.ResourceRequest:
    apart = together = ""
    for each in found.placement_constraints:
        if each.HasField("anti_affinity"):
            apart = each.anti_affinity.label_name
        if each.HasField("affinity"):
            together = each.affinity.label_name
    return scaling_records.ResourceRequest(
        amounts=tuple(sorted(found.resources_bundle.items())),
        selectors=tuple(_selector(each) for each in found.label_selectors),
        apart=apart,
        together=together,
    )


def _selector(found: pb.LabelSelector) -> scaling_records.Selector:
    return tuple(
        scaling_records.LabelConstraint(
            key=each.label_key,
            is_in=each.operator != pb.LABEL_OPERATOR_NOT_IN,
            values=tuple(sorted(each.label_values)),
        )
        for each in found.label_constraints
    )


def _request(said: scaling_records.ResourceRequest) -> pb.ResourceRequest:
    marks = [pb.PlacementConstraint(anti_affinity=pb.LabelConstraint(label_name=said.apart))]
    marks += [pb.PlacementConstraint(affinity=pb.LabelConstraint(label_name=said.together))]
    return pb.ResourceRequest(
        resources_bundle=dict(said.amounts),
        placement_constraints=[
            mark for mark, name in zip(marks, (said.apart, said.together), strict=True) if name
        ],
        label_selectors=(
            pb.LabelSelector(
                label_constraints=(
                    pb.LabelSelectorConstraint(
                        label_key=each.key,
                        operator=pb.LABEL_OPERATOR_IN if each.is_in else pb.LABEL_OPERATOR_NOT_IN,
                        label_values=each.values,
                    )
                    for each in selector
                )
            )
            for selector in said.selectors
        ),
    )
