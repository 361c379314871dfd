"""What the operator may do in a cluster: the one table that all its RBAC rules are made of.

Owns: API group, resource, verbs and the reason of each permission. Does not own: where they are
rendered (`scripts/generate.py` writes them for the chart and for kustomize), or what users may do.
Invariant: every verb is used by the code; the end-to-end tests fail when one is missing.
"""

from typing import NamedTuple

from ray_operator import names, records


class Permission(NamedTuple):
    """Allow `verbs` on the plural `resource` of an API `group` (core: empty), because of `why`.

    With `only`, on objects of these names.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    only: tuple[str, ...] = ()


_EVENTS = Permission("events.k8s.io", "events", ("create",), "say what was done and why not")
_RIVALS = Permission("apps", "deployments", ("list",), "see another operator for Ray")
_CHILDREN = ("get", "list", "watch", "create", "patch")

OPERATOR = (
    Permission("", "pods", ("list", "watch", "create", "delete", "patch", "get"), "Ray's Pods"),
    Permission(
        "", "services", ("get", "list", "watch", "create", "patch", "delete"), "how to find Ray"
    ),
    Permission(
        "networking.k8s.io",
        "ingresses",
        ("get", "list", "watch", "create", "patch", "delete"),
        "the dashboard, on request",
    ),
    Permission("", "secrets", ("get", "list", "watch", "create", "patch"), "tokens of clusters"),
    Permission("", "serviceaccounts", _CHILDREN, "the account of Ray's autoscaler"),
    Permission("rbac.authorization.k8s.io", "roles", _CHILDREN, "what it may do"),
    Permission("rbac.authorization.k8s.io", "rolebindings", _CHILDREN, "what it may do"),
    Permission("", "pods/resize", ("patch",), "nobody can grant what they may not do"),
    Permission("", "persistentvolumeclaims", ("get", "create", "patch"), "the head's state"),
    Permission("", "nodes", ("list", "watch"), "which are about to be taken away"),
    Permission("storage.k8s.io", "storageclasses", ("get",), "may a claim grow"),
    Permission(
        "route.openshift.io",
        "routes",
        ("get", "create", "patch", "delete"),
        "the dashboard, on request, on OpenShift",
    ),
    Permission(
        "batch",
        "jobs",
        ("get", "list", "watch", "create", "patch", "delete"),
        "submit jobs, remove state from Redis",
    ),
    Permission(
        "", "services/proxy", ("get", "create", "update"), "heads, with --use-kubernetes-proxy"
    ),
    Permission("", "pods/proxy", ("get",), "proxies of Serve, with --use-kubernetes-proxy"),
    Permission("discovery.k8s.io", "endpointslices", ("list", "watch"), "who takes requests"),
    Permission("", "events", ("list", "watch"), "what the kubelet says of Ray's Pods"),
    _EVENTS,
    _RIVALS,
    Permission(
        "coordination.k8s.io", "leases", ("list",), "see whether it is active", (names.LEASE,)
    ),
    Permission(
        "ray.io",
        "rayclusters",
        ("get", "list", "watch", "create", "patch", "delete"),
        "what users want, and clusters of jobs and services",
    ),
    Permission("ray.io", "rayclusters", ("ray:write",), "heads that ask Kubernetes who calls"),
    Permission("ray.io", "rayclusters/status", ("patch",), "tell users how it stands"),
    Permission("ray.io", "rayclusters/finalizers", ("update",), "own with blockOwnerDeletion"),
    Permission(
        "ray.io",
        "rayjobs",
        ("get", "list", "watch", "create", "patch", "delete"),
        "what users want, and runs of RayCronJobs",
    ),
    Permission("ray.io", "rayjobs/status", ("patch",), "tell users how it stands"),
    Permission("ray.io", "rayjobs/finalizers", ("update",), "own with blockOwnerDeletion"),
    Permission("ray.io", "rayservices", ("get", "list", "watch", "patch"), "what users want"),
    Permission("ray.io", "rayservices/status", ("patch",), "tell users how it stands"),
    Permission("ray.io", "rayservices/finalizers", ("update",), "own with blockOwnerDeletion"),
    Permission("ray.io", "raycronjobs", ("get", "list", "watch"), "what users want"),
    Permission("ray.io", "raycronjobs/status", ("patch",), "tell users how it stands"),
    Permission("ray.io", "raycronjobs/finalizers", ("update",), "own with blockOwnerDeletion"),
)
"""In every namespace that the operator watches."""

LEADER_ELECTION = (
    Permission("coordination.k8s.io", "leases", ("get", "list", "create", "update"), "one leader"),
    _EVENTS,
    _RIVALS,
)
"""In the operator's own namespace."""

CRDS = (
    Permission(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        ("get", "create", "patch"),
        "bring the CRDs up to date",
        tuple(f"{each.plural}.ray.io" for each in records.OURS),
    ),
)
"""Of `ray-operator crds --apply`, in the whole cluster; never of the running operator."""

RETIRE = (
    Permission("apps", "deployments", ("get", "patch"), "stop the operator"),
    Permission("", "pods", ("list",), "see that it has stopped"),
)
"""Of `ray-operator retire`, in the operator's own namespace, beside the operator's rights."""
