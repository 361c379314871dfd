"""Why something that is asked for gets no node.

Owns: the reasons. Does not own: finding out what is left (`scale_up`). Invariant: a request is
called infeasible only if no group could ever hold it; Ray may cancel such tasks.
"""

from collections.abc import Collection, Iterable, Mapping

from ray_operator import scaling_records
from ray_operator.autoscaler import model, scale_up

MOST = 10
"""Requests to tell of."""
NO_GROUP = "no worker group can hold it"
BUSY_NODE = "only a node that is there could hold it, and is busy"


def unmet(
    cluster: model.Cluster, solution: scale_up.Solution, stuck: Iterable[model.Worker]
) -> tuple[scaling_records.Unmet, ...]:
    """Say of each kind of request what is in its way; those that come most often first."""
    obstacles = {each.group: each.obstacle for each in stuck if each.obstacle}
    waiting: list[tuple[str, int, object]] = [
        (str(shape), count, shape)
        for shape, count in sorted(solution.left, key=lambda each: -each[1])[:MOST]
    ]
    waiting += [(str(gang), 1, gang) for gang in solution.left_gangs]
    if asked := solution.left_constraint:
        shown = " + ".join(f"{count} of {shape}" for shape, count in asked)
        waiting.append((f"request_resources: {shown}", 1, asked))
    found = []
    for text, count, wanted in waiting[:MOST]:
        why = _why(cluster, solution.able[wanted], obstacles)
        found.append(scaling_records.Unmet(text, count, why, is_infeasible=why == NO_GROUP))
    return tuple(found)


def infeasible(
    cluster: model.Cluster, solution: scale_up.Solution
) -> tuple[scaling_records.ResourceRequest, ...]:
    """Return the requests that no group could ever hold."""
    if not _is_known(cluster):
        return ()
    return tuple(shape.request() for shape, _ in solution.left if not solution.able[shape])


def infeasible_gangs(
    cluster: model.Cluster, solution: scale_up.Solution
) -> tuple[scaling_records.Gang, ...]:
    """Return the placement groups that no number of nodes could hold."""
    if not _is_known(cluster):
        return ()
    return tuple(gang.gang() for gang in solution.left_gangs if not solution.able[gang])


def _is_known(cluster: model.Cluster) -> bool:
    return all(group.offers for group in cluster.groups)


def _why(cluster: model.Cluster, names: Collection[str], obstacles: Mapping[str, str]) -> str:
    able = [group for group in cluster.groups if group.name in names]
    if names == scale_up.PRESENT:
        return BUSY_NODE
    if not able:
        unknown = [group.name for group in cluster.groups if not group.offers]
        if unknown:
            told = f"nobody knows what nodes of group {', '.join(unknown)} have: give their Ray"
            return f"{told} containers limits, or the groups resources"
        return NO_GROUP
    full = [group for group in able if group.desired >= group.maximum]
    if len(full) == len(able):
        told = ", ".join(f"{group.name} ({group.maximum})" for group in full)
        held = next((obstacles[group.name] for group in full if group.name in obstacles), "")
        return f"maxReplicas reached: {told}" + (f"; {held}" if held else "")
    held = next((obstacles[group.name] for group in able if group.name in obstacles), "")
    return held or cluster.refusal or "enough Pods are on their way at one time"
