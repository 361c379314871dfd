"""What a RayService wants of its clusters: to know of Serve, and to have a configuration deployed.

Owns: the inquiries of one pass. Does not own: asking (`serve_pollers`). Invariant: the newest
configuration goes to the cluster that is to be as the spec says; one that serves while another gets
ready keeps its own.
Source: KubeRay 1.7, submitting of Serve applications.
"""

from collections.abc import Mapping

import msgspec

from ray_operator import names, serve_records
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import serve_config
from ray_operator.raycluster import probes, reach
from ray_operator.rayservice import goal, succession, suspension
from ray_operator.rayservice.case import Case
from ray_operator.rayservice.state import Phase, State


def inquiries(case: Case) -> Mapping[str, serve_records.ServeInquiry]:
    """Return what is wanted of each cluster, by name."""
    if suspension.applies(case) or case.state.phase is Phase.TIMED_OUT:
        return {}
    state = succession.following(case)
    return {
        name: _inquiry(case, state, cluster)
        for name in (state.active, state.pending)
        if name and (cluster := case.observed.cluster(name)) is not None
    }


def _inquiry(
    case: Case, state: State, cluster: cluster_api.RayCluster
) -> serve_records.ServeInquiry:
    name = cluster.metadata.name
    pod = case.observed.head(name)
    is_headless = case.spec.exclude_head_pod_from_serve_svc
    config = serve_config.read(case.spec.serve_config_v2)
    applied = cluster.metadata.annotations.get(names.SERVE_CONFIG_ANNOTATION, "")
    is_goal = name == (state.pending or state.active) and not case.invalid
    # One that isn't marked yet may be about to be replaced.
    is_newest = is_goal and goal.is_marked(cluster, options=case.options)
    is_kept = config is not None and config.digest == applied  # if its head comes back empty
    found = serve_records.ServeInquiry(
        head=reach.head(cluster, pod, reach.dashboard(cluster, options=case.options)),
        pod=pod.name if pod else "",
        ip=pod.ip if pod else "",
        port=0 if is_headless else probes.serve_port(cluster.spec.head_group_spec),
        applied=applied,
        is_steady=not state.pending,
    )
    if config is None or not (is_newest or is_kept):
        return found
    return msgspec.structs.replace(
        found, config=config.document, digest=config.digest, applications=config.applications
    )
