"""The Service that leads to the head of whichever attempt runs, under a name that stays.

Owns: when it is made and when it follows to another cluster. Does not own: what it looks like
(`raycluster.reach`). Invariant: the operator itself doesn't use it.
Source: KubeRay 1.7, head Service of a RayJob.
"""

from ray_operator import actions, names, records, settings
from ray_operator.api import rayjob as api
from ray_operator.raycluster import reach
from ray_operator.rayjob import children
from ray_operator.rayjob.observed import Observed


def plan(
    job: api.RayJob,
    observed: Observed,
    *,
    options: settings.Settings,
) -> tuple[actions.Action, ...]:
    """Make it, or have it follow to the present cluster; else leave it as it is."""
    cluster, found = observed.cluster, observed.service
    if cluster is None or (
        found is not None and found.selector.get(names.CLUSTER_LABEL) == cluster.metadata.name
    ):
        return ()
    wanted = reach.service(job, cluster, options=options)
    if found is None:
        return (
            actions.Apply(
                resource=records.SERVICES, manifest=wanted, reasons=children.SERVICE, is_new=True
            ),
        )
    if (found.cluster_ip == "None") is not (wanted["spec"].get("clusterIP") == "None"):
        wanted["spec"].pop("clusterIP", None)  # it can't change; the rest can
    return (
        actions.Apply(resource=records.SERVICES, manifest=wanted, reasons=children.SERVICE_UPDATED),
    )
