"""What is said of a decision: events, and where the cluster's scaling stands.

Owns: the texts, and what is worth saying. Does not own: posting and writing (`scaling`,
`raycluster.status`). Invariant: what was only decided and not done is never told.
"""

from collections.abc import Sequence
from datetime import datetime

from ray_operator import actions, scaling_records
from ray_operator.autoscaler import decide, scale_down

UP, DOWN = "ScaledUp", "ScaledDown"


def events(decision: decide.Decision, gone: Sequence[scale_down.Removal]) -> list[actions.Event]:
    """Return the events of what was done: `gone` are the replicas that Ray let go."""
    return [
        *([_scaled_up(decision)] if decision.launches else []),
        *([_scaled_down(gone)] if gone else []),
    ]


def standing(
    before: scaling_records.Standing,
    decision: decide.Decision,
    told: Sequence[actions.Event],
    now: datetime,
) -> scaling_records.Standing:
    """Return where the scaling stands after a decision of which that was told."""
    return scaling_records.Standing(
        groups=decision.scales,
        unmet=decision.unmet,
        decision="; ".join(each.message for each in told) or before.decision,
        decided_at=now.replace(microsecond=0) if told else before.decided_at,
    )


def is_news(before: scaling_records.Standing, after: scaling_records.Standing) -> bool:
    """Tell whether more has changed than who is idle, or what waits, as with each task."""
    return _lasting(before) != _lasting(after)


def infeasible(unmet: scaling_records.Unmet) -> actions.Event:
    """Return the event about a request that no group could ever hold."""
    message = f"{unmet.request}: {unmet.why}"
    return actions.Event(
        type="Warning", reason="InfeasibleRequest", action="Scale", message=message
    )


def _scaled_up(decision: decide.Decision) -> actions.Event:
    parts = [
        f"group {each.group} by {decision.launches[each.group]} to {each.desired}"
        for each in decision.scales
        if each.group in decision.launches
    ]
    message = f"Scaled up {', '.join(parts)}: {decision.why}"
    return actions.Event(type="Normal", reason=UP, action="Scale", message=message)


def _scaled_down(gone: Sequence[scale_down.Removal]) -> actions.Event:
    parts = []
    for group in dict.fromkeys(each.group for each in gone):
        of_group = [each for each in gone if each.group == group]
        names = ", ".join(one.pod for each in of_group[:5] for one in each.workers)
        parts.append(f"group {group} by {len(of_group)}: {names}: {of_group[0].why}")
    message = f"Scaled down {'; '.join(parts)}"
    return actions.Event(type="Normal", reason=DOWN, action="Scale", message=message)


def _lasting(standing: scaling_records.Standing) -> object:
    scales = [(each.group, each.desired, each.pending, each.running) for each in standing.groups]
    unmet = sorted((each.request, each.why) for each in standing.unmet if each.is_infeasible)
    return (scales, unmet, standing.decision, standing.decided_at, standing.trouble)
