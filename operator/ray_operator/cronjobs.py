"""RayCronJobs as the loop works them: how their parts come together.

Owns: wiring the pure parts, and the word in the log that RayCronJobs are ignored. Does not own: any
decision. Invariant: nothing here asks the cluster anything.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

from ray_operator import lookups, reconcile, records, resources, settings
from ray_operator.api import raycronjob as api
from ray_operator.raycronjob import due, observed, plan, status, transitions

_log = logging.getLogger(__name__)


def kind(
    seen: Callable[[api.RayCronJob, Any], observed.Observed], options: settings.Settings
) -> reconcile.Kind[api.RayCronJob, observed.Observed]:
    """Return what the loop must know of RayCronJobs; `seen` tells their RayJobs."""
    return reconcile.Kind(
        resource=records.RAYCRONJOBS,
        decode=api.RayCronJob.model_validate_json,
        refresh=_nothing,
        look_up=lookups.nothing,
        observe=seen,
        plan=plan.plan,
        inquire=lambda *_: None,
        ask=lambda *_: None,
        next_status=functools.partial(status.next_status, options=options),
        news=functools.partial(transitions.events, options=options),
    )


async def _nothing(_: records.Key) -> None:
    """Don't list RayJobs again: the name of a tick is taken at most once."""


def telling(options: settings.Settings, touched: resources.Touched) -> resources.Touched:
    """Return `touched` with a warning in the log at the first RayCronJob that is ignored."""
    if not due.is_gated(options):
        return touched
    told: list[records.Key] = []

    def watching(key: records.Key, body: dict[str, Any]) -> None:
        if key.kind == records.RAYCRONJOBS.kind and not told:
            told.append(key)
            _log.warning(
                "RayCronJob %s/%s and all others: %s", key.namespace, key.name, status.GATE_OFF
            )
        touched(key, body)

    return watching
