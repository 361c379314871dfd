"""Pods of head and workers as manifests."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from ray_operator import actions, names, settings
from ray_operator.api import raycluster as api
from ray_operator.raycluster import desired, nodes
from ray_operator.raycluster import observed as seen
from tests.unit import builders

ULIMIT = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; "


def template(name: str = "ray", **container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": "img"} | container]}}


def head(given: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"template": given or template()} | fields


def head_pod(cluster: api.RayCluster, **options: Any) -> dict[str, Any]:
    return desired.head_pod(cluster, settings=settings.Settings(version="test", **options))


def worker_pod(cluster: api.RayCluster, **options: Any) -> dict[str, Any]:
    (worker,) = desired.worker_pods(
        cluster,
        cluster.spec.worker_group_specs[0],
        places=[desired.Place({names.REPLICA_INDEX_LABEL: "7"})],
        settings=settings.Settings(version="test", **options),
    )
    return worker


def ray(pod: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod["spec"]["containers"][0]
    return container


def env(container: dict[str, Any]) -> dict[str, Any]:
    found = {each["name"]: each.get("value") for each in container["env"]}
    assert len(found) == len(container["env"]), "a name comes twice"
    return found


def test_names_of_pods_hold_what_hosts_may() -> None:
    assert names.worker_pod("demo", "My_group.1") == "demo-my-group-1-worker"
    assert len(names.worker_pod("c" * 53, "g" * 63)) + names.SUFFIX_LENGTH + 1 == 63


def test_the_worked_example_of_the_specification() -> None:
    limits = {"cpu": "1500m", "memory": "4Gi", "nvidia.com/gpu": "1"}
    cluster = builders.raycluster(
        rayVersion="2.52.0",
        headGroupSpec=head(template(resources={"limits": {"cpu": "2", "memory": "8Gi"}})),
        groups=[builders.group("gpu", template=template(resources={"limits": limits}))],
    )
    head_, worker = head_pod(cluster), worker_pod(cluster)
    assert ray(head_)["args"][0] == (
        f"{ULIMIT}ray start --head  --block  --dashboard-agent-listen-port=52365  "
        "--dashboard-host=0.0.0.0  --memory=8589934592  --metrics-export-port=8080  --num-cpus=2 "
    )
    assert ray(worker)["args"][0] == (
        f"{ULIMIT}ray start  --address=demo-head-svc.ns1.svc.cluster.local:6379  --block  "
        "--dashboard-agent-listen-port=52365  --memory=4294967296  --metrics-export-port=8080  "
        "--num-cpus=2  --num-gpus=1 "
    )
    assert env(ray(worker))["RAY_ADDRESS"] == "demo-head-svc.ns1.svc.cluster.local:6379"
    assert env(ray(worker))["RAY_IP"] == "demo-head-svc"
    assert env(ray(head_))["RAY_ADDRESS"] == "127.0.0.1:6379"
    for pod, size in ((head_, "8Gi"), (worker, "4Gi")):
        assert pod["spec"]["volumes"] == [
            {"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": size}}
        ]


def test_building_changes_nothing_and_gives_the_same_again() -> None:
    cluster = builders.raycluster(
        headGroupSpec=head(headService={"spec": {"ports": [{"name": "x", "port": 1}]}})
    )
    before = copy.deepcopy(cluster)
    first = head_pod(cluster), worker_pod(cluster)
    service = desired.head_service(cluster, settings=builders.SETTINGS)
    assert cluster == before
    assert (head_pod(cluster), worker_pod(cluster)) == first
    assert desired.head_service(cluster, settings=builders.SETTINGS) == service


@pytest.mark.parametrize(
    ("metadata", "deterministic", "name"),
    [
        ({}, False, {"generateName": "demo-head-"}),
        ({}, True, {"name": "demo-head"}),
        ({"name": "fixed"}, True, {"name": "fixed"}),
    ],
)
def test_the_heads_name(
    metadata: dict[str, Any], name: dict[str, str], *, deterministic: bool
) -> None:
    cluster = builders.raycluster(headGroupSpec=head({"metadata": metadata, **template()}))
    built = head_pod(cluster, deterministic_head_name=deterministic)["metadata"]
    assert {key: built[key] for key in ("name", "generateName") if key in built} == name


def test_a_workers_name_never_comes_from_the_template() -> None:
    given = {"metadata": {"name": "fixed", "namespace": "elsewhere"}, **template()}
    cluster = builders.raycluster(groups=[builders.group("Big_Group" * 9, template=given)])
    built = worker_pod(cluster)["metadata"]
    assert "name" not in built
    assert built["generateName"] == f"{'demo-' + 'big-group' * 5}-worker-"
    assert built["namespace"] == "ns1"


def test_labels_of_users_win_except_those_pods_are_found_by() -> None:
    labels = {names.CLUSTER_LABEL: "x", names.NODE_TYPE_LABEL: "x", names.GROUP_LABEL: "x"}
    given = {"metadata": {"labels": {**labels, "a": "1", "b": "1"}}, **template()}
    mine = {**labels, "b": "2", names.APP_NAME_LABEL: "mine"}
    cluster = builders.raycluster(
        groups=[builders.group(template=given, labels=mine)],
        metadata={"labels": {names.ORIGIN_KIND_LABEL: "RayService"}},
    )
    assert worker_pod(cluster)["metadata"]["labels"] == {
        names.IS_RAY_NODE_LABEL: "yes",
        names.IDENTIFIER_LABEL: "demo-worker",
        names.APP_NAME_LABEL: "mine",
        names.CREATED_BY_LABEL: "kuberay-operator",
        "a": "1",
        "b": "2",
        names.CLUSTER_LABEL: "demo",
        names.NODE_TYPE_LABEL: "worker",
        names.GROUP_LABEL: "small",
        names.SERVE_LABEL: "true",
        names.REPLICA_INDEX_LABEL: "7",
    }
    assert head_pod(cluster)["metadata"]["labels"][names.SERVE_LABEL] == "false"


def test_annotations_tell_version_hash_and_fault_tolerance() -> None:
    given = {"metadata": {"annotations": {"mine": "1"}}, **template()}
    cluster = builders.raycluster(
        headGroupSpec=head(given), gcsFaultToleranceOptions={"redisAddress": "redis:6379"}
    )
    head_, worker = head_pod(cluster)["metadata"], worker_pod(cluster)["metadata"]
    hash_ = worker["annotations"][names.HASH_ANNOTATION]
    own_hashes = [each["annotations"].pop(names.GROUP_HASH_ANNOTATION) for each in (head_, worker)]
    assert len({hash_, *own_hashes}) == 3
    assert head_["annotations"] == {
        names.DEFAULT_CONTAINER_ANNOTATION: "ray",
        "mine": "1",
        names.HASH_ANNOTATION: hash_,
        names.FT_ENABLED_ANNOTATION: "true",
        names.FT_NAMESPACE_ANNOTATION: builders.UID,
        names.VERSION_ANNOTATION: "test",
    }
    assert worker["annotations"] == {
        names.DEFAULT_CONTAINER_ANNOTATION: "ray-worker",
        names.HASH_ANNOTATION: hash_,
    }


@pytest.mark.parametrize(
    ("given", "annotations", "command", "args"),
    [
        ({}, {}, ["/bin/bash", "-c", "--"], [ULIMIT + "ray start --head "]),
        (
            {"command": ["a"], "args": ["b", "c"]},
            {names.OVERWRITE_COMMAND_ANNOTATION: "false"},
            ["/bin/bash", "-c", "--"],
            [f" a  b  c  && {ULIMIT}ray start --head "],
        ),
        ({"args": ["x; ray start --head"]}, {}, None, ["x; ray start --head"]),
        ({"command": ["a"]}, {names.OVERWRITE_COMMAND_ANNOTATION: "True"}, ["a"], None),
    ],
)
def test_the_command_of_the_user_comes_first_or_stays(
    given: dict[str, Any],
    annotations: dict[str, str],
    command: list[str] | None,
    args: list[str] | None,
) -> None:
    cluster = builders.raycluster(
        headGroupSpec=head(template(**given)), metadata={"annotations": annotations}
    )
    container = ray(head_pod(cluster))
    assert container.get("command") == command
    found = [each.partition(" --block")[0] for each in container.get("args") or []]
    assert (found or None) == args
    assert env(container)["KUBERAY_GEN_RAY_START_CMD"].startswith("ray start --head  --block ")


def test_the_templates_annotation_keeps_the_command_too() -> None:
    given = {
        "metadata": {"annotations": {names.OVERWRITE_COMMAND_ANNOTATION: "true"}},
        **template(command=["a"]),
    }
    assert ray(head_pod(builders.raycluster(headGroupSpec=head(given))))["command"] == ["a"]


def test_a_login_shell_where_asked() -> None:
    pod = worker_pod(builders.raycluster(), login_shell=True)
    assert ray(pod)["command"] == ["/bin/bash", "-cl", "--"]
    assert pod["spec"]["initContainers"][0]["command"] == ["/bin/bash", "-cl", "--"]


def test_environment_replaces_or_yields_to_the_users() -> None:
    given = [
        {"name": "RAY_CLUSTER_NAME", "value": "wrong"},
        {"name": "RAY_ADDRESS", "value": "mine"},
        {"name": "OTHER", "value": "1"},
    ]
    cluster = builders.raycluster(
        headGroupSpec=head(template(env=given), rayStartParams={"port": "6380"}),
        metadata={"labels": {names.ORIGIN_KIND_LABEL: "RayService"}},
    )
    container = ray(head_pod(cluster))
    assert [each["name"] for each in container["env"]][:3] == [
        "RAY_CLUSTER_NAME",
        "RAY_ADDRESS",
        "OTHER",
    ]
    found = env(container)
    del found["KUBERAY_GEN_RAY_START_CMD"]
    assert found == {
        "RAY_CLUSTER_NAME": None,
        "RAY_ADDRESS": "mine",
        "OTHER": "1",
        "RAY_CLUSTER_NAMESPACE": None,
        "RAY_CLOUD_INSTANCE_ID": None,
        "RAY_NODE_TYPE_NAME": None,
        "RAY_USAGE_STATS_EXTRA_TAGS": "kuberay_version=test;kuberay_crd=RayService",
        "RAY_PORT": "6380",
        "RAY_timeout_ms_task_wait_for_death_info": "0",
        "RAY_gcs_server_request_timeout_seconds": "5",
        "RAY_SERVE_KV_TIMEOUT_S": "5",
        "RAY_core_worker_rpc_server_reconnect_timeout_s": "1",
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE": "1",
    }


def test_init_containers_know_the_head_and_workers_wait_last() -> None:
    given = template(
        env=[{"name": "A", "value": "1"}],
        envFrom=[{"secretRef": {"name": "s"}}],
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
        resources={"limits": {"cpu": "500m", "memory": "128Mi"}},
    )
    given["spec"]["initContainers"] = [{"name": "mine"}]
    cluster = builders.raycluster(
        headGroupSpec=head(given), groups=[builders.group(template=given)]
    )
    address = [
        {"name": "FQ_RAY_IP", "value": "demo-head-svc.ns1.svc.cluster.local"},
        {"name": "RAY_IP", "value": "demo-head-svc"},
    ]
    mine = {"name": "mine", "env": address}
    assert head_pod(cluster)["spec"]["initContainers"] == [mine]
    assert worker_pod(cluster, inject_init_container=False)["spec"]["initContainers"] == [mine]
    first, waiting = worker_pod(cluster)["spec"]["initContainers"]
    assert first == mine
    (script,) = waiting.pop("args")
    assert "ray" not in script  # whose start costs seconds of CPU
    assert waiting == {
        "name": "wait-gcs-ready",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "image": "img",
        "command": ["/bin/bash", "-c", "--"],
        "env": [{"name": "A", "value": "1"}, *address],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "resources": {
            "limits": {"cpu": "500m", "memory": "128Mi"},
            "requests": {"cpu": "200m", "memory": "128Mi"},
        },
    }


@pytest.mark.parametrize(
    ("given", "params", "ports"),
    [
        ([], {}, [{"name": "metrics", "containerPort": 8080}]),
        ([], {"metrics-export-port": "9"}, [{"name": "metrics", "containerPort": 9}]),
        ([{"name": "metrics", "containerPort": 1}], {}, [{"name": "metrics", "containerPort": 1}]),
        ([{"name": "http", "containerPort": 8080}], {}, [{"name": "http", "containerPort": 8080}]),
    ],
)
def test_a_metrics_port_unless_its_name_or_number_is_taken(
    given: list[dict[str, Any]], params: dict[str, str], ports: list[dict[str, Any]]
) -> None:
    cluster = builders.raycluster(headGroupSpec=head(template(ports=given), rayStartParams=params))
    assert ray(head_pod(cluster))["ports"] == ports


@pytest.mark.parametrize(
    ("container", "params", "mounts", "volumes"),
    [
        ({}, {}, ["/dev/shm"], [{"name": "shared-mem", "emptyDir": {"medium": "Memory"}}]),
        (
            {"resources": {"requests": {"memory": "1Gi"}}},
            {},
            ["/dev/shm"],
            [{"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}],
        ),
        ({"volumeMounts": [{"name": "v", "mountPath": "/dev/shm/"}]}, {}, ["/dev/shm/"], None),
        ({}, {"plasma-directory": "/x"}, [], None),
    ],
)
def test_shared_memory_unless_the_user_has_a_place(
    container: dict[str, Any],
    params: dict[str, str],
    mounts: list[str],
    volumes: list[dict[str, Any]] | None,
) -> None:
    cluster = builders.raycluster(headGroupSpec=head(template(**container), rayStartParams=params))
    pod = head_pod(cluster)
    assert [each["mountPath"] for each in ray(pod).get("volumeMounts", [])] == mounts
    assert pod["spec"].get("volumes") == volumes


def test_a_volume_of_that_name_is_used_as_it_is() -> None:
    given = template()
    given["spec"]["volumes"] = [{"name": "shared-mem", "emptyDir": {}}]
    pod = head_pod(builders.raycluster(headGroupSpec=head(given)))
    assert pod["spec"]["volumes"] == [{"name": "shared-mem", "emptyDir": {}}]
    assert ray(pod)["volumeMounts"] == [{"name": "shared-mem", "mountPath": "/dev/shm"}]


def test_what_the_operator_does_not_know_is_copied() -> None:
    given = template(fromTheFuture={"a": 1})
    given["spec"] |= {"hostNetwork": True, "schedulerName": "s", "newField": [1]}
    given["spec"]["containers"].append({"name": "sidecar", "env": []})
    spec = head_pod(builders.raycluster(headGroupSpec=head(given)))["spec"]
    assert spec["containers"][0]["fromTheFuture"] == {"a": 1}
    assert spec["containers"][1] == {"name": "sidecar", "env": []}
    assert {key: spec[key] for key in ("schedulerName", "newField", "dnsPolicy")} == {
        "schedulerName": "s",
        "newField": [1],
        "dnsPolicy": "ClusterFirstWithHostNet",
    }


def test_a_dns_policy_of_the_user_stays() -> None:
    given = template()
    given["spec"] |= {"hostNetwork": True, "dnsPolicy": "Default"}
    spec = head_pod(builders.raycluster(headGroupSpec=head(given)))["spec"]
    assert spec["dnsPolicy"] == "Default"


@pytest.mark.parametrize(("seconds", "waits"), [(None, True), (5, True), (60, False)])
def test_workers_wait_for_a_head_that_may_not_be_found_yet(
    seconds: int | None, waits: bool
) -> None:
    """Each container costs a second, and Ray's GCS is there by then."""
    since = None if seconds is None else builders.NOW - timedelta(seconds=seconds)
    observed = seen.Observed(pods=(builders.pod(ready=seconds is not None, ready_since=since),))
    cluster = builders.raycluster()
    plan = nodes.plan(cluster, observed, options=builders.SETTINGS, now=builders.NOW)
    (worker,) = (each.manifest for each in plan.actions if isinstance(each, actions.Create))
    names = [each["name"] for each in worker["spec"].get("initContainers", [])]
    assert names == (["wait-gcs-ready"] if waits else [])
