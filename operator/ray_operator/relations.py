"""Whom a change of one of our own resources concerns beside itself.

Owns: finding the keys to wake for it. Does not own: the store that tells of changes (`resources`),
or what a pass makes of them. Invariant: only keys of kinds that are reconciled come out, so that
nothing is queued that no one works off.
"""

from collections.abc import Callable, Collection
from typing import Any

from ray_operator import records, resources


def owners(body: dict[str, Any], *, namespace: str, kinds: Collection[str]) -> list[records.Key]:
    """Return the key of the object's controller if that is of one of the kinds.

    A RayJob's changes concern the RayCronJob that made it, a RayCluster's the RayJob.
    """
    return [
        records.Key(each["kind"], namespace, each["name"])
        for each in body["metadata"].get("ownerReferences", ())
        if each.get("controller") and _is_ours(each) and each["kind"] in kinds
    ]


def waking(wake: Callable[[records.Key], None], *, kinds: Collection[str]) -> resources.Touched:
    """Return what the store is to tell of each change, to `wake` the owners."""

    def touched(key: records.Key, body: dict[str, Any]) -> None:
        for owner in owners(body, namespace=key.namespace, kinds=kinds):
            wake(owner)

    return touched


def _is_ours(reference: dict[str, Any]) -> bool:
    group = records.GROUP_VERSION.partition("/")[0]
    return bool(reference["apiVersion"].partition("/")[0] == group)
