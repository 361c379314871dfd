"""Why a Pod that has a node hasn't started: volumes, and the sandbox with its network.

Owns: reading the kubelet's events before the first container starts. Does not own: images and
containers (`containers`). Invariant: only asked while nothing has started, so that an event whose
cause is cured isn't told any more.
Source: Kubernetes 1.34, the kubelet's volume manager and runtime manager.
"""

import re
from collections.abc import Iterator

from ray_operator import records
from ray_operator.raycluster.diagnosis import cause
from ray_operator.raycluster.diagnosis import subject as subjects

Reason = cause.Reason

MISSING = re.compile(
    r'\b(secrets?|configmaps?|persistentvolumeclaims?|serviceaccounts?) "[^"]*" (is )?not found'
    r"|references non-existent (secret|config) key",
    re.IGNORECASE,
)
"""What kubelet and API server say of objects that a Pod names and that aren't there."""
MAKE_IT = "make the object that is named, or correct its name"


def held_up(subject: subjects.Subject) -> Iterator[cause.Cause]:
    """Give what keeps the Pod from starting, what names a cure first."""
    volumes = subject.said("FailedMount", "FailedAttachVolume", "FailedMapVolume")
    missing = [event for event in volumes if MISSING.search(event.message)]
    for event in missing:
        yield _cause(subject, event, Reason.OBJECT_MISSING, MAKE_IT)
    for event in volumes:
        if event not in missing:
            hint = "look at the volume, its claim and its driver on that node"
            yield _cause(subject, event, Reason.VOLUME_UNAVAILABLE, hint)
    for event in subject.said("FailedCreatePodSandBox", "NetworkNotReady"):
        hint = f"look at network plugin and container runtime of node {subject.pod.node}"
        yield _cause(subject, event, Reason.SANDBOX_FAILED, hint)


def _cause(
    subject: subjects.Subject, event: records.PodEvent, reason: Reason, hint: str
) -> cause.Cause:
    return cause.Cause(reason, f"Pod {subject.pod.name}: {cause.one_line(event.message)}: {hint}")
