"""What the API server refused to make, and what to do about it.

Owns: reading the answers to failed creates. Does not own: which failures there are (`actions`).
Invariant: the name that was drawn for one attempt isn't in a message.
Source: Kubernetes 1.34, messages of its admission plugins.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from ray_operator import actions, errors, names, records
from ray_operator.raycluster.diagnosis import cause

Reason = cause.Reason

_SECURITY_HINT = (
    "set the securityContext that is named, or let the namespace allow more; restricted wants"
    " runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities.drop: [ALL] and"
    " seccompProfile.type: RuntimeDefault"
)

_TOLD: Sequence[tuple[re.Pattern[str], Reason, str]] = tuple(
    (re.compile(pattern), reason, hint)
    for pattern, reason, hint in (
        (
            r"failed quota: .*must specify",
            Reason.QUOTA_EXCEEDED,
            "give every container the requests and limits that the ResourceQuota counts",
        ),
        (
            r"exceeded quota",
            Reason.QUOTA_EXCEEDED,
            "ask for less, or have the ResourceQuota raised",
        ),
        (
            r"(maximum|minimum) \S+ usage per|max limit to request ratio per",
            Reason.LIMIT_RANGE_VIOLATED,
            "stay within the namespace's LimitRange, or have it changed",
        ),
        (
            r"violates PodSecurity",
            Reason.POD_SECURITY_VIOLATED,
            _SECURITY_HINT,
        ),
        (
            r"failed calling webhook|failed to call webhook",
            Reason.ADMISSION_UNAVAILABLE,
            "the webhook doesn't answer: mend its service, or remove its configuration",
        ),
        (
            r"admission webhook .* denied|ValidatingAdmissionPolicy .* denied",
            Reason.ADMISSION_DENIED,
            "do as the policy says, or ask those who set it",
        ),
        (
            r"serviceaccount \S+ not found|no PriorityClass .* found|RuntimeClass .* not found",
            Reason.OBJECT_MISSING,
            "make the object that is named, or correct its name",
        ),
        (
            r"cannot (create|patch|update|get) resource",
            Reason.OPERATOR_FORBIDDEN,
            "the operator's Role lacks this: upgrade it together with the operator",
        ),
    )
)


def causes(outcome: actions.Outcome, *, of_workers: bool) -> Iterator[Sequence[cause.Cause]]:
    """Give what was refused of the head's needs, or of the rest: worker Pods and Ingresses."""
    for failure in outcome.failures:
        is_news = actions.makes(failure.action) and not isinstance(
            failure.error, errors.NamespaceEnds
        )
        if is_news and _is_of_workers(failure.action) == of_workers:
            yield [_cause(failure)]


def _is_of_workers(action: actions.Action) -> bool:
    manifest: Mapping[str, object] = getattr(action, "manifest", {})
    metadata = manifest.get("metadata")
    labels = metadata.get("labels") or {} if isinstance(metadata, Mapping) else {}
    is_worker = action.resource == records.PODS and labels.get(names.NODE_TYPE_LABEL) != names.HEAD
    return is_worker or action.resource == records.INGRESSES


def _cause(failure: actions.Result) -> cause.Cause:
    kind, told = failure.action.resource.kind, cause.one_line(actions.told(failure))
    if isinstance(failure.error, errors.AlreadyExists):
        hint = "it isn't this cluster's: delete or rename one of the two"
        return cause.Cause(Reason.NAME_TAKEN, f"{kind} {told}: {hint}")
    for pattern, reason, hint in _TOLD:
        if pattern.search(actions.told(failure)):
            return cause.Cause(reason, f"{kind} {told}: {hint}")
    return cause.Cause(Reason.CREATE_REFUSED, f"{kind} {told}")
