"""Who scales a cluster, and what that makes of its Pods."""

import dataclasses
from typing import Any

import msgspec
import pytest

from ray_operator import names, records, settings
from ray_operator.raycluster import autoscaling, desired, rbac, sidecar
from tests.unit import builders

ON: dict[str, Any] = {"enableInTreeAutoscaling": True}
BY_SIDECAR = dataclasses.replace(builders.SETTINGS, autoscaler_default="sidecar")
SWITCHED_OFF = {"name": "RAY_enable_autoscaler_v2", "value": "0"}
TLS = {"name": "RAY_USE_TLS", "value": "1"}


def head_group(*, pod: dict[str, Any] | None = None, **ray: Any) -> dict[str, Any]:
    template = builders.template("ray-head")
    template["spec"] = {**template["spec"], **(pod or {})}
    template["spec"]["containers"][0] |= ray
    return {"template": template}


def options(**fields: Any) -> dict[str, Any]:
    return {**ON, "autoscalerOptions": fields}


@pytest.mark.parametrize(
    ("spec", "annotations", "mode"),
    [
        ({}, {}, "off"),
        ({}, {names.AUTOSCALER_ANNOTATION: "operator"}, "off"),
        (ON, {}, "operator"),
        (options(version="v2"), {}, "operator"),
        (options(version="v1"), {}, "sidecar"),
        (options(image="mine"), {}, "sidecar"),
        (options(command=["mine"]), {}, "sidecar"),
        (options(args=["mine"]), {}, "sidecar"),
        (ON, {"ray.io/ippr": "{}"}, "sidecar"),
        (options(version="v1"), {names.AUTOSCALER_ANNOTATION: "operator"}, "operator"),
        (ON, {names.AUTOSCALER_ANNOTATION: "sidecar"}, "sidecar"),
        (ON, {names.AUTOSCALER_ANNOTATION: "nonsense"}, "operator"),
        ({**ON, "headGroupSpec": head_group(env=[TLS])}, {}, "sidecar"),
        ({**ON, "headGroupSpec": head_group(env=[SWITCHED_OFF])}, {}, "sidecar"),
    ],
)
def test_the_first_condition_decides_who_scales(
    spec: dict[str, Any], annotations: dict[str, str], mode: str
) -> None:
    cluster = builders.raycluster(metadata={"annotations": annotations}, **spec)
    assert autoscaling.mode(cluster, builders.SETTINGS) == mode


@pytest.mark.parametrize(
    "settings", [BY_SIDECAR, dataclasses.replace(builders.SETTINGS, use_kubernetes_proxy=True)]
)
def test_an_administrator_may_want_the_sidecar(settings: settings.Settings) -> None:
    assert autoscaling.mode(builders.raycluster(**ON), settings) == "sidecar"
    stated = {"annotations": {names.AUTOSCALER_ANNOTATION: "operator"}}
    assert autoscaling.mode(builders.raycluster(metadata=stated, **ON), settings) == "operator"


def test_a_head_says_who_scales_as_long_as_it_lives() -> None:
    cluster = builders.raycluster(**ON)
    ours = builders.pod(annotations={names.AUTOSCALER_ANNOTATION: "operator"})
    beside = msgspec.structs.replace(ours, containers=(records.Container("autoscaler"),))
    assert autoscaling.controller(cluster, ours) == "operator"
    assert autoscaling.controller(cluster, beside) == "sidecar"
    assert autoscaling.controller(cluster, builders.pod()) == "off"
    assert autoscaling.controller(builders.raycluster(), ours) == "off"


def test_a_head_that_the_operator_scales_has_no_sidecar() -> None:
    head = desired.head_pod(builders.raycluster(**ON), settings=builders.SETTINGS)
    (ray,) = head["spec"]["containers"]
    assert head["metadata"]["annotations"][names.AUTOSCALER_ANNOTATION] == "operator"
    assert {"name": autoscaling.VARIABLE, "value": "true"} in ray["env"]
    assert " --no-monitor " in ray["args"][0]
    assert "serviceAccountName" not in head["spec"]
    assert head["spec"]["restartPolicy"] == "Never"


def container(**fields: Any) -> dict[str, Any]:
    head = desired.head_pod(builders.raycluster(**fields), settings=BY_SIDECAR)
    (found,) = (each for each in head["spec"]["containers"] if each["name"] == "autoscaler")
    return dict(found)


def test_the_options_of_the_sidecar_are_the_last_word() -> None:
    given: dict[str, Any] = {
        "image": "mine",
        "imagePullPolicy": "Always",
        "resources": {"limits": {"memory": "1Gi"}},
        "securityContext": {"runAsUser": 5},
        "command": ["c"],
        "args": ["a"],
        "env": [{"name": "X", "value": "1"}, {"name": "KUBERAY_CRD_VER", "value": "v2"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    found = container(
        **options(**given), headGroupSpec=head_group(securityContext={"runAsUser": 1})
    )
    taken = ("image", "imagePullPolicy", "resources", "securityContext", "command", "args")
    assert {key: found[key] for key in taken} == {key: given[key] for key in taken}
    env = {each["name"]: each.get("value") for each in found["env"]}
    assert (env["X"], env["KUBERAY_CRD_VER"], len(env)) == ("1", "v2", len(found["env"]))
    assert found["envFrom"] == given["envFrom"]
    assert found["volumeMounts"] == [
        {"name": "v", "mountPath": "/v"},
        {"name": "ray-logs", "mountPath": "/tmp/ray"},
    ]


def test_the_sidecar_may_do_what_the_ray_container_may() -> None:
    """Else a namespace under PodSecurity restricted would refuse the whole Pod."""
    strict = {"runAsNonRoot": True, "allowPrivilegeEscalation": False}
    assert container(
        enableInTreeAutoscaling=True, headGroupSpec=head_group(securityContext=strict)
    )["securityContext"] == (strict)


def test_the_sidecar_shares_the_directory_that_the_user_mounts() -> None:
    own = {"name": "own", "mountPath": "/tmp/ray", "subPath": "s"}
    volume = {"name": "own", "emptyDir": {"sizeLimit": "1Gi"}}
    group = head_group(pod={"volumes": [volume]}, volumeMounts=[own])
    cluster = builders.raycluster(enableInTreeAutoscaling=True, headGroupSpec=group)
    spec = desired.head_pod(cluster, settings=BY_SIDECAR)["spec"]
    mounts = [
        [m for m in c["volumeMounts"] if m["mountPath"] == "/tmp/ray"] for c in spec["containers"]
    ]
    assert mounts == [[own], [own]]
    assert [each["name"] for each in spec["volumes"]] == ["own", "shared-mem"]


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        ({}, None),
        ({"rayVersion": "2.60.0"}, None),
        (ON, None),
        ({**ON, "rayVersion": "2.47.9"}, None),
        ({**ON, "rayVersion": "2.48.0"}, "Never"),
        ({**ON, "rayVersion": None}, None),  # the image is 2.46
        (options(version="v2"), "Never"),
        ({**options(version="v1"), "rayVersion": "2.60.0"}, None),
    ],
)
def test_no_pod_restarts_in_place_under_the_autoscaler_v2(
    spec: dict[str, Any], policy: str | None
) -> None:
    cluster = builders.raycluster(**spec)
    for group in (cluster.spec.head_group_spec, *cluster.spec.worker_group_specs):
        assert autoscaling.restart_policy(cluster, group, BY_SIDECAR) == policy


def test_a_restart_policy_stands_where_ray_chooses_its_autoscaler() -> None:
    group = head_group(pod={"restartPolicy": "OnFailure"})
    cluster = builders.raycluster(
        enableInTreeAutoscaling=True, rayVersion="2.60.0", headGroupSpec=group
    )
    assert autoscaling.restart_policy(cluster, cluster.spec.head_group_spec, BY_SIDECAR) is None
    spec = desired.head_pod(cluster, settings=BY_SIDECAR)["spec"]
    assert spec["restartPolicy"] == "OnFailure"


def test_the_users_switch_tells_the_version_too() -> None:
    def policy(value: str, version: str) -> str | None:
        env = [{"name": autoscaling.VARIABLE, "value": value}]
        cluster = builders.raycluster(
            enableInTreeAutoscaling=True, rayVersion=version, headGroupSpec=head_group(env=env)
        )
        return autoscaling.restart_policy(cluster, cluster.spec.worker_group_specs[0], BY_SIDECAR)

    assert (policy("1", "2.46.0"), policy("0", "2.60.0")) == ("Never", None)


def test_an_account_of_the_user_is_never_trimmed_and_never_made() -> None:
    name = "a" * 60
    cluster = builders.raycluster(
        enableInTreeAutoscaling=True, headGroupSpec=head_group(pod={"serviceAccountName": name})
    )
    head = desired.head_pod(cluster, settings=BY_SIDECAR)
    assert head["spec"]["serviceAccountName"] == sidecar.account(cluster) == name
    assert rbac.service_account(cluster) is None
    assert rbac.role_binding(cluster)["subjects"] == [
        {"kind": "ServiceAccount", "name": name, "namespace": "ns1"}
    ]


def test_names_of_long_clusters_agree() -> None:
    cluster = builders.raycluster(enableInTreeAutoscaling=True, metadata={"name": "x" * 53})
    head = desired.head_pod(cluster, settings=BY_SIDECAR)
    account = rbac.service_account(cluster)
    assert account is not None
    assert head["spec"]["serviceAccountName"] == account["metadata"]["name"] == "x" * 50
    role, binding = rbac.role(cluster), rbac.role_binding(cluster)
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == "x" * 50
    assert binding["subjects"][0]["name"] == "x" * 50
    assert role["rules"][2]["resourceNames"] == ["x" * 53]
