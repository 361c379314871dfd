"""What keeps a head from being made or started that no Pod and no refusal tells of.

Owns: missing objects of the user, and a head that has to wait for the one before it. Does not own:
whether they are missing (`account`, `claim`) or the waiting (`head`). Invariant: pure.
"""

from collections.abc import Iterator, Sequence

from ray_operator import records
from ray_operator.api import raycluster as api
from ray_operator.raycluster import account, storage
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster.diagnosis import cause


def causes(cluster: api.RayCluster, observed: seen.Observed) -> Iterator[Sequence[cause.Cause]]:
    """Give the obstacles of a head that isn't there."""
    living = [pod for pod in observed.head_pods() if pod.deletion_at is None]
    if not living and account.is_missing(cluster, observed.around):
        yield [cause.Cause(cause.Reason.OBJECT_MISSING, account.missing(cluster))]
    if not storage.is_on(cluster):
        return
    if storage.given(cluster).claim_name and observed.around.has_claim is False:
        name = storage.claim_name(cluster)
        message = f"PersistentVolumeClaim {name} doesn't exist: make it, or correct claimName"
        yield [cause.Cause(cause.Reason.OBJECT_MISSING, message)]
    heads = [*observed.head_pods(), *filter(seen.is_head, observed.former)]
    going = [pod for pod in heads if pod not in living and not seen.is_finished(pod)]
    if going and not living:
        yield [cause.Cause(cause.Reason.FORMER_HEAD_TERMINATES, _waits(going[0]))]


def _waits(pod: records.Pod) -> str:
    return (
        f"the new head waits for Pod {pod.name} on node {pod.node or '<none>'}, which may still"
        " write to the volume: if that node is gone for good, delete the Pod with --force"
    )
