"""Why no node takes a Pod.

Owns: reading what the scheduler wrote into the Pod's condition. Does not own: Pods that have
a node. Invariant: what is in nobody's table is told as it was said.
Source: Kubernetes 1.34, kube-scheduler's plugins.
"""

import re

from ray_operator import records
from ray_operator.raycluster.diagnosis import cause

Reason = cause.Reason

_CLAIM = "make a PersistentVolume or StorageClass that suits the claim"
_HINTS = (
    (r"didn't match Pod's node affinity/selector", "correct nodeSelector or affinity"),
    (r"affinity rules", "relax podAffinity or podAntiAffinity, or add nodes"),
    (r"topology spread constraints", "relax topologySpreadConstraints, or add nodes"),
    (r"free ports", "another Pod has the hostPort on every node: use other ports"),
    (r"Too many pods", "add nodes"),
    (r"were unschedulable", "uncordon nodes, or add some"),
)
_PREEMPTION = re.compile(r"\.? ((no new claims to deallocate, )?preemption: .*|not found)$")


def unschedulable(pod: records.Pod) -> cause.Cause:
    """Say which resource, taint, rule or claim keeps the Pod from being placed."""
    said = cause.one_line(_PREEMPTION.sub("", pod.unscheduled.rstrip(".")))
    told = f"Pod {pod.name}: {said}"
    if "scheduling gates" in said:
        hint = "what set spec.schedulingGates, a queue for instance, has to remove them"
        return cause.Cause(Reason.SCHEDULING_GATED, f"{told}: {hint}")
    if re.search(r'persistentvolumeclaim "[^"]*" not found', said):
        hint = "make the object that is named, or correct its name"
        return cause.Cause(Reason.OBJECT_MISSING, f"{told}: {hint}")
    if re.search(r"unbound immediate PersistentVolumeClaims|non-existent persistentvolume", said):
        return cause.Cause(Reason.VOLUME_UNAVAILABLE, f"{told}: {_CLAIM}")
    if "volume node affinity conflict" in said:
        hint = "its volume is on a node or in a zone that has no room for it"
        return cause.Cause(Reason.VOLUME_UNAVAILABLE, f"{told}: {hint}")
    hints = [*_lacking(said), *(hint for pattern, hint in _HINTS if re.search(pattern, said))]
    return cause.Cause(Reason.UNSCHEDULABLE, ": ".join([told, *(["; ".join(hints)] * bool(hints))]))


def _lacking(said: str) -> list[str]:
    hints = []
    if short := sorted(set(re.findall(r"Insufficient ([\w./-]*\w)", said))):
        hints.append(f"ask for less {' and '.join(short)}, or add nodes that have it")
    if taints := sorted(set(re.findall(r"untolerated taint(?:\(s\))? \{([^}:]*)", said))):
        hints.append(f"tolerate {' and '.join(taints)}, or add nodes without")
    return hints
