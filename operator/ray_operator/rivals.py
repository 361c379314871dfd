"""Another operator for Ray: what counts as one that is at work where we would work.

Owns: telling KubeRay's Deployment and Lease from ours, and whether they clash with us. Does not
own: looking for them (`lookout`). Invariant: pure; nothing of ours is ever taken for a rival, be it
another replica or another release.

Two releases of ours are kept apart by who installs them, as two of KubeRay's are. Where one Lease
decides between a Deployment and us, the Deployment alone is no rival: it stands by while we lead.
Source: KubeRay 1.7's chart, kustomize files and flags.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from ray_operator import names

LEASE_DURATION_SECONDS = 15
DEAD_SINCE = timedelta(minutes=1)
"""A Lease last renewed this long ago is taken for dead at first sight, whatever clocks are off."""
SELECTOR = f"{names.APP_NAME_LABEL} in (kuberay,kuberay-operator)"


class _Meta(msgspec.Struct, rename="camel"):
    namespace: str = ""
    name: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}


class _Container(msgspec.Struct):
    image: str = ""
    command: list[str] = []
    args: list[str] = []


class _PodSpec(msgspec.Struct):
    containers: list[_Container] = []


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _DeploymentSpec(msgspec.Struct):
    replicas: int = 1
    template: _Template = msgspec.field(default_factory=_Template)


class _DeploymentStatus(msgspec.Struct):
    replicas: int = 0


class Deployment(msgspec.Struct):
    """What is read of a Deployment."""

    metadata: _Meta
    spec: _DeploymentSpec
    status: _DeploymentStatus = msgspec.field(default_factory=_DeploymentStatus)


class _LeaseSpec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    renew_time: datetime | None = None


class Lease(msgspec.Struct):
    """What is read of a Lease."""

    metadata: _Meta
    spec: _LeaseSpec = msgspec.field(default_factory=_LeaseSpec)


class _Deployments(msgspec.Struct):
    items: list[Deployment] | None = None


class _Leases(msgspec.Struct):
    items: list[Lease] | None = None


class Rival(NamedTuple):
    """An active operator that isn't ours; `what` is a Deployment or a Lease.

    `leaves` when nothing but a Deployment of before an upgrade, now our own, can be what it is of:
    its Pods may wait for ours to be ready.
    """

    what: str
    namespace: str
    name: str
    holder: str = ""
    leaves: bool = False

    def describe(self) -> str:
        """Say what it is and how to be rid of it."""
        where = f"{self.namespace}/{self.name}"
        if self.what == "Lease":
            return f"{self.holder} holds the Lease {where}: stop that operator"
        return (
            f"the Deployment {where} is KubeRay's operator: kubectl -n {self.namespace} scale"
            f" deployment {self.name} --replicas=0"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Us:
    """What matters of ourselves: watched namespaces (none: all), and that of our Lease, if any."""

    namespaces: frozenset[str] = frozenset()
    election_namespace: str = ""


def active(deployments: Iterable[Deployment], held: Iterable[Lease], us: Us) -> tuple[Rival, ...]:
    """Return the rivals among Deployments, and among the Leases that are being renewed."""
    working = [each for each in deployments if is_kuberay(each) and _is_on(each)]
    clashing = [each for each in working if _overlaps(_watched(each), us.namespaces)]
    rivals = [
        Rival("Deployment", each.metadata.namespace, each.metadata.name)
        for each in clashing
        if not us.election_namespace or _election_namespace(each) != us.election_namespace
    ]
    for lease in held:
        at, holder = lease.metadata.namespace, lease.spec.holder_identity or ""
        if holder.startswith(names.IDENTITY_PREFIX):
            continue
        of = [each for each in working if _election_namespace(each) == at]
        if not of or any(each in clashing for each in of):
            leaves = not of and at == us.election_namespace
            rivals.append(Rival("Lease", at, lease.metadata.name, holder, leaves))
    return tuple(sorted(rivals))


def is_kuberay(deployment: Deployment) -> bool:
    """Tell KubeRay's Deployment from ours, which has the same labels so that tools find it."""
    if names.OPERATOR_LABEL in deployment.metadata.labels:
        return False
    return any(_runs_kuberay(each) for each in deployment.spec.template.spec.containers)


def _runs_kuberay(container: _Container) -> bool:
    if container.command:
        return container.command[0].rpartition("/")[2] == "manager"
    repository = container.image.partition("@")[0]
    return repository.rpartition("/")[2].partition(":")[0] in {"kuberay-operator", "operator"}


def _is_on(deployment: Deployment) -> bool:
    return deployment.spec.replicas > 0 or deployment.status.replicas > 0


def flags(deployment: Deployment) -> Mapping[str, str]:
    """Read the flags of all containers, as Go does: one dash or two, `=` or a word after it."""
    read: dict[str, str] = {}
    for container in deployment.spec.template.spec.containers:
        words = [*container.command[1:], *container.args]
        for word, after in zip(words, [*words, ""][1:], strict=True):
            if word.startswith("-"):
                name, equals, value = word.lstrip("-").partition("=")
                apart = "" if after.startswith("-") else after
                read[name] = value if equals else apart
    return read


def _watched(deployment: Deployment) -> frozenset[str]:
    given = flags(deployment).get("watch-namespace", "")
    return frozenset(part for part in given.split(",") if part)


def _election_namespace(deployment: Deployment) -> str:
    """Return where its Lease is; empty when it has none, or a file may say so."""
    given = flags(deployment)
    if "config" in given or given.get("enable-leader-election", "").lower() in {"false", "0", "f"}:
        return ""
    return given.get("leader-election-namespace") or deployment.metadata.namespace


def _overlaps(one: frozenset[str], other: frozenset[str]) -> bool:
    return not one or not other or bool(one & other)


class Sighting(NamedTuple):
    """A version of a Lease, and since when it stands, in seconds of the monotonic clock."""

    version: str
    since: float


def sighted(lease: Lease, before: Sighting | None, *, seconds: float, now: datetime) -> Sighting:
    """Take note of a Lease as it is now.

    As in client-go, whether it is renewed is told by our own clock, from when it last changed; only
    at first sight by the time it carries.
    """
    version, renewed = lease.metadata.resource_version, lease.spec.renew_time
    if before is not None and before.version == version:
        return before
    is_old = before is None and (renewed is None or now - renewed > DEAD_SINCE)
    return Sighting(version, float("-inf") if is_old else seconds)


def is_held(lease: Lease, sighting: Sighting, *, seconds: float) -> bool:
    """Tell whether somebody renews the Lease."""
    duration = lease.spec.lease_duration_seconds or LEASE_DURATION_SECONDS
    return bool(lease.spec.holder_identity) and seconds - sighting.since <= duration
