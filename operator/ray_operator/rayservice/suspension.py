"""Suspending a RayService: everything goes, and comes again of the newest spec.

Owns: the steps. Does not own: what is told (`aspects`). Invariant: what was begun is finished,
whatever becomes of `suspend` meanwhile; nothing is deleted before the status says so.
Source: KubeRay 1.7, suspension of RayServices; that it works with an invalid spec is ours.
"""

import dataclasses

from ray_operator.rayservice import cluster as clusters
from ray_operator.rayservice import services
from ray_operator.rayservice.case import Case, Step
from ray_operator.rayservice.state import Phase, State

_WHY = "the RayService is suspended"


def applies(case: Case) -> bool:
    """Tell whether the RayService is suspended, or on its way there."""
    return case.state.phase is Phase.SUSPENDING or bool(case.spec.suspend)


def step(case: Case) -> Step:
    """Take the next step."""
    if case.state.phase is Phase.SUSPENDED:
        return Step(state=case.state)
    if case.state.phase is not Phase.SUSPENDING:
        return Step(state=State(phase=Phase.SUSPENDING))
    observed = case.observed
    if not observed.clusters and not observed.services:
        return Step(state=dataclasses.replace(case.state, phase=Phase.SUSPENDED))
    living = [each for name in sorted(observed.clusters) if (each := observed.cluster(name))]
    return Step(
        state=case.state,
        todo=(
            *(clusters.delete(each, _WHY) for each in living),
            *(services.delete(each, _WHY) for each in observed.services),
        ),
    )
