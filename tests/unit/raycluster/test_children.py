"""Services, Secret and Ingress of a cluster: made, brought up to date, removed."""

import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ray_operator import actions, names, records, settings
from ray_operator.raycluster import children, ingress
from tests.unit import builders
from tests.unit.raycluster import world as worlds


def head(**fields: Any) -> dict[str, Any]:
    return {"template": builders.template("ray-head")} | fields


def todo(
    cluster: Any, world: worlds.World, options: settings.Settings = builders.SETTINGS
) -> list[tuple[str, str, str]]:
    """Name the actions on children that aren't Pods."""
    found = children.plan(world.seen_by(cluster), world.observed, options=options)
    return [
        (
            "Create" if actions.makes(each) else type(each).__name__,
            each.resource.kind,
            each.name if isinstance(each, actions.Delete) else each.manifest["metadata"]["name"],
        )
        for each in found.actions
        if not isinstance(each, actions.Patch)
    ]


PLAIN = builders.raycluster(groups=[])
SETTLED = worlds.converge(PLAIN, worlds.World())


def test_a_plain_cluster_has_its_head_service() -> None:
    assert todo(PLAIN, worlds.World()) == [("Create", "Service", "demo-head-svc")]
    assert todo(PLAIN, SETTLED) == []


@pytest.mark.parametrize(
    ("spec", "metadata", "created"),
    [
        ({"authOptions": {"mode": "token"}, "rayVersion": "2.60.0"}, {}, ("Secret", "demo")),
        ({"authOptions": {}}, {}, ("Secret", "demo")),
        ({"headGroupSpec": head(enableIngress=True)}, {}, ("Ingress", "demo-head-ingress")),
        (
            {},
            {"annotations": {names.SERVE_SERVICE_ANNOTATION: "true"}},
            ("Service", "demo-serve-svc"),
        ),
        ({"groups": [builders.group(numOfHosts=2)]}, {}, ("Service", "demo-headless")),
    ],
)
def test_what_is_asked_for_is_made_once(
    spec: dict[str, Any], metadata: dict[str, Any], created: tuple[str, str]
) -> None:
    cluster = builders.raycluster(**({"groups": []} | spec), metadata=metadata)
    made = todo(cluster, SETTLED)
    assert ("Create", *created) in made
    assert todo(cluster, worlds.converge(cluster, SETTLED)) == []


SHOWN = builders.raycluster(groups=[], headGroupSpec=head(enableIngress=True))
OPENSHIFT = dataclasses.replace(
    SETTLED,
    observed=dataclasses.replace(
        SETTLED.observed,
        around=msgspec.structs.replace(SETTLED.observed.around, is_openshift=True),
    ),
)
AS_INGRESS = dataclasses.replace(builders.SETTINGS, ingress_on_openshift=True)


def test_openshift_has_routes() -> None:
    assert todo(SHOWN, OPENSHIFT) == [("Create", "Route", "demo-head-route")]
    shown = worlds.converge(SHOWN, OPENSHIFT)
    assert todo(SHOWN, shown) == []
    annotated = {"annotations": {"a": "b"}}
    changed = builders.raycluster(
        groups=[], headGroupSpec=head(enableIngress=True), metadata=annotated
    )
    assert todo(changed, shown) == [("Apply", "Route", "demo-head-route")]
    assert todo(PLAIN, shown) == [("Delete", "Route", "demo-head-route")]
    assert todo(PLAIN, worlds.converge(PLAIN, shown)) == []


def test_openshift_has_ingresses_on_request() -> None:
    assert todo(SHOWN, OPENSHIFT, AS_INGRESS) == [("Create", "Ingress", "demo-head-ingress")]
    routed = worlds.converge(SHOWN, OPENSHIFT)
    assert todo(SHOWN, routed, AS_INGRESS) == [
        ("Create", "Ingress", "demo-head-ingress"),
        ("Delete", "Route", "demo-head-route"),
    ]


def test_a_route_of_another_is_left_alone() -> None:
    routed = worlds.converge(SHOWN, OPENSHIFT)
    found = routed.observed.around.route
    assert found is not None
    other = msgspec.structs.replace(found, owner=records.Owner("RayCluster", "demo", "other"))
    around = msgspec.structs.replace(routed.observed.around, route=other)
    foreign = dataclasses.replace(
        routed, observed=dataclasses.replace(routed.observed, around=around)
    )
    assert todo(PLAIN, foreign) == []


def test_nothing_is_shown_before_it_is_known_how() -> None:
    unknown = dataclasses.replace(
        SETTLED,
        observed=dataclasses.replace(SETTLED.observed, around=records.Surroundings()),
    )
    plan = children.plan(SHOWN, unknown.observed, options=builders.SETTINGS)
    assert plan == actions.Plan(requeue_after=children.LOOK_AGAIN)
    assert todo(PLAIN, unknown) == []


@pytest.mark.parametrize(
    ("cluster", "namespace", "expected"),
    [
        ("demo", "ns1", "demo-head-route"),
        ("c" * 53, "ns1", "c" * 48),
        ("demo", "n" * 41, "demo-head"),  # without the hyphen that no name may end with
        ("demo", "n" * 63, "demo-head-route"),
    ],
)
def test_a_route_has_a_name_from_which_a_host_can_be_made(
    cluster: str, namespace: str, expected: str
) -> None:
    assert names.route(cluster, namespace) == expected


BY_SIDECAR = {"annotations": {names.AUTOSCALER_ANNOTATION: "sidecar"}}
SCALED = builders.raycluster(groups=[], enableInTreeAutoscaling=True, metadata=BY_SIDECAR)


def test_rays_autoscaler_gets_its_rights_in_an_order_that_is_taken() -> None:
    assert todo(SCALED, SETTLED) == [
        ("Create", "ServiceAccount", "demo"),
        ("Create", "Role", "demo"),
    ]
    begun = children.plan(SCALED, SETTLED.observed, options=builders.SETTINGS)
    assert begun.requeue_after == timedelta()
    assert todo(SCALED, SETTLED.apply(begun.actions)) == [("Create", "RoleBinding", "demo")]
    done = worlds.converge(SCALED, SETTLED)
    assert todo(SCALED, done) == []
    assert todo(PLAIN, done) == []  # switched off, the rights stay


def test_an_account_of_the_user_is_bound() -> None:
    template = builders.template("ray-head")
    template["spec"]["serviceAccountName"] = "mine"
    mine = builders.raycluster(
        groups=[],
        enableInTreeAutoscaling=True,
        headGroupSpec={"template": template},
        metadata=BY_SIDECAR,
    )
    assert todo(mine, worlds.converge(SCALED, SETTLED)) == [("Apply", "RoleBinding", "demo")]


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "disabled"},
        {"mode": "token", "secretName": "mine"},
        {"mode": "token", "enableK8sTokenAuth": True},
    ],
)
def test_no_secret_is_made_where_none_is_used(options: dict[str, Any]) -> None:
    cluster = builders.raycluster(groups=[], authOptions=options, rayVersion="2.60.0")
    assert todo(cluster, SETTLED) == []


def test_a_changed_service_is_brought_up_to_date() -> None:
    changed = builders.raycluster(groups=[], headServiceAnnotations={"a": "b"})
    assert todo(changed, SETTLED) == [("Apply", "Service", "demo-head-svc")]
    assert todo(changed, worlds.converge(changed, SETTLED)) == []


def test_a_service_of_another_operator_waits_for_a_new_generation() -> None:
    services = tuple(
        msgspec.structs.replace(each, annotations={}) for each in SETTLED.observed.services
    )
    foreign = dataclasses.replace(
        SETTLED, observed=dataclasses.replace(SETTLED.observed, services=services)
    )
    changed = builders.raycluster(groups=[], headServiceAnnotations={"a": "b"})
    assert todo(changed, foreign) == []
    newer = builders.raycluster(
        groups=[], headServiceAnnotations={"a": "b"}, metadata={"generation": 2}
    )
    assert todo(newer, foreign) == [("Apply", "Service", "demo-head-svc")]


def running(cluster: Any) -> worlds.World:
    return worlds.converge(cluster, worlds.World())


RENAMED = builders.raycluster(
    groups=[], headGroupSpec=head(headService={"metadata": {"name": "front"}})
)
NODE_PORT = head(serviceType="NodePort")


def test_a_former_head_service_stays_as_long_as_pods_know_of_it() -> None:
    before = running(PLAIN)
    assert todo(RENAMED, before) == [("Create", "Service", "front")]
    both = worlds.converge(RENAMED, before)
    assert {each.name for each in both.observed.services} == {"demo-head-svc", "front"}
    assert todo(RENAMED, without_pods(both)) == [("Delete", "Service", "demo-head-svc")]


def test_a_head_service_gets_an_address_only_while_there_are_no_pods() -> None:
    before = running(PLAIN)
    wanted = builders.raycluster(groups=[], headGroupSpec=NODE_PORT)
    assert todo(wanted, before) == []
    (said,) = (
        each
        for each in worlds.converge(wanted, before).status["conditions"]
        if each["type"] == "RayClusterUpToDate"
    )
    assert (said["status"], said["reason"]) == ("False", "HeadServiceNotReplaced")
    assert todo(wanted, without_pods(before)) == [
        ("Delete", "Service", "demo-head-svc"),
    ]


def test_a_service_on_its_way_out_is_not_deleted_again() -> None:
    """A load balancer's takes its time; to delete it again and again tells of nothing new."""
    world = without_pods(worlds.converge(RENAMED, running(PLAIN)))
    going = tuple(
        msgspec.structs.replace(each, deletion_at=world.now)
        if each.name == "demo-head-svc"
        else each
        for each in world.observed.services
    )
    world = dataclasses.replace(world, observed=dataclasses.replace(world.observed, services=going))
    assert todo(RENAMED, world) == []


def without_pods(world: worlds.World) -> worlds.World:
    return dataclasses.replace(world, observed=dataclasses.replace(world.observed, pods=()))


def test_an_ingress_goes_when_it_is_switched_off() -> None:
    shown = worlds.converge(
        builders.raycluster(groups=[], headGroupSpec=head(enableIngress=True)), SETTLED
    )
    assert todo(PLAIN, shown) == [("Delete", "Ingress", "demo-head-ingress")]
    assert todo(PLAIN, worlds.converge(PLAIN, shown)) == []


def test_the_ingress_shows_the_dashboard() -> None:
    options = {
        "host": "ray.example.com",
        "path": "/ray",
        "pathType": "Exact",
        "tls": [{"hosts": ["ray.example.com"], "secretName": "tls"}],
    }
    cluster = builders.raycluster(
        headGroupSpec=head(enableIngress=True, ingressOptions=options),
        metadata={
            "annotations": {
                names.INGRESS_CLASS_ANNOTATION: "nginx",
                "example.com/timeout": "5",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "ray.io/ft-enabled": "false",
            }
        },
    )
    made = ingress.ingress(cluster)
    assert made is not None
    assert made["metadata"]["annotations"] == {"example.com/timeout": "5"}
    assert made["spec"] == {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": "ray.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/ray",
                            "pathType": "Exact",
                            "backend": {
                                "service": {"name": "demo-head-svc", "port": {"number": 8265}}
                            },
                        }
                    ]
                },
            }
        ],
        "tls": options["tls"],
    }


def address(standing: str, **fields: Any) -> Any:
    """Return what of its address is said of a head Service that has this one."""
    service = builders.head_service(cluster_ip=standing)
    world = dataclasses.replace(
        SETTLED, observed=dataclasses.replace(SETTLED.observed, services=(service,))
    )
    cluster = builders.raycluster(
        groups=[], headGroupSpec=head(**fields), metadata={"generation": 2}
    )
    plan = children.plan(world.seen_by(cluster), world.observed, options=builders.SETTINGS)
    (update,) = plan.actions
    assert isinstance(update, actions.Apply)
    return update.manifest["spec"].get("clusterIP")


def test_a_service_keeps_the_address_that_it_was_made_with() -> None:
    assert address("10.0.0.7") is None
    assert address("None") == "None"
    assert address("10.0.0.7", serviceType="NodePort") is None
