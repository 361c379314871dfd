"""How the head of a RayService ends whose state outlives it: requests first, Ray after them.

Owns: the hook that runs before the Ray container is told to end. Does not own: which Pods a Service
leads to; Kubernetes takes one out as soon as it is deleted. Invariant: a hook of the user's stays.

A replica stands still that is to answer a proxy which is gone, until it hears of that; and Ray ends
its GCS along with the head's proxy. Where two replicas on two workers go on without their head, 3
to 54 % of a minute's requests failed (Ray 2.46: 51, 57, 821 and 826 of some 1,530). With this hook
and `RAY_core_worker_rpc_server_reconnect_timeout_s` it was 0 to 2 of some 1,710 (four heads).
"""

from typing import Any

from ray_operator.api import raycluster as api
from ray_operator.raycluster import fault_tolerance, metadata

SECONDS = 7
_GRACE_SECONDS = 30  # Kubernetes' default

# First whoever is led to the Pod is led elsewhere. Then the proxy goes, whose clients open other
# connections; the raylet tells the replicas of it as long as it lives. The process is known by the
# name that Ray gives it, as far as Linux keeps names: images may lack `pkill`.
_SCRIPT = """\
sleep 5
for each in /proc/[0-9]*; do
  [[ $(< "$each/comm") == ray::ProxyActor ]] && kill -KILL "${each#/proc/}"
done
sleep 2
"""


def lifecycle(cluster: api.RayCluster, group: api.GroupSpec) -> dict[str, Any]:
    """Return the `lifecycle` of a group's Ray container: the template's, and the hook if it fits.

    There is none where the Pod is to be gone before the hook would be over, nor where it would find
    the processes of other Pods of the node.
    """
    given: dict[str, Any] = group.ray_container.get("lifecycle") or {}
    pod = group.template["spec"]
    grace = pod.get("terminationGracePeriodSeconds")
    is_short = (_GRACE_SECONDS if grace is None else grace) <= SECONDS
    fits = not (given.get("preStop") or is_short or pod.get("hostPID"))
    if not (fits and _is_outlived(cluster, group)):
        return given
    return {**given, "preStop": {"exec": {"command": ["bash", "-c", _SCRIPT]}}}


def _is_outlived(cluster: api.RayCluster, group: api.GroupSpec) -> bool:
    serves = metadata.creator_kind(cluster) == "RayService"
    return serves and isinstance(group, api.HeadGroupSpec) and fault_tolerance.is_on(cluster)
