"""Random work, scaled by our decisions and by those of Ray's own scheduler, out of its wheel.

What counts is what users pay: seconds of nodes, and seconds that tasks wait. A look a second for
both, though Ray's own looks every five.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import pytest
from ray.autoscaler.v2 import scheduler as theirs
from ray.autoscaler.v2.instance_manager.common import InstanceUtil
from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated import autoscaler_pb2, instance_manager_pb2

from ray_operator import scaling_records as say
from ray_operator.autoscaler import (
    amounts,
    decide,
    demand,
    memory,
    model,
    options,
    packing,
    question,
    scale_up,
)
from tests.unit import builders

Amounts = Mapping[str, float]

START = 12
"""Seconds until a new node takes work."""
IDLE = 20
TYPES: dict[str, Amounts] = {
    "small": {"CPU": 4, "memory": 16},
    "large": {"CPU": 16, "memory": 64},
    "gpu": {"CPU": 8, "memory": 32, "GPU": 2},
}
MOST = {"small": 20, "large": 8, "gpu": 6}
SHAPES: list[Amounts] = [
    {"CPU": 1},
    {"CPU": 2, "memory": 4},
    {"CPU": 4, "memory": 24},
    {"CPU": 1, "GPU": 1},
    {"memory": 12},
]


class Task(NamedTuple):
    at: int
    shape: Amounts
    seconds: int


@dataclass
class Node:
    name: str
    type: str
    ready_at: int
    free: dict[str, float]
    tasks: list[tuple[int, Amounts]] = field(default_factory=list)
    idle_since: int = 0


class Change(NamedTuple):
    launches: Mapping[str, int]
    gone: Sequence[str]


Policy = Callable[[int, Sequence[Node], Mapping[int, int]], Change]
"""Seconds since the start, nodes, and how many tasks of which shape wait."""


def work(seed: int) -> list[Task]:
    """Draw bursts and a trickle of tasks."""
    draw = random.Random(seed)
    tasks = []
    for _ in range(draw.randint(2, 5)):
        at, shape = draw.randint(0, 200), draw.randrange(len(SHAPES))
        tasks += [Task(at, SHAPES[shape], draw.randint(5, 60)) for _ in range(draw.randint(1, 60))]
    tasks += [
        Task(draw.randint(0, 240), draw.choice(SHAPES), draw.randint(1, 20)) for _ in range(40)
    ]
    return sorted(tasks, key=lambda task: task.at)


def simulate(tasks: Sequence[Task], policy: Policy) -> tuple[int, int]:
    """Return seconds of nodes and seconds of waiting."""
    nodes: list[Node] = []
    waiting: list[Task] = []
    coming = list(tasks)
    paid = waited = made = now = 0
    while coming or waiting or nodes:
        assert now < 3000, "the work never ends"
        while coming and coming[0].at <= now:
            waiting.append(coming.pop(0))
        for node in nodes:
            _finish(node, now)
        waiting = [task for task in waiting if not _start(task, nodes, now)]
        waited += len(waiting)
        counts: dict[int, int] = {}
        for task in waiting:
            shape = SHAPES.index(task.shape)
            counts[shape] = counts.get(shape, 0) + 1
        change = policy(now, nodes, counts)
        nodes = [node for node in nodes if node.name not in change.gone or node.tasks]
        for type_, count in change.launches.items():
            for _ in range(count):
                made += 1
                free = dict(TYPES[type_])
                nodes.append(Node(f"{type_}-{made}", type_, now + START, free))
        for type_, most in MOST.items():
            assert sum(node.type == type_ for node in nodes) <= most
        paid += len(nodes)
        now += 1
    return paid, waited


def _finish(node: Node, now: int) -> None:
    for end, shape in node.tasks:
        if end <= now:
            for name, amount in shape.items():
                node.free[name] += amount
    before = bool(node.tasks)
    node.tasks = [each for each in node.tasks if each[0] > now]
    if before and not node.tasks:
        node.idle_since = now
    if node.ready_at == now:
        node.idle_since = now


def _start(task: Task, nodes: Sequence[Node], now: int) -> bool:
    for node in nodes:
        fits = all(node.free.get(name, 0) >= amount for name, amount in task.shape.items())
        if node.ready_at <= now and fits:
            for name, amount in task.shape.items():
                node.free[name] -= amount
            node.tasks.append((now + task.seconds, task.shape))
            return True
    return False


class Ours:
    """What our decisions make of it."""

    def __init__(self) -> None:
        self.memory = memory.Memory()

    def __call__(self, now: int, nodes: Sequence[Node], waiting: Mapping[int, int]) -> Change:
        at = builders.NOW + timedelta(seconds=now)
        self.memory = dataclasses.replace(self.memory, looks=self.memory.looks + 1)
        requests = tuple(
            (say.ResourceRequest(tuple(sorted(SHAPES[shape].items()))), count)
            for shape, count in waiting.items()
        )
        asked = question.Question(
            cluster=self._cluster(now, nodes),
            demand=demand.normalised(say.Demand(requests)),
            has_drivers=True,
            options=options.Options(),
        )
        solution = scale_up.solve(question.problem(asked, self.memory, at))
        decision, self.memory = decide.decide(asked, solution, self.memory, at)
        gone = [one.pod for each in decision.removals for one in each.workers]
        return Change(decision.launches, gone)

    def _cluster(self, now: int, nodes: Sequence[Node]) -> model.Cluster:
        groups = []
        for index, (type_, total) in enumerate(TYPES.items()):
            own = [self._worker(now, node) for node in nodes if node.type == type_]
            groups.append(
                model.Group(
                    name=type_,
                    index=index,
                    hosts=1,
                    minimum=0,
                    maximum=MOST[type_],
                    stored=len(own),
                    desired=len(own),
                    idle_timeout=timedelta(seconds=IDLE),
                    priority=0,
                    workers=tuple(own),
                    listed=(),
                    lingering=(),
                    offers=(packing.Offer(amounts.offered(total), {}),),
                )
            )
        return model.Cluster(groups=tuple(groups), head=None, is_conservative=False)

    def _worker(self, now: int, node: Node) -> model.Worker:
        runs = node.ready_at <= now
        idle = timedelta(seconds=now - node.idle_since)
        return model.Worker(
            pod=node.name,
            group=node.type,
            replica=node.name,
            state=model.State.RUNNING if runs else model.State.PENDING,
            created_at=builders.NOW,
            idle=idle if runs and not node.tasks else None,
            free=amounts.offered(node.free),
            total=amounts.offered(TYPES[node.type]),
            labels={},
        )


def rays(now: int, nodes: Sequence[Node], waiting: Mapping[int, int]) -> Change:
    """Return what Ray's own scheduler makes of it."""
    request = theirs.SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs={
            type_: NodeTypeConfig(
                name=type_, min_worker_nodes=0, max_worker_nodes=MOST[type_], resources=dict(total)
            )
            for type_, total in TYPES.items()
        },
        max_num_nodes=sum(MOST.values()) + 1,
        idle_timeout_s=IDLE,
        resource_requests=[
            autoscaler_pb2.ResourceRequestByCount(
                request=ResourceRequestUtil.make(dict(SHAPES[shape])), count=count
            )
            for shape, count in waiting.items()
        ],
        current_instances=[_instance(now, node) for node in nodes],
    )
    reply = theirs.ResourceDemandScheduler().schedule(request)
    launches: dict[str, int] = {}
    for each in reply.to_launch:
        launches[each.instance_type] = launches.get(each.instance_type, 0) + each.count
    return Change(launches, [each.instance_id for each in reply.to_terminate])


def _instance(now: int, node: Node) -> AutoscalerInstance:
    states = instance_manager_pb2.Instance
    runs = node.ready_at <= now
    instance = InstanceUtil.new_instance(
        node.name, node.type, states.RAY_RUNNING if runs else states.ALLOCATED
    )
    if not runs:
        return AutoscalerInstance(cloud_instance_id=node.name, im_instance=instance)
    ray_node = autoscaler_pb2.NodeState(
        node_id=node.name.encode(),
        instance_id=node.name,
        ray_node_type_name=node.type,
        total_resources=dict(TYPES[node.type]),
        available_resources={name: x for name, x in node.free.items() if x},
        idle_duration_ms=0 if node.tasks else (now - node.idle_since) * 1000,
        status=autoscaler_pb2.RUNNING if node.tasks else autoscaler_pb2.IDLE,
    )
    return AutoscalerInstance(cloud_instance_id=node.name, ray_node=ray_node, im_instance=instance)


@pytest.mark.filterwarnings("ignore")
def test_neither_nodes_nor_waits_cost_more_than_with_rays_scheduler() -> None:
    totals = {"ours": [0, 0], "Ray's": [0, 0]}
    for seed in range(6):
        tasks = work(seed)
        for name, policy in (("ours", Ours()), ("Ray's", rays)):
            paid, waited = simulate(tasks, policy)
            totals[name][0] += paid
            totals[name][1] += waited
    print(
        "\n" + "; ".join(f"{name}: {p} s of nodes, {w} s waited" for name, (p, w) in totals.items())
    )
    (paid, waited), (rays_paid, rays_waited) = totals.values()
    assert paid <= 1.03 * rays_paid  # a second look before it goes costs each node a second
    assert waited <= 1.02 * rays_waited
