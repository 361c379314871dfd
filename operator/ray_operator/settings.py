"""What an administrator can set, as one frozen value handed to pure code.

Owns: the settings that decisions read. Does not own: reading flags, files and environment
(`__main__`). Invariant: nothing below `__main__` reads `os.environ`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ray_operator import features

REVISIT = timedelta(minutes=30)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAdditions:
    """What every Ray Pod gets beside what its user wrote; the user's entries of a name stay.

    Attributes:
        head_containers, worker_containers: appended to the Pod's containers, names unique.
        env: for the Ray container only, names unique.
    """

    head_containers: tuple[Json, ...] = ()
    worker_containers: tuple[Json, ...] = ()
    env: tuple[Json, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one operator process; the defaults are those of the command line.

    Attributes:
        version: the operator's version as stamped on head Pods; must differ from any KubeRay's.
        cluster_domain: DNS suffix of Services.
        inject_init_container: workers wait for the GCS in an init container.
        inject_probes: the Ray container gets probes that the user didn't write.
        login_shell: bash starts as a login shell in Ray containers.
        deterministic_head_name: the head Pod is `<cluster>-head`, without a random suffix.
        head_cluster_ip_service: the head Service gets a ClusterIP instead of being headless.
        random_pod_delete: the operator may scale down a group although autoscaling is on.
        resync: what is watched is made true by lists after this time, again and again.
        revisit: a resource that nothing wakes is looked at again after this time.
        stuck_after: a Pod still there this long after its deletion time counts as gone.
        redis_cleanup: the state of a deleted cluster is removed from Redis.
        feature_gates: those that are on.
        drain_timeout: how long a worker that goes may finish its tasks; None means as long as its
            Pod's termination grace period, but at least 30 s.
        replace_pace: a Pod that fails sooner than this after its creation is replaced only then.
        additions: what every Ray Pod gets.
        wait_resources: of the container in which workers wait, as is; None means ours, capped.
        ingress_on_openshift: there, too, the dashboard gets an Ingress and no Route.
        use_kubernetes_proxy: heads are dialled through the API server.
        autoscaler_default: who scales where the user doesn't say: `operator` or `sidecar`.
        zero_downtime: a RayService that says nothing is upgraded beside the running one.
        delete_finished_rayjobs: a RayJob that shuts its cluster down goes itself.
        rayjob_transition_grace: how long a RayJob waits for the end that Ray has told.
        rayjob_status_timeout: how long a RayJob's status may be unreadable.
        rayjob_trusts_submitter: a job fails when its submitter ended 30 s ago, whatever Ray says.
        time_zone: IANA name of the zone of schedules that name none.
    """

    version: str
    cluster_domain: str = "cluster.local"
    inject_init_container: bool = True
    inject_probes: bool = True
    login_shell: bool = False
    deterministic_head_name: bool = False
    head_cluster_ip_service: bool = False
    random_pod_delete: bool = False
    resync: timedelta = timedelta(minutes=5)
    revisit: timedelta = REVISIT
    stuck_after: timedelta = timedelta(seconds=60)
    redis_cleanup: bool = True
    feature_gates: features.Features = features.DEFAULT
    drain_timeout: timedelta | None = None
    replace_pace: timedelta = timedelta(seconds=10)
    additions: PodAdditions = PodAdditions()
    wait_resources: Json | None = None
    ingress_on_openshift: bool = False
    use_kubernetes_proxy: bool = False
    autoscaler_default: str = "operator"
    zero_downtime: bool = True
    delete_finished_rayjobs: bool = False
    rayjob_transition_grace: timedelta = timedelta(seconds=300)
    rayjob_status_timeout: timedelta = timedelta(seconds=300)
    rayjob_trusts_submitter: bool = False
    time_zone: str = "UTC"
