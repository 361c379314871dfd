"""See a cluster as its scaling sees it: join the spec, the Pods and what Ray says of its nodes.

Owns: which Pod is which node, and what counts as there. Does not own: what is asked for (`demand`)
or decisions (`decide`). Invariant: a node counts only while its Pod runs: Ray notices the death of
a node after half a minute.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta

from ray_operator import conditions, names, ray_records, records
from ray_operator.api import options, vocabulary
from ray_operator.api import raycluster as api
from ray_operator.autoscaler import amounts, capacity, model, packing
from ray_operator.raycluster import drain, groups
from ray_operator.raycluster import observed as seen

IDLE_TIMEOUT = timedelta(seconds=60)
"""Where none is given, as in Ray."""
HEAD = "head"
"""Stands for the head among the names of nodes; no Pod's name is so short."""

Known = Mapping[str, tuple[str, Mapping[str, int]]]
"""What a node of a group has, by group, where one was seen, and of which template that was."""


def outline(given: api.RayCluster, *, templates: Mapping[str, str], known: Known) -> model.Cluster:
    """Return what follows from the resource alone: the groups, without their workers.

    `templates` tell those of the groups from others.
    """
    wanted = given.spec.autoscaler_options or options.AutoscalerOptions()
    said = conditions.read(given.status.get("conditions", ()))
    refusal = conditions.find(said, vocabulary.ClusterCondition.REPLICA_FAILURE)
    return model.Cluster(
        groups=tuple(
            _group(group, index, wanted, templates.get(group.group_name, ""), known)
            for index, group in enumerate(given.spec.worker_group_specs)
        ),
        head=None,
        is_conservative=wanted.upscaling_mode == "Conservative",
        refusal=refusal.message if refusal and refusal.status == "True" else "",
    )


def filled(
    empty: model.Cluster, pods: Sequence[records.Pod], state: ray_records.ResourceState
) -> model.Cluster:
    """Return the outline with the nodes that there are; `pods` are all of the cluster."""
    dead = {
        node.instance_id
        for node in state.nodes
        if node.status is ray_records.NodeStatus.DEAD and node.instance_id
    }
    return dataclasses.replace(
        empty,
        groups=tuple(_peopled(group, pods, state, dead=dead) for group in empty.groups),
        head=_head(pods, state),
    )


def learnt(view: model.Cluster) -> dict[str, tuple[str, Mapping[str, int]]]:
    """Return what nodes of each group have that run and are of its template."""
    found: dict[str, tuple[str, Mapping[str, int]]] = {}
    for group in view.groups:
        like = (each for each in group.workers if each.template == group.template)
        one = next((each for each in like if each.state is model.State.RUNNING), None)
        if one is not None:
            found[group.name] = (group.template, amounts.lasting(one.total))
    return found


def _head(pods: Sequence[records.Pod], state: ray_records.ResourceState) -> packing.Bin | None:
    pod = next((pod for pod in pods if seen.is_head(pod) and seen.has_ray(pod)), None)
    node = state.life_of(pod) if pod else None
    if node is None:
        return None
    total = amounts.offered(node.total)
    return packing.Bin(names.HEAD_GROUP, _free(node, total), total, node.labels, (HEAD,))


def _group(
    group: api.WorkerGroupSpec,
    index: int,
    wanted: options.AutoscalerOptions,
    template: str,
    known: Known,
) -> model.Group:
    seen_of, total = known.get(group.group_name, ("", None))
    timeout = group.idle_timeout_seconds
    if timeout is None:
        timeout = wanted.idle_timeout_seconds
    return model.Group(
        name=group.group_name,
        index=index,
        hosts=groups.hosts(group),
        minimum=group.min_replicas,
        maximum=0 if group.suspend else max(group.max_replicas, group.min_replicas),
        stored=group.replicas,
        desired=groups.desired_replicas(group),
        idle_timeout=IDLE_TIMEOUT if timeout is None else timedelta(seconds=timeout),
        priority=group.priority,
        workers=(),
        listed=tuple(group.scale_strategy.workers_to_delete) if group.scale_strategy else (),
        lingering=(),
        offers=capacity.offers(group, seen=total if seen_of == template else None),
        template=template,
    )


def _peopled(
    group: model.Group,
    pods: Sequence[records.Pod],
    state: ray_records.ResourceState,
    *,
    dead: set[str],
) -> model.Group:
    """Add the Pods that count, and name those listed that are still there."""
    own = [
        pod
        for pod in pods
        if pod.labels.get(names.GROUP_LABEL) == group.name and not seen.is_head(pod)
    ]
    if not own:
        return group
    there = [
        pod
        for pod in own
        if pod.deletion_at is None
        and pod.name not in group.listed
        and not drain.is_draining(pod)
        and not seen.is_broken(pod)
    ]
    present = {pod.name for pod in own}
    replicas = _replica_names(there, group.hosts)
    return dataclasses.replace(
        group,
        workers=tuple(
            _worker(pod, replicas[pod.name], state, group.offers, is_dead=pod.name in dead)
            for pod in there
        ),
        lingering=tuple(name for name in group.listed if name in present),
    )


def _replica_names(pods: Sequence[records.Pod], hosts: int) -> Mapping[str, str]:
    """Tell which replica each Pod is of; Pods without a label are taken in their order."""
    found = {}
    unlabelled = 0
    for pod in sorted(pods, key=lambda pod: (pod.created_at, pod.name)):
        label = pod.labels.get(names.REPLICA_NAME_LABEL)
        if hosts == 1:
            found[pod.name] = pod.name
        elif label:
            found[pod.name] = label
        else:
            found[pod.name] = f"#{unlabelled // hosts}"
            unlabelled += 1
    return found


def _worker(
    pod: records.Pod,
    replica: str,
    state: ray_records.ResourceState,
    offers: Sequence[packing.Offer],
    *,
    is_dead: bool,
) -> model.Worker:
    runs = seen.has_ray(pod)
    node = state.life_of(pod) if runs else None
    if node is None:
        offer = _offer_of(pod, offers)
        total, free, labels = offer.total, offer.total, offer.labels
        stage = model.State.DEAD if is_dead and runs else model.State.PENDING
    else:
        total, labels = amounts.offered(node.total), node.labels
        is_leaving = node.status is ray_records.NodeStatus.DRAINING
        stage = model.State.LEAVING if is_leaving else model.State.RUNNING
        free = {} if is_leaving else _free(node, total)
    return model.Worker(
        pod=pod.name,
        group=pod.labels.get(names.GROUP_LABEL, ""),
        replica=replica,
        created_at=pod.created_at,
        ip=pod.ip,
        phase=pod.phase,
        state=stage,
        node_id=node.node_id if node else b"",
        idle=node.idle if node and node.status is ray_records.NodeStatus.IDLE else None,
        free=free,
        total=total,
        labels=labels,
        template=pod.annotations.get(names.GROUP_HASH_ANNOTATION, ""),
        obstacle="" if node else _obstacle(pod),
    )


def _offer_of(pod: records.Pod, offers: Sequence[packing.Offer]) -> packing.Offer:
    """Return what a Pod will have: the first host of a replica may have more than the others."""
    if not offers:
        return packing.Offer({}, {})
    is_first = pod.labels.get(names.HOST_INDEX_LABEL, "0") == "0"
    return offers[0] if is_first else offers[-1]


def _obstacle(pod: records.Pod) -> str:
    """Say what keeps a Pod from starting, as far as that lasts."""
    if pod.unscheduled:
        return f"Unschedulable: {pod.unscheduled}"
    waiting = next(
        (each for each in pod.containers if each.state == "waiting" and _lasts(each)), None
    )
    return f"{waiting.reason}: {waiting.message}" if waiting else ""


def _lasts(container: records.Container) -> bool:
    return container.reason not in {"", "ContainerCreating", "PodInitializing"}


def _free(node: ray_records.RayNode, total: amounts.Amounts) -> dict[str, int]:
    """Return what is free; what is all used counts as nothing, so that a score sees it."""
    return {**dict.fromkeys(total, 0), **amounts.offered(node.available)}
