"""Containers that an administrator adds to every Ray Pod, in the operator's configuration.

Owns: which Pod gets which, and whether they fit. Does not own: reading them (`configuration`), or
variables, labels and annotations, which can't clash. Invariant: they come after the user's
containers, and the hash of a spec doesn't know them, so that a new configuration replaces no Pod.
Source: KubeRay 1.7, operator-wide additions.
"""

from collections.abc import Iterator, Sequence

from ray_operator import settings
from ray_operator.api import raycluster as api
from ray_operator.api import rules

HEAD_KEY = "headSidecarContainers"
WORKER_KEY = "workerSidecarContainers"


def containers(group: api.GroupSpec, *, settings: settings.Settings) -> Sequence[settings.Json]:
    """Return what is added to the group's Pods."""
    is_head = isinstance(group, api.HeadGroupSpec)
    found = settings.additions
    return found.head_containers if is_head else found.worker_containers


def errors(cluster: api.RayCluster, *, settings: settings.Settings) -> Iterator[rules.FieldError]:
    """Yield where a Pod's own containers have the name of an added one.

    An API server would refuse the Pod, without a word on where its other container comes from.
    """
    spec = cluster.spec
    yield from _clashes("spec.headGroupSpec", spec.head_group_spec, settings=settings)
    for index, group in enumerate(spec.worker_group_specs):
        yield from _clashes(f"spec.workerGroupSpecs[{index}]", group, settings=settings)


def _clashes(
    path: str, group: api.GroupSpec, *, settings: settings.Settings
) -> Iterator[rules.FieldError]:
    key = HEAD_KEY if isinstance(group, api.HeadGroupSpec) else WORKER_KEY
    added = {each["name"] for each in containers(group, settings=settings)}
    for field in ("containers", "initContainers"):
        for index, each in enumerate(group.template["spec"].get(field) or []):
            if each.get("name") in added:
                yield rules.FieldError(
                    f"{path}.template.spec.{field}[{index}].name",
                    f"{each['name']!r} is also the name of a container that the operator adds to"
                    f" each such Pod ({key} of its configuration): give it another name",
                    rules.Rule.CONTAINER_NAME,
                )
