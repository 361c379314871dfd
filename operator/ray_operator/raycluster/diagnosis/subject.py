"""The Pod under examination, with all that there is to know about it.

Owns: gathering a Pod, what is told of it and what its template says. Does not own: conclusions.
Invariant: a Pod whose group is gone from the spec has an empty template.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ray_operator import names, records
from ray_operator.api import ray_version
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import upgrade


class Subject(NamedTuple):
    """A Pod of the cluster; `head` is the head Pod, None when there is none."""

    cluster: api.RayCluster
    pod: records.Pod
    events: tuple[records.PodEvent, ...]
    group: api.GroupSpec | None
    head: records.Pod | None

    @property
    def is_head(self) -> bool:
        """Tell whether this is the head."""
        return is_head(self.pod)

    def said(self, *reasons: str, container: str | None = None) -> tuple[records.PodEvent, ...]:
        """Return the events with these reasons, newest first; of a container, or (None) of any."""
        return tuple(
            event
            for event in self.events
            if event.reason in reasons and container in (None, event.container)
        )

    def other_ray(self) -> str:
        """Say which Ray the worker's image has if the tags tell that the head has another one."""
        if self.group is None:
            return ""
        head, own = (
            ray_version.of_image(each.ray_container.get("image") or "")
            for each in (self.cluster.spec.head_group_spec, self.group)
        )
        if head is None or own is None or head == own:
            return ""
        return f"its image has Ray {_dotted(own)}, the head's {_dotted(head)}"

    def template(self, container: str) -> Mapping[str, Any]:
        """Return a container as the user wrote it; empty for one that is ours."""
        spec = (self.group.template.get("spec") or {}) if self.group else {}
        listed = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
        return next((each for each in listed if each.get("name") == container), {})


def subjects(
    cluster: api.RayCluster, observed: seen.Observed, pods: Iterable[records.Pod]
) -> Iterator[Subject]:
    """Gather what there is to know about each of the Pods."""
    heads = [each for each in observed.head_pods() if each.deletion_at is None]
    for pod in pods:
        yield Subject(
            cluster=cluster,
            pod=pod,
            events=observed.events.get(pod.uid, ()),
            group=upgrade.group_of(cluster.spec, pod),
            head=heads[0] if heads else None,
        )


def _dotted(version: ray_version.Version) -> str:
    return ".".join(map(str, version))


def is_head(pod: records.Pod) -> bool:
    """Tell whether the Pod is a head."""
    return pod.labels.get(names.NODE_TYPE_LABEL) == names.HEAD


def where(pod: records.Pod, container: str) -> str:
    """Name a container in a message."""
    return f"container {container} of Pod {pod.name}"
