"""Write a decision as a change of the RayCluster that fails if it was made of an older one.

Owns: the JSON patch. Does not own: the decision (`decide`) or which nodes Ray let go (`scaling`).
Invariant: only `replicas` and `scaleStrategy` are ever touched, those fields that Ray's own
autoscaler writes, so `kubectl`, queues and a crash of ours find what they expect.
Source: RFC 6902.
"""

from collections.abc import Collection, Mapping
from typing import Any

from ray_operator.autoscaler import model

Operation = dict[str, Any]


def operations(
    groups: Collection[model.Group],
    *,
    launches: Mapping[str, int],
    gone: Mapping[str, Collection[tuple[str, ...]]],
) -> list[Operation]:
    """Return the change; nothing when all is as it should be. `gone` are replicas by group.

    Names of Pods that are gone are taken off the lists too.
    """
    found: list[Operation] = []
    for group in groups:
        left = gone.get(group.name, ())
        target = max(group.minimum, group.present() + launches.get(group.name, 0) - len(left))
        listed = [*group.lingering, *(pod for replica in left for pod in replica)]
        # What the bounds do anyway isn't written.
        replicas = group.stored if target == group.desired else target
        if replicas == group.stored and listed == list(group.listed):
            continue
        path = f"/spec/workerGroupSpecs/{group.index}"
        found.append({"op": "test", "path": f"{path}/groupName", "value": group.name})
        if replicas != group.stored:
            found += [
                {"op": "test", "path": f"{path}/replicas", "value": group.stored},
                {"op": "replace", "path": f"{path}/replicas", "value": replicas},
            ]
        if listed != list(group.listed):
            strategy = {"workersToDelete": listed}
            found.append({"op": "add", "path": f"{path}/scaleStrategy", "value": strategy})
    return found
