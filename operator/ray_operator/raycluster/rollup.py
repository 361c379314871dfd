"""What a cluster's own diagnosis means to the RayJob or RayService that waits for it.

Owns: the condition that repeats it. Does not own: the diagnosis (`diagnosis`). Invariant: its
status and reason are the cluster's own, so that one word has one meaning.
"""

from ray_operator import conditions
from ray_operator.api import job_vocabulary, vocabulary
from ray_operator.api import raycluster as api

READY = vocabulary.ClusterCondition.READY
NOT_FOUND = job_vocabulary.JobReason.CLUSTER_NOT_FOUND
UNKNOWN = job_vocabulary.JobReason.CLUSTER_UNKNOWN


def ready(name: str, cluster: api.RayCluster | None) -> conditions.Condition:
    """Return whether the cluster of that name is ready, and why not; None is one that isn't there.

    Its type is that of the cluster's own condition.
    """
    if cluster is None:
        return _condition("False", NOT_FOUND, f"RayCluster {name} doesn't exist")
    said = conditions.find(conditions.read(cluster.status.get("conditions", ())), READY)
    if said is None:
        return _condition("Unknown", UNKNOWN, f"RayCluster {name} has no such condition yet")
    text = f"RayCluster {name}: {said.message}" if said.message else ""
    return _condition(said.status, said.reason, text)


def _condition(status: str, reason: str, message: str) -> conditions.Condition:
    return conditions.Condition(type=READY, status=status, reason=reason, message=message)
