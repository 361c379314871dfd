"""The rendered configurations of the native cluster's components."""

import json
import pathlib
import tomllib

import yaml

from localcluster import components, configs, paths, topology

CLUSTER = paths.Cluster("test")
NODES = topology.nodes(2)


def test_each_containerd_has_its_own_root_state_and_socket() -> None:
    rendered = [tomllib.loads(configs.containerd(CLUSTER, node)) for node in NODES]
    for key in ("root", "state"):
        assert len({config[key] for config in rendered}) == len(NODES)
    assert [config["grpc"]["address"] for config in rendered] == [
        node.containerd_socket for node in NODES
    ]


def test_upkeep_runs_without_cri_on_the_same_root_but_another_socket() -> None:
    node = NODES[0]
    normal = tomllib.loads(configs.containerd(CLUSTER, node))
    upkeep = tomllib.loads(configs.containerd(CLUSTER, node, address="/run/u.sock", cri=False))
    assert upkeep["disabled_plugins"] == ["io.containerd.grpc.v1.cri"]
    assert upkeep["root"] == normal["root"]
    assert upkeep["grpc"]["address"] == "/run/u.sock"


def test_kubelets_share_nothing_that_one_would_wipe_for_the_other() -> None:
    rendered = [yaml.safe_load(configs.kubelet(CLUSTER, node)) for node in NODES]
    for key in ("address", "podLogsDir", "cgroupRoot", "containerRuntimeEndpoint"):
        assert len({config[key] for config in rendered}) == len(NODES), key


def test_the_pod_network_of_each_node_is_its_own_range() -> None:
    subnets = [
        json.loads(configs.cni(node))["plugins"][0]["ipam"]["ranges"][0][0]["subnet"]
        for node in NODES
    ]
    assert subnets == [node.pod_cidr for node in NODES]


def test_the_audit_log_holds_service_accounts_but_not_the_control_plane() -> None:
    policy = yaml.safe_load(configs.audit_policy())
    assert policy["rules"] == [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ]


def test_every_configuration_that_a_component_names_is_rendered() -> None:
    rendered = {str(path) for path in configs.files(CLUSTER, NODES)}
    named = {
        word.rpartition("=")[2]
        for component in components.table(CLUSTER, NODES, pathlib.Path("/tools"))
        for word in component.argv
        if word.endswith((".yaml", ".toml"))
    }
    assert named
    assert named <= rendered


def test_component_names_are_unique_and_programs_absolute() -> None:
    table = components.table(CLUSTER, NODES, pathlib.Path("/tools"))
    assert len({component.name for component in table}) == len(table)
    assert all(component.argv[0].startswith("/") for component in table)
    assert [c.name for c in table if c.inherits_listener] == ["gateway"]


def test_only_what_pulls_images_keeps_the_proxy_settings() -> None:
    base = {"PATH": "/bin", "HTTPS_PROXY": "http://proxy", "no_proxy": "x"}
    for component in components.table(CLUSTER, NODES, pathlib.Path("/tools")):
        expected = base if component.name.startswith("containerd") else {"PATH": "/bin"}
        assert component.environment(base) == expected
