"""A frozen fake of the cluster's children: apply plans to it until nothing is left to do."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import actions, names, ray_records, records, wire, wire_pods
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import plan, status
from tests.unit import builders

RUNNING: dict[str, Any] = {
    "phase": "Running",
    "podIP": "10.0.0.1",
    "conditions": [{"type": "Ready", "status": "True"}],
}

AROUND = records.Surroundings(is_openshift=False, has_claim=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """Pods and Services as they would be read back from the API server.

    Pods that are made have the given age at once.
    """

    observed: seen.Observed = dataclasses.field(
        default_factory=lambda: seen.Observed(around=AROUND)
    )
    status: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    serial: int = 0
    now: datetime = builders.NOW
    age: timedelta = timedelta(minutes=5)
    made: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """The manifests of all there ever was, by UID."""

    def apply(self, todo: Sequence[actions.Action]) -> "World":
        world = self
        for action in todo:
            match action:
                case actions.Delete():
                    world = world._delete(action)
                case actions.Patch():
                    world = world._patch(action)
                case actions.Create():
                    world = world._create(action)
                case actions.Apply(is_new=True):
                    world = world._create(action)
                case actions.Apply():
                    world = world._apply(action)
        return world

    def say(self, cluster: api.RayCluster) -> "World":
        """Write the status, as a pass does in the end."""
        outcome = actions.Outcome()
        said = status.next_status(self.seen_by(cluster), self.observed, outcome, self.now)
        return dataclasses.replace(self, status=said or {})

    def seen_by(self, cluster: api.RayCluster) -> api.RayCluster:
        """Return the cluster with the status that was last written."""
        return cluster.model_copy(update={"status": dict(self.status)})

    def settle(self) -> "World":
        """Let time pass: what terminates is gone (what was created already runs)."""
        pods = tuple(pod for pod in self.observed.pods if pod.deletion_at is None)
        return dataclasses.replace(self, observed=dataclasses.replace(self.observed, pods=pods))

    def shape(self) -> list[tuple[str, str, str]]:
        """Tell what there is, without names: the kind or group, and the replica index."""
        pods = [
            (
                "Pod",
                pod.labels[names.GROUP_LABEL],
                pod.labels.get(names.REPLICA_INDEX_LABEL, ""),
            )
            for pod in self.observed.pods
        ]
        return sorted([*pods, *(("Service", item.name, "") for item in self.observed.services)])

    def content(self) -> list[str]:
        """Tell what there is in full, but for what is drawn or only tells its place and past."""
        observed = self.observed
        there: list[Any] = [*observed.pods, *observed.services, *observed.others]
        return sorted(_content(self.made[each.uid], each.annotations) for each in there)

    def told(self, *, asked: bool) -> "World":
        """Let Ray answer if it was asked: marked Pods' nodes have left by then, others work."""
        nodes = tuple(
            ray_records.RayNode(
                node_id=pod.uid.encode(),
                instance_id=pod.name,
                status=ray_records.NodeStatus.DEAD
                if names.DRAINING_ANNOTATION in pod.annotations
                else ray_records.NodeStatus.RUNNING,
            )
            for pod in self.observed.pods
        )
        state = ray_records.ResourceState(builders.NOW, nodes) if asked else None
        observed = dataclasses.replace(self.observed, ray=ray_records.RayAnswer(state=state))
        return dataclasses.replace(self, observed=observed)

    def _create(self, action: actions.Create | actions.Apply) -> "World":
        serial = self.serial + 1
        meta = dict(action.manifest["metadata"])
        meta["name"] = meta.get("name") or f"{meta['generateName']}{serial:05}"
        meta |= {
            "uid": f"uid-{serial}",
            "resourceVersion": str(serial),
            "creationTimestamp": (self.now - self.age).isoformat(),
        }
        status = RUNNING if action.resource == records.PODS else {}
        data = msgspec.json.encode({**action.manifest, "metadata": meta, "status": status})
        observed = self.observed
        if action.resource == records.PODS:
            observed = dataclasses.replace(observed, pods=(*observed.pods, wire_pods.pod(data)))
        elif action.resource == records.SERVICES:
            services = (*observed.services, wire.service(data))
            observed = dataclasses.replace(observed, services=services)
        elif action.resource == records.CLAIMS:
            around = msgspec.structs.replace(
                observed.around, has_claim=True, claim=wire.claim(data)
            )
            observed = dataclasses.replace(observed, around=around)
        elif action.resource == records.ROUTES:
            route = wire.meta(data, kind=action.resource.kind)
            around = msgspec.structs.replace(observed.around, route=route)
            observed = dataclasses.replace(observed, around=around)
        else:
            others = (*observed.others, wire.meta(data, kind=action.resource.kind))
            observed = dataclasses.replace(observed, others=others)
        made = {**self.made, meta["uid"]: action.manifest}
        return dataclasses.replace(self, observed=observed, serial=serial, made=made)

    def _apply(self, action: actions.Apply) -> "World":
        """Take over the annotations, by which what changed is told."""
        given = action.manifest["metadata"]
        made = dict(self.made)

        def changed(item: Any) -> Any:
            if (item.name, item.namespace) != (given["name"], given["namespace"]):
                return item
            made[item.uid] = action.manifest
            annotations = {**item.annotations, **given["annotations"]}
            return msgspec.structs.replace(item, annotations=annotations)

        route = self.observed.around.route
        around = msgspec.structs.replace(
            self.observed.around, route=None if route is None else changed(route)
        )
        observed = dataclasses.replace(
            self.observed,
            around=around,
            services=tuple(map(changed, self.observed.services)),
            others=tuple(map(changed, self.observed.others)),
        )
        return dataclasses.replace(self, observed=observed, made=made)

    def _delete(self, action: actions.Delete) -> "World":
        if action.resource == records.ROUTES:
            around = msgspec.structs.replace(self.observed.around, route=None)
            observed = dataclasses.replace(self.observed, around=around)
            return dataclasses.replace(self, observed=observed)
        if action.resource != records.PODS:
            others = tuple(each for each in self.observed.others if each.uid != action.uid)
            services = tuple(each for each in self.observed.services if each.uid != action.uid)
            observed = dataclasses.replace(self.observed, others=others, services=services)
            return dataclasses.replace(self, observed=observed)
        pods = tuple(
            msgspec.structs.replace(pod, deletion_at=self.now) if pod.uid == action.uid else pod
            for pod in self.observed.pods
        )
        return dataclasses.replace(self, observed=dataclasses.replace(self.observed, pods=pods))

    def _patch(self, action: actions.Patch) -> "World":
        change = action.change["metadata"]

        def changed(item: Any) -> Any:
            if item.uid != action.uid:
                return item
            labels = {**item.labels, **change.get("labels", {})}
            annotations = {**item.annotations, **change.get("annotations", {})}
            return msgspec.structs.replace(item, labels=labels, annotations=annotations)

        observed = dataclasses.replace(
            self.observed,
            pods=tuple(map(changed, self.observed.pods)),
            services=tuple(map(changed, self.observed.services)),
        )
        return dataclasses.replace(self, observed=observed)


_DRAWN = (names.REPLICA_INDEX_LABEL, names.REPLICA_NAME_LABEL)
_PAST = (names.FAILURES_ANNOTATION, names.DRAINING_ANNOTATION)


def _content(manifest: Mapping[str, Any], annotations: Mapping[str, str]) -> str:
    given = manifest["metadata"]
    meta = {
        **given,
        "labels": {k: v for k, v in given.get("labels", {}).items() if k not in _DRAWN},
        "annotations": {k: v for k, v in annotations.items() if k not in _PAST},
    }
    return msgspec.json.encode({**manifest, "metadata": meta}, order="sorted").decode()


def decide(cluster: api.RayCluster, world: World) -> actions.Plan:
    seen = world.seen_by(cluster)
    return actions.bounded(plan.plan(seen, world.observed, builders.SETTINGS, world.now))


def converge(
    cluster: api.RayCluster,
    world: World,
    *,
    crash_after: int | None = None,
    crashes: Sequence[int | None] = (),
    rounds: int = 10,
    check: Callable[[World], None] = lambda _: None,
) -> World:
    """Make passes until one changes nothing; the first stops after `crash_after` actions.

    So do the first ones after as many as `crashes` says of each, None being a whole pass. `check`
    looks at the world after each pass.
    """
    crashes = [crash_after] if crash_after is not None else crashes
    for number in range(rounds):
        decided = decide(cluster, world)
        todo = decided.actions
        last = crashes[number] if number < len(crashes) else None
        after = world.apply(todo[:last])
        after = after if last is not None else after.say(cluster)
        check(after)
        after = after.settle().told(asked=decided.asks_ray)
        if after == world and last is None:
            return world
        after = dataclasses.replace(after, now=after.now + timedelta(seconds=1))
        world = after
    raise AssertionError(f"still not quiet after {rounds} rounds: {todo}")
