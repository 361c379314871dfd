"""When requests may move to a cluster, and whether the head takes any.

Owns: what makes a cluster fit for traffic, and the label of heads. Does not own: the Services.
Invariant: a cluster is fit when all applications of its configuration run, and Pods that answer
stand ready behind the Service's selector; a head is labelled as its proxy says. Nothing that Ray
said before it took the newest configuration counts.
Source: KubeRay 1.7, label of head Pods; that Pods have to be ready is ours.
"""

from collections.abc import Iterator
from datetime import timedelta

from ray_operator import actions, names, records
from ray_operator.raycluster import observed as cluster_seen
from ray_operator.rayservice import reasons, services
from ray_operator.rayservice.case import Case
from ray_operator.serve_records import Proxy

PATIENCE = timedelta(seconds=30)
"""How long a cluster whose applications run waits for the last of its proxies."""


def runs(case: Case, cluster: str) -> bool:
    """Tell whether all applications run on the cluster, under its newest configuration."""
    answer, config = case.observed.answer(cluster), case.config()
    if answer.running_since is None or answer.state is None or answer.error:
        return False
    wanted = config.applications if config else frozenset()
    is_applied = config is None or answer.applied == config.digest
    return is_applied and wanted <= answer.state.applications.keys()


def is_fit(case: Case, cluster: str, *, is_first: bool) -> bool:
    """Tell whether requests may go to the cluster.

    The first one may have them as soon as anything answers; one that takes over from another has
    to be as strong as it will be, or patience to be at its end.
    """
    found, config = case.observed.cluster(cluster), case.config()
    if found is None or services.serve_service(case.service, found) is None:
        return False
    if not runs(case, cluster):
        return False
    if config and config.proxy_location == "Disabled":
        return True  # there will never be more
    if not case.observed.serving(cluster):
        return False
    return is_first or not _missing(case, cluster) or _is_overdue(case, cluster)


def wait(case: Case, cluster: str) -> timedelta | None:
    """Return how long it is until a cluster is fit with what it has; None when that isn't near."""
    since = case.observed.answer(cluster).running_since
    left = since + PATIENCE - case.now if since else None
    return left if left is not None and left > timedelta() else None


def labels(case: Case, cluster: str) -> Iterator[actions.Action]:
    """Label the head of a cluster by whether its proxy takes requests.

    One that is late to say so, under more requests than it can take, keeps them while there is no
    other Pod to take them: without it all would be refused.
    """
    proxy = case.observed.answer(cluster).head_proxy
    head = case.observed.head(cluster)
    if head is None or proxy is None:
        return
    is_last = [pod.uid for pod in case.observed.serving(cluster)] == [head.uid]
    serves = proxy is Proxy.SERVES or (proxy is Proxy.SLOW and is_last)
    wanted = str(serves and not case.spec.exclude_head_pod_from_serve_svc).lower()
    if head.labels.get(names.SERVE_LABEL) != wanted:
        yield actions.Patch(
            resource=records.PODS,
            namespace=head.namespace,
            name=head.name,
            uid=head.uid,
            change={"metadata": {"labels": {names.SERVE_LABEL: wanted}}},
            reasons=reasons.HEAD_LABEL,
            is_told=True,
        )


def _missing(case: Case, cluster: str) -> bool:
    """Tell whether a node with a proxy of Serve has a Pod that isn't ready for requests yet."""
    answer = case.observed.answer(cluster)
    proxies = answer.state.proxies if answer.state else frozenset()
    is_headless = bool(case.spec.exclude_head_pod_from_serve_svc)
    serving = {pod.uid for pod in case.observed.serving(cluster)}
    return any(
        pod.ip in proxies and pod.uid not in serving
        for pod in case.observed.pods.get(cluster, ())
        if not (is_headless and cluster_seen.is_head(pod)) and pod.deletion_at is None
    )


def _is_overdue(case: Case, cluster: str) -> bool:
    since = case.observed.answer(cluster).running_since
    return since is not None and case.now - since >= PATIENCE
