"""Adding and removing a finalizer of our own resources: the same way for every kind.

Owns: the patch. Does not own: when a finalizer comes and goes (`raycluster.cleanup`,
`rayjob.plan`). Invariant: another one's finalizer is never lost, though the list is replaced as a
whole: the patch holds for the version that was read, and for no other.
"""

from ray_operator import actions, records
from ray_operator.api import base


def added(
    resource: base.Resource, finalizer: str, *, of: records.Resource, reasons: actions.Reasons
) -> actions.Patch:
    """Add it; `of` names the resource's kind."""
    return _patch(resource, [*resource.metadata.finalizers, finalizer], of, reasons)


def removed(
    resource: base.Resource, finalizer: str, *, of: records.Resource, reasons: actions.Reasons
) -> actions.Patch:
    """Remove it; `of` names the resource's kind."""
    left = [each for each in resource.metadata.finalizers if each != finalizer]
    return _patch(resource, left, of, reasons)


def _patch(
    resource: base.Resource, finalizers: list[str], of: records.Resource, reasons: actions.Reasons
) -> actions.Patch:
    meta = resource.metadata
    change = {"finalizers": finalizers, "resourceVersion": meta.resource_version}
    return actions.Patch(
        resource=of,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        change={"metadata": change},
        reasons=reasons,
    )
