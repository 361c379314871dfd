"""The ServiceAccount that the user gave the head for the autoscaler, and has yet to make.

Owns: whether it is missing, and how that is told. Does not own: the account that the operator
makes (`rbac`). Invariant: no head is made for an account that is known to be missing; the API
server would refuse it each time.
"""

from datetime import timedelta

from ray_operator import actions, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import autoscaling, sidecar

NOT_FOUND = "AutoscalerServiceAccountNotFound"
LOOK_AGAIN = timedelta(seconds=5)


def needed(cluster: api.RayCluster, options: settings.Settings) -> str:
    """Name the account that has to be there, ``""`` for none."""
    return sidecar.given_account(cluster) if autoscaling.has_sidecar(cluster, options) else ""


def is_missing(cluster: api.RayCluster, around: records.Surroundings) -> bool:
    """Tell whether it was needed, and is known not to be there."""
    return bool(sidecar.given_account(cluster)) and around.has_account is False


def missing(cluster: api.RayCluster) -> str:
    """Say what is missing and what to do."""
    return (
        f"ServiceAccount {sidecar.given_account(cluster)} doesn't exist: make it, or remove"
        " serviceAccountName from the head's template to have one made"
    )


def events(cluster: api.RayCluster, around: records.Surroundings) -> tuple[actions.Event, ...]:
    """Tell of it once a generation."""
    answered = cluster.status.get("observedGeneration")
    if answered == cluster.metadata.generation or not is_missing(cluster, around):
        return ()
    return (
        actions.Event(
            type="Warning", reason=NOT_FOUND, action="Validate", message=missing(cluster)
        ),
    )
