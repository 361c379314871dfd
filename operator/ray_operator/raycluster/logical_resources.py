"""The logical resources that a group's Pods offer to Ray, as flags of `ray start`.

Owns: what the group's `resources` field and the Ray container's resources amount to. Does not
own: what the Pods ask of Kubernetes (`resources`). Invariant: what the user wrote as a flag is
only ever replaced by the user's own `resources` field. Ray's autoscaler derives the same numbers
from the spec by itself. Source: KubeRay 1.7, rayStartParams from resources.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ray_operator import quantity
from ray_operator.api import ray_resources
from ray_operator.api import raycluster as api
from ray_operator.raycluster import resources

_FLAGS = ("num-cpus", "memory", "num-gpus", "resources")
_ACCELERATORS = {"aws.amazon.com/neuroncore": "neuron_cores", resources.TPU: "TPU"}


def flags(group: api.GroupSpec) -> dict[str, str]:
    """Return `num-cpus`, `memory`, `num-gpus` and `resources` as far as they are known."""
    given = {**group.ray_start_params, **_declared(group.resources)}
    kept = {key: value for key, value in given.items() if key in _FLAGS}
    return {**_derived(group.ray_container), **kept, **_accelerator(group.ray_container, kept)}


def _declared(declared: Mapping[str, str]) -> dict[str, str]:
    """Turn the group's `resources` field into flags; entries that can't be read are skipped."""
    found: dict[str, str] = {}
    others: dict[str, Fraction] = {}
    for name, text in sorted(declared.items()):
        try:
            each = quantity.parse(text)
        except ValueError:
            continue
        lowered = name.lower()
        if lowered == "cpu":
            found["num-cpus"] = str(quantity.round_up(each))
        elif lowered == "memory":
            found["memory"] = str(quantity.round_up(each))
        elif resources.is_gpu(lowered):
            found["num-gpus"] = str(quantity.round_up(each))
        else:
            others[name] = each.value
    if others:
        found["resources"] = _json_flag(others)
    return found


def _derived(container: Mapping[str, Any]) -> dict[str, str]:
    """Derive CPUs, memory and GPUs from the Ray container; at most one kind of GPU counts."""
    limits = resources.limits(container)
    gpus = (resources.amount(limits, name) for name in sorted(limits) if resources.is_gpu(name))
    derived = {
        "num-cpus": resources.limit_or_request(container, "cpu"),
        "memory": resources.limit_or_request(container, "memory"),
        "num-gpus": next(filter(None, gpus), quantity.ZERO),
    }
    return {key: str(quantity.round_up(each)) for key, each in derived.items() if each}


def _accelerator(container: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Add the container's accelerator to the custom resources unless the user did."""
    limits = resources.limits(container)
    present = [name for name in sorted(_ACCELERATORS) if resources.amount(limits, name)]
    custom = ray_resources.parse(given.get("resources", "{}"))
    if not present or custom is None or set(custom) & set(_ACCELERATORS.values()):
        return {}
    found = Fraction(quantity.round_up(resources.amount(limits, present[0])))
    return {"resources": _json_flag({**custom, _ACCELERATORS[present[0]]: found})}


def _json_flag(values: Mapping[str, float | Fraction]) -> str:
    """Write a JSON object for the shell; whole numbers lose their `.0`, as Go writes them."""
    plain = {
        name: int(value) if value == int(value) else float(value) for name, value in values.items()
    }
    return f"'{json.dumps(plain, sort_keys=True, separators=(',', ':'))}'"
