"""Whom we take for a rival, and whom not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import yaml

from ray_operator import rivals
from scripts import generate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOLDER = "kuberay-operator-5d9b8-x2x4z_0b5c"
RIVAL_LEASE = rivals.Rival("Lease", "ray", "ray-operator-leader", HOLDER)
RIVAL = rivals.Rival("Deployment", "ray", "kuberay-operator")
ALL = rivals.Us(election_namespace="ours")


def deployment(
    *args: str,
    namespace: str = "ray",
    replicas: int = 1,
    running: int = 1,
    command: tuple[str, ...] = ("/manager",),
    image: str = "quay.io/kuberay/operator:v1.4.2",
    labels: dict[str, str] | None = None,
) -> rivals.Deployment:
    """Return KubeRay's, as its chart makes it."""
    container = {"image": image, "command": list(command), "args": list(args)}
    return msgspec.convert(
        {
            "metadata": {
                "namespace": namespace,
                "name": "kuberay-operator",
                "labels": {"app.kubernetes.io/name": "kuberay-operator", **(labels or {})},
            },
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
            "status": {"replicas": running},
        },
        rivals.Deployment,
    )


def lease(
    *, namespace: str = "ray", holder: str = HOLDER, version: str = "1", age: float = 1.0
) -> rivals.Lease:
    renewed = (NOW - timedelta(seconds=age)).isoformat()
    return msgspec.convert(
        {
            "metadata": {
                "namespace": namespace,
                "name": "ray-operator-leader",
                "resourceVersion": version,
            },
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": 15,
                "renewTime": renewed,
            },
        },
        rivals.Lease,
    )


@pytest.mark.parametrize(
    ("found", "us", "expected"),
    [
        pytest.param([deployment()], ALL, (RIVAL,), id="everywhere"),
        pytest.param([deployment(replicas=0, running=0)], ALL, (), id="scaled to 0"),
        pytest.param([deployment(replicas=0)], ALL, (RIVAL,), id="still going down"),
        pytest.param([deployment(running=0)], ALL, (RIVAL,), id="not there yet"),
        pytest.param([deployment("--watch-namespace=a,b")], ALL, (RIVAL,), id="in some of all"),
        pytest.param(
            [deployment("--watch-namespace=a,b")],
            rivals.Us(namespaces=frozenset({"c"})),
            (),
            id="elsewhere",
        ),
        pytest.param(
            [deployment("-watch-namespace", "a,b")],
            rivals.Us(namespaces=frozenset({"b", "c"})),
            (RIVAL,),
            id="in one of ours",
        ),
        pytest.param(
            [deployment(namespace="ours")], ALL, (), id="one Lease decides between it and us"
        ),
        pytest.param(
            [deployment("--leader-election-namespace=ours")], ALL, (), id="that Lease, from afar"
        ),
        pytest.param(
            [deployment("--enable-leader-election=false", namespace="ours")],
            ALL,
            (RIVAL._replace(namespace="ours"),),
            id="it has no Lease",
        ),
        pytest.param(
            [deployment("--config=/etc/kuberay.yaml", namespace="ours")],
            ALL,
            (RIVAL._replace(namespace="ours"),),
            id="nobody knows whether it has a Lease",
        ),
        pytest.param(
            [deployment(namespace="ours")],
            rivals.Us(),
            (RIVAL._replace(namespace="ours"),),
            id="we have no Lease",
        ),
        pytest.param(
            [deployment(command=(), image="registry.corp:5000/mirror/kuberay-operator@sha256:1")],
            ALL,
            (RIVAL,),
            id="a mirrored image",
        ),
        pytest.param(
            [deployment(command=("ray-operator",), image="corp/kuberay/operator:1")],
            ALL,
            (),
            id="ours by its command",
        ),
        pytest.param(
            [deployment(labels={"ray-operator.io/operator": "true"})], ALL, (), id="ours by label"
        ),
    ],
)
def test_deployments(
    found: list[rivals.Deployment], us: rivals.Us, expected: tuple[rivals.Rival, ...]
) -> None:
    assert rivals.active(found, [], us) == expected


@pytest.mark.parametrize(
    ("deployments", "held", "us", "expected"),
    [
        pytest.param([], [lease()], ALL, (RIVAL_LEASE,), id="nothing else is seen of it"),
        pytest.param(
            [], [lease(holder="ray-operator.io/kuberay-operator-1")], ALL, (), id="of ours"
        ),
        pytest.param([deployment()], [lease()], ALL, (RIVAL, RIVAL_LEASE), id="of a rival"),
        pytest.param(
            [deployment("--watch-namespace=a")],
            [lease()],
            rivals.Us(namespaces=frozenset({"b"})),
            (),
            id="of one that works elsewhere",
        ),
        pytest.param(
            [deployment(namespace="ours")],
            [lease(namespace="ours")],
            ALL,
            (RIVAL_LEASE._replace(namespace="ours"),),
            id="which we need too",
        ),
        pytest.param(
            [],
            [lease(namespace="ours")],
            ALL,
            (RIVAL_LEASE._replace(namespace="ours", leaves=True),),
            id="of Pods that an upgrade of our own Deployment takes away",
        ),
    ],
)
def test_leases(
    deployments: list[rivals.Deployment],
    held: list[rivals.Lease],
    us: rivals.Us,
    expected: tuple[rivals.Rival, ...],
) -> None:
    assert rivals.active(deployments, held, us) == expected


def holds(*looks: tuple[float, rivals.Lease]) -> list[bool]:
    """Tell at each look, at so many seconds, whether the Lease is held."""
    seen, told = None, []
    for seconds, found in looks:
        now = NOW + timedelta(seconds=seconds)
        seen = rivals.sighted(found, seen, seconds=seconds, now=now)
        told.append(rivals.is_held(found, seen, seconds=seconds))
    return told


def test_a_lease_is_held_while_it_changes() -> None:
    first, second = lease(version="1"), lease(version="2")
    looks = [(0, first), (10, first), (12, second), (26, second), (28, second)]
    assert holds(*looks) == [True, True, True, True, False]


def test_a_lease_from_long_ago_is_dead_at_once_unless_it_changes_after_all() -> None:
    """Clocks may differ by more than a minute."""
    assert holds((0, lease(age=61))) == [False]
    assert holds((0, lease(age=61)), (2, lease(age=61, version="2"))) == [False, True]


def test_a_released_lease_is_free() -> None:
    assert holds((0, lease(holder=""))) == [False]


def test_kustomize_marks_our_deployment() -> None:
    """The chart's is installed for real by the end-to-end tests."""
    path = generate.ROOT / generate.KUSTOMIZE / "manager/deployment.yaml"
    manifest: dict[str, Any] = yaml.safe_load(path.read_text())
    assert not rivals.is_kuberay(msgspec.convert(manifest, rivals.Deployment))


def test_the_message_says_what_to_do() -> None:
    assert RIVAL.describe() == (
        "the Deployment ray/kuberay-operator is KubeRay's operator: kubectl -n ray scale deployment"
        " kuberay-operator --replicas=0"
    )
    assert RIVAL_LEASE.describe() == (
        f"{HOLDER} holds the Lease ray/ray-operator-leader: stop that operator"
    )
