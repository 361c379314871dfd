"""What a node of a group would offer to Ray, before there is one.

Owns: reading it off the group. Does not own: the flags it is read from
(`raycluster.logical_resources`), or nodes that exist. Invariant: never more than Ray would find.
Source: Ray, the configuration that its autoscaler derives from a RayCluster; how TPU hosts name
themselves.
"""

import math
from collections.abc import Mapping

from ray_operator.api import ray_resources
from ray_operator.api import raycluster as api
from ray_operator.autoscaler import amounts, packing
from ray_operator.raycluster import groups, logical_resources

GROUP_LABEL = "ray.io/node-group"
_TOPOLOGY = "cloud.google.com/gke-tpu-topology"
_ACCELERATOR = "cloud.google.com/gke-tpu-accelerator"
_TPU_GENERATIONS = {
    "tpu-v4-podslice": ("v4", 2),
    "tpu-v5-lite-device": ("v5litepod", 1),
    "tpu-v5-lite-podslice": ("v5litepod", 1),
    "tpu-v5p-slice": ("v5p", 2),
    "tpu-v6e-slice": ("v6e", 1),
    "tpu7x": ("v7x", 2),
}
"""Generation, and cores of a chip, by accelerator."""


def offers(
    group: api.WorkerGroupSpec, *, seen: Mapping[str, int] | None = None
) -> tuple[packing.Offer, ...]:
    """Return the hosts of a new replica; empty when nobody knows what they would have.

    `seen` is what a node of the group has that exists; it is right where the spec is silent.
    """
    total = dict(seen) if seen is not None else _nominal(group)
    if total is None:
        return ()
    labels = {**group.labels, GROUP_LABEL: group.group_name}
    hosts = groups.hosts(group)
    slice_head = _slice_head(group)
    total.pop(slice_head, None)
    if not slice_head:
        return (packing.Offer(total, labels, hosts),)
    first = packing.Offer({**total, slice_head: amounts.SCALE}, labels, 1)
    return (first, packing.Offer(total, labels, hosts - 1)) if hosts > 1 else (first,)


def _nominal(group: api.WorkerGroupSpec) -> dict[str, int] | None:
    flags = logical_resources.flags(group)
    cpus = _whole(flags.get("num-cpus"))
    custom = ray_resources.parse(flags.get("resources", "{}"))
    if cpus is None or custom is None:
        return None
    found = {"CPU": float(cpus), **custom}
    for name, flag in (("GPU", "num-gpus"), ("memory", "memory")):
        if (amount := _whole(flags.get(flag))) is not None:
            found[name] = float(amount)
    return {name: amount for name, amount in amounts.offered(found).items() if amount}


def _whole(text: str | None) -> int | None:
    """Read a number; None for an expression that only the Pod's shell knows."""
    try:
        return math.floor(float(text)) if text is not None else None
    except (ValueError, OverflowError):
        return None


def _slice_head(group: api.WorkerGroupSpec) -> str:
    """Name the resource of the first host of a TPU slice; empty for other groups."""
    selector = (group.template.get("spec") or {}).get("nodeSelector") or {}
    generation = _TPU_GENERATIONS.get(selector.get(_ACCELERATOR, ""))
    dimensions = str(selector.get(_TOPOLOGY, "")).split("x")
    if generation is None or not all(each.isdecimal() for each in dimensions):
        return ""
    name, cores = generation
    return f"TPU-{name}-{math.prod(map(int, dimensions)) * cores}-head"
