"""What is kept of the warnings about Pods: the latest, of ours, and who is woken by them."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from ray_operator import informers, kube, pod_events, records, wire_pods
from tests.unit import builders

KEY = records.Key("RayCluster", "ns1", "demo")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Pods:
    """The Pods that are known."""

    def __init__(self, *pods: records.Pod) -> None:
        self.informers = ()
        self._pods = {(pod.namespace, pod.name): pod for pod in pods}

    def get(self, namespace: str, name: str) -> records.Pod | None:
        return self._pods.get((namespace, name))


class Server:
    """Answer a list of events."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.asked: dict[str, Any] = {}

    async def list(self, *_: Any, **asked: Any) -> bytes:
        self.asked = asked
        return msgspec.json.encode({"metadata": {"resourceVersion": "9"}, "items": self.items})


def manifest(
    name: str, pod: records.Pod, *, reason: str = "FailedMount", second: int = 0
) -> dict[str, Any]:
    moment = (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
    return {
        "metadata": {
            "namespace": pod.namespace,
            "name": name,
            "resourceVersion": str(second),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "involvedObject": {
            "kind": "Pod",
            "name": pod.name,
            "uid": pod.uid,
            "fieldPath": "spec.containers{ray-head}",
        },
        "reason": reason,
        "message": f"message of {name}",
        "lastTimestamp": moment,
        "eventTime": None,
    }


def store(server: Server, *pods: records.Pod) -> tuple[pod_events.PodEvents, list[records.Key]]:
    told: list[records.Key] = []
    known = cast("informers.Children[records.Pod]", Pods(*pods))
    events = pod_events.PodEvents(
        cast("kube.Kube", server), namespace=None, pods=known, changed=told.append
    )
    return events, told


def test_each_recorder_fills_other_times() -> None:
    pod = builders.pod()
    kubelet = manifest("a", pod, second=5)
    assert wire_pods.event(msgspec.json.encode(kubelet)) == records.PodEvent(
        namespace="ns1",
        name="a",
        resource_version="5",
        pod=pod.name,
        pod_uid=pod.uid,
        reason="FailedMount",
        message="message of a",
        last_at=START + timedelta(seconds=5),
        container="ray-head",
    )
    modern = kubelet | {"lastTimestamp": None, "eventTime": "2026-01-01T00:00:07.5Z"}
    again = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00Z"}}
    found = [wire_pods.event(msgspec.json.encode(each)) for each in (modern, modern | again)]
    assert [each.last_at - START for each in found] == [
        timedelta(seconds=7.5),
        timedelta(minutes=1),
    ]


async def test_the_newest_come_first_and_are_few() -> None:
    server, pod = Server(), builders.pod(ready=False)
    events, told = store(server, pod)
    server.items = [manifest(f"e{n}", pod, second=n) for n in range(20)]
    server.items.append(manifest("other", pod, reason="SomethingElse", second=99))
    await events.relist()
    assert server.asked["fields"] == pod_events.FIELDS
    kept = [each.name for each in events.of(pod)]
    assert kept == [f"e{n}" for n in range(19, 19 - pod_events.PER_POD, -1)]
    assert set(told) == {KEY}
    server.items = server.items[:1]
    await events.relist()
    assert [each.name for each in events.of(pod)] == ["e0"]


async def test_ready_pods_and_those_of_others_wake_nobody() -> None:
    server, pod = Server(), builders.pod()
    events, told = store(server, pod)
    namesake = builders.pod(uid="uid-before", ready=False)
    stranger = builders.pod("stranger", ready=False)
    server.items = [manifest("a", pod), manifest("b", namesake), manifest("c", stranger)]
    await events.relist()
    assert told == []
    assert [each.name for each in events.of(pod)] == ["a"]
    # An event may overtake the news of its Pod.
    assert [each.name for each in events.of(stranger)] == ["c"]


async def test_what_is_kept_of_others_is_bounded() -> None:
    server, pod = Server(), builders.pod(ready=False)
    events, _ = store(server, pod)
    strangers = [builders.pod(f"stranger-{n}") for n in range(pod_events.STRANGERS * 3)]
    server.items = [manifest("ours", pod), *(manifest(each.name, each) for each in strangers)]
    await events.relist()
    kept = [each for each in strangers if events.of(each)]
    assert 0 < len(kept) <= pod_events.STRANGERS
    assert [each.name for each in events.of(pod)] == ["ours"]
