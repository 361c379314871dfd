"""What is wrong with a RayCluster, beyond what its CRD can say: a list of field errors.

Owns: the rules and the words; each message names the fix. Does not own: what follows from a bad
spec (`raycluster.plan` leaves the cluster alone, `raycluster.status` tells). Invariant: pure, and
total over whatever an API server may have stored; an empty list means that all builders work.
Source: KubeRay 1.7, validation of RayCluster.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ray_operator import names, quantity
from ray_operator.api import base, ray_resources
from ray_operator.api import raycluster as api

NAME_LENGTH = 53  # 63 of a Service name, less the longest suffix `-serve-svc`

_DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII
)
_LABEL_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL_RULE = (
    "must be at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or"
    " digit"
)
_RESOURCE_PARAMS = ("num-cpus", "num-gpus", "memory", "resources")


class FieldError(NamedTuple):
    """One thing wrong: `path` as in `spec.workerGroupSpecs[0].groupName`."""

    path: str
    message: str

    def __str__(self) -> str:
        """Write as one line."""
        return f"{self.path}: {self.message}"


def errors(cluster: api.RayCluster) -> list[FieldError]:
    """List all that is wrong, in the order of the spec."""
    return [*_metadata(cluster), *_head(cluster), *_groups(cluster), *_upgrade(cluster)]


def _metadata(cluster: api.RayCluster) -> Iterator[FieldError]:
    name = cluster.metadata.name
    if len(name) > NAME_LENGTH:
        yield FieldError(
            "metadata.name",
            f"is {len(name)} characters long: use at most {NAME_LENGTH}, since names of Services"
            " are made of it",
        )
    if not _DNS_LABEL.fullmatch(name):
        yield FieldError(
            "metadata.name",
            f"{name!r} must start with a lower-case letter, end with a letter or digit, and hold"
            " only lower-case letters, digits and '-'",
        )


def _head(cluster: api.RayCluster) -> Iterator[FieldError]:
    yield from _group("spec.headGroupSpec", cluster.spec.head_group_spec)


def _groups(cluster: api.RayCluster) -> Iterator[FieldError]:
    groups = cluster.spec.worker_group_specs
    count = Counter(group.group_name for group in groups)
    for index, group in enumerate(groups):
        path = f"spec.workerGroupSpecs[{index}]"
        yield from _group_name(f"{path}.groupName", group.group_name, count[group.group_name])
        yield from _group(path, group)
        yield from _bounds(path, group)
        if group.suspend and cluster.spec.enable_in_tree_autoscaling:
            yield FieldError(
                f"{path}.suspend", "can't be true with autoscaling on: set maxReplicas to 0 instead"
            )


def _group_name(path: str, name: str, count: int) -> Iterator[FieldError]:
    if not name:
        yield FieldError(path, "is empty: name the group")
    elif not _LABEL_PART.fullmatch(name):
        yield FieldError(path, f"{name!r} names Pods in a label: it {_LABEL_RULE}")
    if count > 1:
        yield FieldError(path, f"{name!r} names {count} groups: give each its own name")


def _group(path: str, group: api.GroupSpec) -> Iterator[FieldError]:
    params = group.ray_start_params
    clashing = [key for key in _RESOURCE_PARAMS if params.get(key)]
    if not group.containers:
        yield FieldError(
            f"{path}.template.spec.containers", "is empty: add the container that runs Ray"
        )
    if group.resources and clashing:
        yield FieldError(
            f"{path}.resources",
            f"contradicts rayStartParams {', '.join(clashing)}: keep one of the two",
        )
    if "labels" in params:
        yield FieldError(
            f"{path}.rayStartParams.labels", f"move the labels to the field {path}.labels"
        )
    yield from _labels(f"{path}.labels", group.labels)
    yield from _custom_resources(f"{path}.rayStartParams.resources", params.get("resources", ""))
    for index, container in enumerate(group.containers):
        yield from _container(f"{path}.template.spec.containers[{index}]", container)


def _labels(path: str, labels: Mapping[str, str]) -> Iterator[FieldError]:
    for key, value in sorted(labels.items()):
        prefix, slash, name = key.rpartition("/")
        is_prefix = not slash or (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix))
        if not is_prefix or not _LABEL_PART.fullmatch(name):
            message = f"the key {_LABEL_RULE}; a DNS name and '/' may precede it"
            yield FieldError(f"{path}[{key}]", message)
        if value and not _LABEL_PART.fullmatch(value):
            yield FieldError(f"{path}[{key}]", f"the value {value!r} {_LABEL_RULE}")


def _custom_resources(path: str, flag: str) -> Iterator[FieldError]:
    if flag and not ray_resources.needs_shell(flag) and ray_resources.parse(flag) is None:
        yield FieldError(
            path, f"{flag} is no JSON object of numbers: write it like '{{\"name\": 1}}'"
        )


def _container(path: str, container: base.Json) -> Iterator[FieldError]:
    if not container.get("name"):
        yield FieldError(f"{path}.name", "is empty: name the container")
    for index, port in enumerate(container.get("ports") or []):
        if not isinstance(port.get("containerPort"), int):
            yield FieldError(f"{path}.ports[{index}].containerPort", "must be a port number")
    for kind in ("limits", "requests"):
        listed = (container.get("resources") or {}).get(kind) or {}
        yield from _quantities(f"{path}.resources.{kind}", listed)


def _quantities(path: str, listed: Mapping[str, str]) -> Iterator[FieldError]:
    for name, text in sorted(listed.items()):
        try:
            quantity.parse(text)
        except ValueError as error:
            yield FieldError(f"{path}[{name}]", str(error))


def _bounds(path: str, group: api.WorkerGroupSpec) -> Iterator[FieldError]:
    if group.min_replicas < 0:
        yield FieldError(f"{path}.minReplicas", f"is {group.min_replicas}: use 0 or more")
    if group.max_replicas < 0:
        yield FieldError(f"{path}.maxReplicas", f"is {group.max_replicas}: use 0 or more")
    if group.min_replicas > group.max_replicas:
        yield FieldError(
            f"{path}.minReplicas",
            f"is {group.min_replicas}, above maxReplicas {group.max_replicas}: lower it, or raise"
            " maxReplicas",
        )


def _upgrade(cluster: api.RayCluster) -> Iterator[FieldError]:
    strategy = cluster.spec.upgrade_strategy
    kind = strategy.type if strategy else None
    creator = cluster.metadata.labels.get(names.ORIGIN_KIND_LABEL, "")
    if kind not in {None, "", "Recreate", "None"}:
        yield FieldError("spec.upgradeStrategy.type", f"{kind!r} is unknown: use Recreate or None")
    if kind and creator in {"RayJob", "RayService"}:
        yield FieldError(
            "spec.upgradeStrategy.type", f"remove it: the {creator} decides about upgrades"
        )
