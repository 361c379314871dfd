"""The upgrade strategy `Recreate`: which Pods are of an older spec than the present one.

Owns: telling old Pods by the hash that is stamped on them. Does not own: the hash (`spec_hash`) or
what is done about old Pods (`plan`). Invariant: an operator of another version, the reference's
included, may hash differently, so its hashes are replaced by ours and never compared.
Source: KubeRay 1.7, upgrade strategy of RayCluster.
"""

from collections.abc import Sequence

from ray_operator import names, records, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import observed as seen
from ray_operator.raycluster import spec_hash

RECREATE = "Recreate"


def outdated(
    cluster: api.RayCluster, observed: seen.Observed, *, options: settings.Settings
) -> Sequence[records.Pod]:
    """Return the Pods of an older spec, if the strategy is to replace them."""
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
    strategy = cluster.spec.upgrade_strategy
    return strategy is not None and strategy.type == RECREATE


def foreign(observed: seen.Observed, *, options: settings.Settings) -> Sequence[records.Pod]:
    """Return the Pods, heads last, whose hash another version of the operator wrote.

    The head alone says which version that was; as long as it does, all hashes are open.
    """
    heads = [pod for pod in observed.head_pods() if pod.deletion_at is None]
    versions = {pod.annotations.get(names.VERSION_ANNOTATION, "") for pod in heads}
    if not versions - {"", options.version}:
        return ()
    workers = [pod for pod in observed.worker_pods() if pod.deletion_at is None]
    return [*workers, *heads]


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
