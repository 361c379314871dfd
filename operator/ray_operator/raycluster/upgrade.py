"""Upgrade strategies: which Pods are of an older spec than the present one, and what may be done.

Owns: telling old Pods by the hashes that are stamped on them, and what stands against replacing
them. Does not own: the hashes (`spec_hash`), or what is done about old Pods (`plan` at once,
`rollout` bit by bit). Invariant: an operator of another version, the reference's included, may hash
differently, so its hashes are replaced by ours and never compared.
Source: KubeRay 1.7, upgrade strategy of RayCluster; rolling updates are ours.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ray_operator import conditions, names, records, settings
from ray_operator.api import options as api_options
from ray_operator.api import ray_version, vocabulary
from ray_operator.api import raycluster as api
from ray_operator.raycluster import fault_tolerance, groups, spec_hash
from ray_operator.raycluster import observed as seen

PROVISIONED = vocabulary.ClusterCondition.PROVISIONED
VERSION_CHANGES = (
    "RollingUpdate can't change the version of Ray, which all nodes must share: use the strategy"
    " Recreate"
)
STATE_IS_LOST = (
    "replacing the head would end its jobs and actors: keep its state by gcsFaultToleranceOptions,"
    " or set rollingUpdate.replaceHead to Always"
)
HEAD_STAYS = "rollingUpdate.replaceHead is Never"


def outdated(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings
) -> Sequence[records.Pod]:
    """Return the Pods of an older spec, if the strategy is to replace all at once."""
    if not recreates(cluster) or foreign(observed, options=options):
        return ()
    current = spec_hash.spec_hash(cluster.spec)
    return [
        pod
        for pod in observed.pods
        if pod.annotations.get(names.HASH_ANNOTATION, current) != current
    ]


def recreates(cluster: api.RayCluster) -> bool:
    """Tell whether a changed spec replaces all Pods at once."""
    return _strategy(cluster) == api_options.RECREATE


def rolls(cluster: api.RayCluster) -> bool:
    """Tell whether a changed spec replaces the Pods of changed groups bit by bit."""
    return _strategy(cluster) == api_options.ROLLING_UPDATE


def rolled(cluster: api.RayCluster, observed: seen.Observed) -> Sequence[records.Pod]:
    """Return the Pods that an ended rolling update left as they are, though the spec changed.

    They are to carry the present hash, or a later change to Recreate would replace them.
    """
    if not rolls(cluster):
        return ()
    current = spec_hash.spec_hash(cluster.spec)
    living = [pod for pod in observed.pods if pod.deletion_at is None]
    stale = [
        pod
        for pod in living
        if pod.annotations.get(names.HASH_ANNOTATION, current) != current
        and group_of(cluster.spec, pod)
    ]
    progress_ = progress(cluster, observed) if stale else None
    done = progress_ is not None and not progress_.head and not progress_.workers
    return stale if done else ()


def removes_groups(cluster: api.RayCluster) -> bool:
    """Tell whether workers whose group was removed from the spec go with it."""
    asked = cluster.metadata.annotations.get(names.DELETE_ORPHANS_ANNOTATION, "")
    return asked.lower() == "true" or recreates(cluster) or rolls(cluster)


def is_old(spec: api.RayClusterSpec, group: api.GroupSpec) -> Callable[[records.Pod], bool]:
    """Return how to tell Pods of the group that are of an older template.

    The hash is made when a Pod is first asked about: most passes ask about none.
    """
    current = functools.cache(lambda: spec_hash.group_hash(spec, group))

    def is_old(pod: records.Pod) -> bool:
        stamped = pod.annotations.get(names.GROUP_HASH_ANNOTATION)
        return stamped is not None and stamped != current()

    return is_old


def obstacle(cluster: api.RayCluster, observed: seen.Observed) -> str:
    """Say what keeps a rolling update from beginning; `""` when nothing does."""
    head = observed.head()
    if head is None:
        return ""
    runs = ray_version.of_image(head.ray_image)
    wanted = ray_version.of_image(cluster.spec.head_group_spec.ray_container.get("image", ""))
    return VERSION_CHANGES if runs and wanted and runs != wanted else ""


def head_obstacle(cluster: api.RayCluster, head: records.Pod) -> str:
    """Say what keeps a rolling update from replacing this head; `""` when nothing does."""
    strategy = cluster.spec.upgrade_strategy
    rolling = strategy.rolling_update if strategy else None
    match rolling.replace_head if rolling else None:
        case "Always":
            return ""
        case "Never":
            return HEAD_STAYS
    return "" if _state_survives(cluster, head) else STATE_IS_LOST


def replaces_head(cluster: api.RayCluster, observed: seen.Observed, head: records.Pod) -> bool:
    """Tell whether it is the head's turn in a rolling update: the last.

    A head that never got ready has nothing to lose, and is what the workers wait for.
    """
    if not rolls(cluster) or not is_old(cluster.spec, cluster.spec.head_group_spec)(head):
        return False
    said = conditions.read(cluster.status.get("conditions", ()))
    if not head.ready and not conditions.is_true(said, PROVISIONED):
        return True
    blocked = obstacle(cluster, observed) or head_obstacle(cluster, head)
    return not blocked and all(
        _is_done(cluster, group, observed) for group in cluster.spec.worker_group_specs
    )


def _is_done(cluster: api.RayCluster, group: api.WorkerGroupSpec, observed: seen.Observed) -> bool:
    pods = observed.worker_pods(group.group_name)
    is_outdated = is_old(cluster.spec, group)
    ready = [pod for pod in pods if seen.is_ready(pod) and not is_outdated(pod)]
    return len(ready) == len(pods) == groups.desired_pods(group)


class Progress(NamedTuple):
    """What is of an older template: the head, and how many workers by group; and what isn't."""

    head: bool
    workers: Mapping[str, int]
    updated: int


def progress(cluster: api.RayCluster, observed: seen.Observed) -> Progress:
    """Count the living Pods by what they were made of."""
    spec, old, updated = cluster.spec, {}, 0
    heads = [pod for pod in observed.head_pods() if pod.deletion_at is None]
    for group in spec.worker_group_specs:
        is_outdated = is_old(spec, group)
        pods = [pod for pod in observed.worker_pods(group.group_name) if pod.deletion_at is None]
        count = sum(map(is_outdated, pods))
        updated += len(pods) - count
        if count:
            old[group.group_name] = count
    return Progress(any(map(is_old(spec, spec.head_group_spec), heads)), old, updated)


def _state_survives(cluster: api.RayCluster, head: records.Pod) -> bool:
    """Tell whether a new head would find what this one keeps: same store, same place in it."""
    kept = head.annotations.get(names.FT_ENABLED_ANNOTATION) == "true"
    if not kept or not fault_tolerance.is_on(cluster):
        return False
    place = fault_tolerance.storage_namespace(cluster)
    redis = fault_tolerance.uses_redis(cluster)
    return head.annotations.get(names.FT_NAMESPACE_ANNOTATION) == (place if redis else None)


def _strategy(cluster: api.RayCluster) -> str | None:
    return cluster.spec.upgrade_strategy.type if cluster.spec.upgrade_strategy else None


def foreign(observed: seen.Observed, *, options: settings.Settings) -> Sequence[records.Pod]:
    """Return the Pods, heads last, whose hash another version of the operator wrote, if any.

    The head alone says which version that was; as long as it does, all hashes are open.
    """
    heads = [pod for pod in observed.head_pods() if pod.deletion_at is None]
    if not any(_is_foreign(pod, options.version) for pod in heads):
        return ()
    workers = [pod for pod in observed.worker_pods() if pod.deletion_at is None]
    return [*workers, *heads]


def _is_foreign(head: records.Pod, version: str) -> bool:
    """Tell whether another version made the head; the oldest ones stamped nothing at all."""
    said = head.annotations.get(names.VERSION_ANNOTATION, "")
    return said not in {"", version} or not (said or names.HASH_ANNOTATION in head.annotations)


def stamps(
    cluster: api.RayCluster, pod: records.Pod, *, options: settings.Settings
) -> dict[str, str]:
    """Return the annotations that make a Pod's hash ours."""
    stamps = {names.HASH_ANNOTATION: spec_hash.spec_hash(cluster.spec)}
    if group := group_of(cluster.spec, pod):
        stamps[names.GROUP_HASH_ANNOTATION] = spec_hash.group_hash(cluster.spec, group)
    if pod.labels.get(names.NODE_TYPE_LABEL) == names.HEAD:
        stamps[names.VERSION_ANNOTATION] = options.version
    return stamps


def group_of(spec: api.RayClusterSpec, pod: records.Pod) -> api.GroupSpec | None:
    """Return the group that the Pod is of, None when the spec doesn't list it."""
    if pod.labels.get(names.NODE_TYPE_LABEL) == names.HEAD:
        return spec.head_group_spec
    name = pod.labels.get(names.GROUP_LABEL)
    return next((each for each in spec.worker_group_specs if each.group_name == name), None)
