"""Rules about the head and the worker groups, and the Pod templates that the operator reads.

Source: KubeRay 1.7, validation of RayCluster.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ray_operator import quantity
from ray_operator.api import base, cel, ray_resources
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import meta

_RESOURCE_PARAMS = ("num-cpus", "num-gpus", "memory", "resources")


def errors(spec: api.RayClusterSpec, at: str) -> Iterator[FieldError]:
    """Check all groups of the cluster spec found at that path."""
    yield from _group(f"{at}.headGroupSpec", spec.head_group_spec)
    groups = spec.worker_group_specs
    count = Counter(group.group_name for group in groups)
    for path, group in workers(spec, at):
        yield from _name(f"{path}.groupName", group.group_name, count[group.group_name])
        yield from _group(path, group)
        yield from _bounds(path, group)


def workers(spec: api.RayClusterSpec, at: str) -> Iterator[tuple[str, api.WorkerGroupSpec]]:
    """Yield the worker groups, each with its path."""
    for index, group in enumerate(spec.worker_group_specs):
        yield f"{at}.workerGroupSpecs[{index}]", group


def containers(path: str, template: base.Json, *, does: str = "runs Ray") -> Iterator[FieldError]:
    """Check the containers of a Pod template at that path; the first does what it is made for."""
    listed = (template.get("spec") or {}).get("containers") or []
    if not listed:
        yield FieldError(
            f"{path}.spec.containers", f"is empty: add the container that {does}", Rule.CONTAINERS
        )
    for index, container in enumerate(listed):
        yield from _container(f"{path}.spec.containers[{index}]", container)


def variable(group: api.GroupSpec, name: str) -> base.Json | None:
    """Return the environment variable of the Ray container, None when it isn't set there."""
    if not group.containers:
        return None
    return find(group.ray_container.get("env") or [], name)


def find(env: list[base.Json], name: str) -> base.Json | None:
    """Return the variable of that name."""
    return next((each for each in env if each.get("name") == name), None)


def mount(container: base.Json, *, name: str, path: str) -> base.Json | None:
    """Return the volume mount that has this name or this path."""
    for each in container.get("volumeMounts") or []:
        if each.get("name") == name or each.get("mountPath") == path:
            found: base.Json = each
            return found
    return None


def _name(path: str, name: str, count: int) -> Iterator[FieldError]:
    if not name:
        yield FieldError(path, "is empty: name the group", Rule.GROUP_NAME)
    elif not meta.is_label_value(name):
        message = f"{name!r} names Pods in a label: it {meta.LABEL_WORDS}"
        yield FieldError(path, message, Rule.GROUP_NAME)
    if count > 1:
        message = f"{name!r} names {count} groups: give each its own name"
        yield FieldError(path, message, Rule.GROUP_NAME)


def _group(path: str, group: api.GroupSpec) -> Iterator[FieldError]:
    params = group.ray_start_params
    clashing = [key for key in _RESOURCE_PARAMS if params.get(key)]
    if group.resources and clashing:
        yield FieldError(
            f"{path}.resources",
            f"contradicts rayStartParams {', '.join(clashing)}: keep one of the two",
            Rule.RAY_RESOURCES,
        )
    if "labels" in params:
        message = f"move the labels to the field {path}.labels"
        yield FieldError(f"{path}.rayStartParams.labels", message, Rule.RAY_LABELS)
    yield from meta.labels(f"{path}.labels", group.labels)
    yield from _custom_resources(f"{path}.rayStartParams.resources", params.get("resources", ""))
    yield from containers(f"{path}.template", group.template)


def _custom_resources(path: str, flag: str) -> Iterator[FieldError]:
    if flag and not ray_resources.needs_shell(flag) and ray_resources.parse(flag) is None:
        message = f"{flag} is no JSON object of numbers: write it like '{{\"name\": 1}}'"
        yield FieldError(path, message, Rule.CUSTOM_RESOURCES)


def _container(path: str, container: base.Json) -> Iterator[FieldError]:
    if not container.get("name"):
        yield FieldError(f"{path}.name", "is empty: name the container", Rule.CONTAINER_NAME)
    for index, port in enumerate(container.get("ports") or []):
        if not isinstance(port.get("containerPort"), int):
            port_path = f"{path}.ports[{index}].containerPort"
            yield FieldError(port_path, "must be a port number", Rule.CONTAINER_PORT)
    for kind in ("limits", "requests"):
        listed = (container.get("resources") or {}).get(kind) or {}
        yield from _quantities(f"{path}.resources.{kind}", listed)


def _quantities(path: str, listed: Mapping[str, Any]) -> Iterator[FieldError]:
    for name, text in sorted(listed.items()):
        try:
            quantity.parse(text)
        except ValueError as error:
            yield FieldError(f"{path}[{name}]", str(error), Rule.QUANTITY)


def _bounds(path: str, group: api.WorkerGroupSpec) -> Iterator[FieldError]:
    least, most = group.min_replicas, group.max_replicas
    if least < 0:
        yield FieldError(f"{path}.minReplicas", f"is {least}: use 0 or more", Rule.REPLICAS)
    if most < 0:
        yield FieldError(f"{path}.maxReplicas", f"is {most}: use 0 or more", Rule.REPLICAS)
    if group.num_of_hosts > api.MOST_HOSTS:
        message = f"is {group.num_of_hosts}: use {api.MOST_HOSTS} at most"
        yield FieldError(f"{path}.numOfHosts", message, Rule.REPLICAS)
    if least > most:
        message = f"is {least}, above maxReplicas {most}: lower it, or raise maxReplicas"
        yield FieldError(f"{path}.minReplicas", message, Rule.REPLICAS)


def expressions() -> Iterator[cel.Cel]:
    """Yield the rules for the API server."""
    yield cel.Cel(
        Rule.MANAGED_BY,
        ("RayClusterSpec", "RayJobSpec", "RayServiceSpec"),
        "!has(oldSelf.managedBy) || !has(self.managedBy) || self.managedBy == oldSelf.managedBy",
        "managedBy can't be changed: make a new resource",
        ".managedBy",
    )
    params = cel.listed(("num-cpus", "num-gpus", "memory", "resources"))
    yield cel.Cel(
        Rule.RAY_RESOURCES,
        cel.GROUPS,
        cel.refuse(
            cel.given("resources"),
            "has(self.rayStartParams)",
            f"{params}.exists(p, p in self.rayStartParams && self.rayStartParams[p] != '')",
        ),
        "resources contradicts num-cpus, num-gpus, memory or resources of rayStartParams: keep"
        " one of the two",
        ".resources",
    )
    yield cel.Cel(
        Rule.RAY_LABELS,
        cel.GROUPS,
        "!has(self.rayStartParams) || !('labels' in self.rayStartParams)",
        "move the labels of rayStartParams to the field labels",
        ".rayStartParams",
    )
    part = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    yield cel.Cel(
        Rule.LABELS,
        cel.GROUPS,
        f"!has(self.labels) || self.labels.all(k, k.matches('^([a-z0-9.-]+/)?{part}$'))",
        f"a key of labels {meta.LABEL_WORDS}; a DNS name and '/' may precede it",
        ".labels",
    )
    yield cel.Cel(
        Rule.REPLICAS,
        ("WorkerGroupSpec",),
        "self.minReplicas <= self.maxReplicas",
        "minReplicas is above maxReplicas: lower it, or raise maxReplicas",
        ".minReplicas",
    )
    yield cel.Cel(
        Rule.GROUP_SUSPEND,
        cel.CLUSTER,
        cel.refuse(cel.AUTOSCALING, f"{cel.WORKERS}.exists(g, has(g.suspend) && g.suspend)"),
        "suspend of a group can't be true with autoscaling on: set maxReplicas to 0 instead",
        ".workerGroupSpecs",
    )
