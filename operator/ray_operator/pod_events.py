"""Warnings that kubelet, scheduler and controllers give about our Pods.

Owns: watching these events, and keeping the latest of each Pod. Does not own: what they mean
(`raycluster.diagnosis`). Invariant: an event is a hint and never the only reason to act: without
the right to watch events, or after one was missed, only a diagnosis is poorer.

Memory is bounded by the number of our Pods: events of others are dropped as they come, except for
a few of Pods we don't know yet: an event may overtake the news of its Pod.
"""

from collections.abc import Callable

from ray_operator import informers, kube, listwatch, records, wire_pods

FIELDS = "involvedObject.kind=Pod,type=Warning,reason!=BackOff,reason!=FailedScheduling"
"""What these two say, the Pod's status says too, and they are the most frequent ones."""
REASONS = frozenset(
    {
        "Failed",
        "FailedAttachVolume",
        "FailedCreatePodSandBox",
        "FailedMapVolume",
        "FailedMount",
        "FailedToRetrieveImagePullSecret",
        "NetworkNotReady",
        "NodeNotReady",
        "Unhealthy",
    }
)
PER_POD = 8
STRANGERS = 256
"""Pods that aren't ours, or not ours yet, of which something may be kept at any time."""


class PodEvents(listwatch.ListWatch[records.PodEvent]):
    """Keep the latest warnings by Pod; `changed` is told when a Pod of ours isn't ready."""

    def __init__(
        self,
        client: kube.Kube,
        *,
        namespace: str | None,
        pods: informers.Children[records.Pod],
        changed: Callable[[records.Key], None],
    ) -> None:
        super().__init__(
            client,
            records.CORE_EVENTS,
            namespace=namespace,
            decode=wire_pods.event,
            fields=FIELDS,
            has_bookmarks=False,  # the API server keeps no watch cache of events
        )
        self._pods = pods
        self._changed = changed
        self._by_pod: dict[str, dict[str, records.PodEvent]] = {}
        self._most = STRANGERS

    async def run(self) -> None:
        """List and watch until cancelled, once the Pods are known."""
        for each in self._pods.informers:
            await each.synced.wait()
        await super().run()

    def of(self, pod: records.Pod) -> tuple[records.PodEvent, ...]:
        """Return what is known of the Pod, newest first."""
        kept = self._by_pod.get(pod.uid)
        if not kept:
            return ()
        return tuple(sorted(kept.values(), key=_recency, reverse=True))

    def _listed(self, items: list[records.PodEvent], *, version: str) -> None:
        del version
        self._by_pod.clear()
        for item in items:
            self._came(item)

    def _came(self, item: records.PodEvent) -> None:
        if item.reason not in REASONS:
            return
        if item.pod_uid not in self._by_pod and len(self._by_pod) >= self._most:
            self._sweep()
        kept = self._by_pod.setdefault(item.pod_uid, {})
        kept[item.name] = item
        if len(kept) > PER_POD:
            del kept[min(kept.values(), key=_recency).name]
        pod = self._pod(item)
        if pod is not None and pod.owner is not None and not pod.ready:
            self._changed(records.Key(pod.owner.kind, pod.namespace, pod.owner.name))

    def _gone(self, item: records.PodEvent) -> None:
        if kept := self._by_pod.get(item.pod_uid):
            kept.pop(item.name, None)
            if not kept:
                del self._by_pod[item.pod_uid]

    def _sweep(self) -> None:
        """Forget what isn't of our Pods; the next time is when as much has come again."""
        self._by_pod = {
            uid: kept
            for uid, kept in self._by_pod.items()
            if any(self._pod(item) for item in kept.values())
        }
        self._most = 2 * len(self._by_pod) + STRANGERS

    def _pod(self, item: records.PodEvent) -> records.Pod | None:
        """Return the Pod of ours that the event is about."""
        pod = self._pods.get(item.namespace, item.pod)
        return pod if pod is not None and pod.uid == item.pod_uid else None


def _recency(item: records.PodEvent) -> tuple[float, str]:
    return item.last_at.timestamp(), item.name
