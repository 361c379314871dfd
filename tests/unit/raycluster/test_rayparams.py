"""Flags of `ray start`."""

from typing import Any

import pytest

from ray_operator.raycluster import rayparams
from tests.unit import builders

HEAD = {
    "block": "true",
    "dashboard-agent-listen-port": "52365",
    "dashboard-host": "0.0.0.0",
    "metrics-export-port": "8080",
}
WORKER = {
    "address": "demo-head-svc.ns1.svc.cluster.local:6379",
    "block": "true",
    "dashboard-agent-listen-port": "52365",
    "metrics-export-port": "8080",
}


def head(*, limits: Any = None, requests: Any = None, **fields: Any) -> dict[str, Any]:
    container = {"name": "ray-head", "resources": {"limits": limits, "requests": requests}}
    return {"template": {"spec": {"containers": [container]}}, **fields}


def head_params(given: dict[str, Any], **spec: Any) -> dict[str, str]:
    cluster = builders.raycluster(headGroupSpec=given, **spec)
    return rayparams.completed(cluster, cluster.spec.head_group_spec, settings=builders.SETTINGS)


def worker_params(head_group: dict[str, Any], **fields: Any) -> dict[str, str]:
    template = {"spec": {"containers": [{"name": "ray-worker"}]}}
    cluster = builders.raycluster(
        headGroupSpec=head_group, groups=[builders.group(template=template, **fields)]
    )
    return rayparams.completed(
        cluster, cluster.spec.worker_group_specs[0], settings=builders.SETTINGS
    )


def test_head_and_worker_get_defaults() -> None:
    assert head_params(head()) == HEAD
    assert worker_params(head()) == WORKER


def test_user_flags_stay_except_block() -> None:
    params = {"block": "false", "dashboard-host": "127.0.0.1", "metrics-export-port": "9000"}
    assert head_params(head(rayStartParams=params)) == {**HEAD, **params, "block": "true"}


def test_workers_find_a_renamed_head_service_and_a_moved_gcs() -> None:
    given = head(rayStartParams={"port": "6380"}, headService={"metadata": {"name": "front"}})
    assert worker_params(given)["address"] == "front.ns1.svc.cluster.local:6380"
    assert worker_params(given, rayStartParams={"address": "other:1"})["address"] == "other:1"


def test_autoscaling_leaves_the_monitor_out_of_the_head() -> None:
    assert head_params(head(), enableInTreeAutoscaling=True) == {**HEAD, "no-monitor": "true"}


def test_labels_become_a_flag_in_order() -> None:
    assert worker_params(head(), labels={"z": "1", "a": "2"})["labels"] == "a=2,z=1"


@pytest.mark.parametrize(
    ("limits", "requests", "flags"),
    [
        ({"cpu": "1500m", "memory": "1Gi"}, None, {"num-cpus": "2", "memory": "1073741824"}),
        (None, {"cpu": "200m", "memory": "1k"}, {"num-cpus": "1", "memory": "1000"}),
        ({"cpu": "0"}, {"cpu": "3"}, {"num-cpus": "3"}),
        ({"nvidia.com/gpu": "0", "amd.com/gpu": "2"}, None, {"num-gpus": "2"}),
        ({"nvidia.com/gpu": 1, "amd.com/gpu": 2}, None, {"num-gpus": "2"}),
        ({"nvidia.com/mig-1g.5gb": "3"}, None, {"num-gpus": "3"}),
        (None, {"nvidia.com/gpu": "1"}, {}),
        ({"google.com/tpu": "4"}, None, {"resources": """'{"TPU":4}'"""}),
        (
            {"google.com/tpu": "4", "aws.amazon.com/neuroncore": "2"},
            None,
            {"resources": """'{"neuron_cores":2}'"""},
        ),
        ({"cpu": "nonsense"}, None, {}),
    ],
)
def test_resources_of_the_container_become_flags(
    limits: Any, requests: Any, flags: dict[str, str]
) -> None:
    assert head_params(head(limits=limits, requests=requests)) == {**HEAD, **flags}


def test_flags_of_the_user_win_over_the_container() -> None:
    limits = {"cpu": "4", "memory": "1Gi", "nvidia.com/gpu": "1"}
    flags = {"num-cpus": "0", "memory": "5", "num-gpus": "0"}
    assert head_params(head(limits=limits, rayStartParams=flags)) == {**HEAD, **flags}


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ("""'{"custom": 2}'""", """'{"TPU":4,"custom":2}'"""),
        ('''"{\\"custom\\": 0.5}"''', """'{"TPU":4,"custom":0.5}'"""),
        ('{"custom": 2.0}', """'{"TPU":4,"custom":2}'"""),
        ("""'{"TPU": 1}'""", """'{"TPU": 1}'"""),
        ("""'{"neuron_cores": 1}'""", """'{"neuron_cores": 1}'"""),
        ("'{broken'", "'{broken'"),
        ("'{\"a\": NaN}'", "'{\"a\": NaN}'"),
    ],
)
def test_an_accelerator_joins_the_users_resources(given: str, flag: str) -> None:
    limits = {"google.com/tpu": "4", "nvidia.com/gpu": "1"}
    assert head_params(head(limits=limits, rayStartParams={"resources": given})) == {
        **HEAD,
        "num-gpus": "1",
        "resources": flag,
    }


def test_the_groups_resources_win_over_the_container() -> None:
    given = {"CPU": "1500m", "Memory": "1Gi", "GPU": "1", "TPU": "4", "slots": "0.5", "bad": "x"}
    assert head_params(head(limits={"cpu": "8", "google.com/tpu": "8"}, resources=given)) == {
        **HEAD,
        "memory": "1073741824",
        "num-cpus": "2",
        "num-gpus": "1",
        "resources": """'{"TPU":4,"slots":0.5}'""",
    }


def test_the_command_sorts_flags_and_reads_booleans() -> None:
    flags = {
        "block": "true",
        "no-monitor": "FALSE",
        "include-dashboard": "false",
        "log-color": "True",
        "port": "$PORT",
    }
    assert rayparams.start_command(flags, is_head=True) == (
        "ray start --head  --block  --include-dashboard=false  --log-color=True  --port=$PORT "
    )
    assert rayparams.start_command({}, is_head=False) == "ray start "


@pytest.mark.parametrize(
    ("text", "port"), [("9000", 9000), ("$PORT", 1), ("", 1), ("70000", 1), ("0", 1), ("-5", 1)]
)
def test_only_a_port_number_is_read_as_one(text: str, port: int) -> None:
    assert rayparams.port({"port": text}, "port", 1) == port
