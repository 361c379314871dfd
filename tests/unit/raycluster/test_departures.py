"""Workers that others take away: Ray hears of it, and a successor comes ahead."""

from datetime import timedelta

import msgspec
import pytest

from ray_operator import actions, doomed_nodes, ray_records, records
from ray_operator.raycluster import inquiry, nodes
from ray_operator.raycluster import observed as seen
from tests.unit import builders

HEAD = builders.pod()


def test_a_worker_that_is_deleted_is_drained() -> None:
    """By whoever empties its node; Ray gives it nothing new when it knows."""
    until = builders.NOW + timedelta(minutes=1)
    ray = records.Container("ray-worker", state="running")
    going = builders.worker("w", deletion_at=until, containers=(ray,))
    asked = inquiry.inquiry(
        builders.raycluster(), seen.Observed(pods=(HEAD, going)), actions.Plan()
    )
    assert asked is not None
    assert asked.drains == (ray_records.Drain(going, until),)
    assert asked.asks_state


def test_workers_leave_a_node_that_will_be_gone() -> None:
    pods = (HEAD, builders.worker("w-0", node="bad"), builders.worker("w-1", node="good"))
    observed = seen.Observed(pods=pods, doomed={"bad": "karpenter.sh/disrupted"})
    given = builders.raycluster(groups=[builders.group(replicas=2)])
    found = nodes.plan(given, observed, options=builders.SETTINGS, now=builders.NOW)
    marked = [each.name for each in found.actions if isinstance(each, actions.Patch)]
    assert marked == ["w-0"]
    assert "its node is taken away (karpenter.sh/disrupted)" in found.events[0].message


@pytest.mark.parametrize(
    ("key", "doom"),
    [
        ("karpenter.sh/disrupted", "karpenter.sh/disrupted"),
        ("aws-node-termination-handler/spot-itn", "aws-node-termination-handler/spot-itn"),
        ("node.kubernetes.io/unschedulable", ""),
    ],
)
def test_a_taint_tells_that_a_node_will_be_gone(key: str, doom: str) -> None:
    given = {
        "metadata": {"name": "n", "resourceVersion": "1"},
        "spec": {"taints": [{"key": "other"}, {"key": key, "effect": "NoSchedule"}]},
    }
    assert doomed_nodes.node(msgspec.json.encode(given)) == records.Node("n", "1", doom)
