"""Tell users what is wrong with a spec: the same way for every kind.

Owns: the events, and the condition of the kind's own type. Does not own: the rules
(`api.validation`). Invariant: what is wrong with a generation is told once, by event, and the
condition says it for as long as it lasts.
"""

from collections.abc import Sequence

from ray_operator import actions, conditions
from ray_operator.api import base, rules, vocabulary

VALID = vocabulary.ClusterReason.VALID
INVALID = vocabulary.ClusterReason.INVALID


def condition(type_: str, invalid: Sequence[rules.FieldError]) -> conditions.Condition:
    """Return the condition, true when nothing is wrong."""
    return conditions.Condition(
        type=type_,
        status="False" if invalid else "True",
        reason=INVALID if invalid else VALID,
        message="; ".join(map(str, invalid)),
    )


def events(
    resource: base.Resource,
    type_: str,
    *,
    invalid: Sequence[rules.FieldError],
    warnings: Sequence[rules.FieldError],
) -> tuple[actions.Event, ...]:
    """Return the events about this generation, none when its condition has been written so.

    Annotations and the operator's configuration make no generation, but what was right may be wrong
    by them: the words tell. Source: KubeRay 1.7, reasons such as `InvalidRayClusterSpec`.
    """
    told = conditions.find(conditions.read(resource.status.get("conditions", ())), type_)
    if (
        told is not None
        and told.observed_generation == resource.metadata.generation
        and told.message == condition(type_, invalid).manifest()["message"]
    ):
        return ()
    return tuple(
        actions.Event(
            type="Warning",
            reason=f"Invalid{resource.kind}{part}",
            action="Validate",
            message="; ".join(map(str, found)),
        )
        for part in ("Metadata", "Spec")
        if (found := [each for each in [*invalid, *warnings] if _part(each) == part])
    )


def _part(error: rules.FieldError) -> str:
    return "Metadata" if error.path.startswith("metadata") else "Spec"
