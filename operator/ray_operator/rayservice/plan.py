"""Decide what to do about one RayService now.

Owns: whose it is, whether its spec counts, its finalizer, and its deletion. Does not own: the steps
(`decide`). Invariant: a RayService that is being deleted stays until its clusters are gone, so that
what they leave elsewhere is removed too.
Source: KubeRay 1.7, RayService controller.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from ray_operator import actions, finalizers, names, records, serve_records, settings, validity
from ray_operator.api import rayservice as api
from ray_operator.api import service_vocabulary
from ray_operator.api.rules import FieldError
from ray_operator.api.validation import rayservice as rules
from ray_operator.rayservice import aspects, decide, inquiry, reasons
from ray_operator.rayservice import cluster as clusters
from ray_operator.rayservice import state as states
from ray_operator.rayservice.case import Case, soonest
from ray_operator.rayservice.observed import Observed

FINALIZER = "ray.io/rayservice-finalizer"
_SPEC_VALID = service_vocabulary.ServiceCondition.SPEC_VALID


def plan(
    service: api.RayService, observed: Observed, options: settings.Settings, now: datetime
) -> actions.Plan:
    """Return the actions of one pass; nothing for a foreign RayService."""
    if not is_ours(service):
        return actions.Plan()
    if service.metadata.deletion_timestamp:
        return _farewell(service, observed)
    invalid = tuple(rules.errors(service, options.feature_gates))
    warnings = rules.warnings(service, options.feature_gates)
    events = validity.events(service, _SPEC_VALID, invalid=invalid, warnings=warnings)
    if not invalid and FINALIZER not in service.metadata.finalizers:
        added = finalizers.added(
            service, FINALIZER, of=records.RAYSERVICES, reasons=reasons.FINALIZER
        )
        return actions.Plan(actions=(added,), requeue_after=timedelta())
    case = of(service, observed, options=options, now=now, invalid=invalid)
    step = decide.decide(case)
    return actions.Plan(
        actions=step.todo,
        requeue_after=soonest(step.wait, aspects.wait(case, step.state)),
        invalid=invalid,
        events=events,
    )


def of(
    service: api.RayService,
    observed: Observed,
    *,
    options: settings.Settings,
    now: datetime,
    invalid: tuple[FieldError, ...],
) -> Case:
    """Bundle up a pass."""
    return Case(
        service=service,
        state=states.of(service),
        observed=observed,
        options=options,
        now=now,
        invalid=invalid,
    )


def wanted(
    service: api.RayService,
    observed: Observed,
    decided: actions.Plan,
    now: datetime,
    *,
    options: settings.Settings,
) -> Mapping[str, serve_records.ServeInquiry] | None:
    """Return what is wanted of the clusters after a pass that decided so; None: nothing."""
    if not is_ours(service) or service.metadata.deletion_timestamp:
        return None
    case = of(service, observed, options=options, now=now, invalid=decided.invalid)
    return inquiry.inquiries(case)


def is_ours(service: api.RayService) -> bool:
    """Tell whether this operator is to reconcile the RayService."""
    return service.spec.managed_by in {None, names.MANAGED_BY_US}


def _farewell(service: api.RayService, observed: Observed) -> actions.Plan:
    """Delete all clusters, then let the RayService go; its Services go with it."""
    if FINALIZER not in service.metadata.finalizers:
        return actions.Plan()
    living = [each for name in sorted(observed.clusters) if (each := observed.cluster(name))]
    if observed.clusters:
        why = "the RayService is deleted"
        return actions.Plan(actions=tuple(clusters.delete(each, why) for each in living))
    release = finalizers.removed(
        service, FINALIZER, of=records.RAYSERVICES, reasons=reasons.RELEASE
    )
    return actions.Plan(actions=(release,))
