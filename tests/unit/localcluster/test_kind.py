"""The kind provider's configuration and the commands it would issue."""

import pathlib

import pytest
import yaml

from localcluster import commands, errors, kind, native, paths, provider

CLUSTER = paths.Cluster("test")


def test_the_configuration_has_workers_and_an_auditing_control_plane() -> None:
    config = yaml.safe_load(kind.configuration(CLUSTER, workers=3))
    assert [node["role"] for node in config["nodes"]] == ["control-plane", *["worker"] * 3]
    patch = yaml.safe_load(config["nodes"][0]["kubeadmConfigPatches"][0])
    arguments = patch["apiServer"]["extraArgs"]
    mounted = {mount["containerPath"] for mount in config["nodes"][0]["extraMounts"]}
    assert arguments["audit-policy-file"] in mounted
    assert str(pathlib.Path(arguments["audit-log-path"]).parent) in mounted


def test_ray_images_are_pulled_and_ours_are_built(tmp_path: pathlib.Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "Dockerfile.submitter").write_text("FROM scratch\n")
    assert kind.image_commands("localcluster-test", None, tmp_path) == [
        (
            *("docker", "build", "--tag", "ray-operator:dev"),
            *("--file", f"{tmp_path}/Dockerfile", str(tmp_path)),
        ),
        _load("ray-operator:dev"),
        (
            *("docker", "build", "--tag", "ray-operator-submitter:dev"),
            *("--file", f"{tmp_path}/Dockerfile.submitter", str(tmp_path)),
        ),
        _load("ray-operator-submitter:dev"),
        ("docker", "pull", "--quiet", "rayproject/ray:2.46.0"),
        _load("rayproject/ray:2.46.0"),
        ("docker", "pull", "--quiet", "rayproject/ray:2.60.0"),
        _load("rayproject/ray:2.60.0"),
        ("docker", "pull", "--quiet", "redis:7"),
        _load("redis:7"),
    ]


def _load(image: str) -> tuple[str, ...]:
    return ("kind", "load", "docker-image", "--name", "localcluster-test", image)


def test_only_the_selected_group_is_loaded(tmp_path: pathlib.Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    lines = kind.image_commands("localcluster-test", "operator", tmp_path)
    assert lines[-1] == _load("ray-operator:dev")
    assert len(lines) == 2


def test_without_a_dockerfile_there_is_no_operator_image(tmp_path: pathlib.Path) -> None:
    assert kind.image_commands("localcluster-test", "operator", tmp_path) == []


def test_a_request_decides_the_provider() -> None:
    assert isinstance(provider.choose("kind", CLUSTER), kind.Kind)
    assert isinstance(provider.choose("native", CLUSTER), native.Native)


def test_the_variable_decides_where_nothing_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLUSTER_PROVIDER", "kind")
    assert isinstance(provider.choose(None, CLUSTER), kind.Kind)
    monkeypatch.setenv("LOCALCLUSTER_PROVIDER", "minikube")
    with pytest.raises(errors.LocalClusterError, match="no such provider: minikube"):
        provider.choose(None, CLUSTER)


@pytest.mark.parametrize(("engine", "expected"), [(True, kind.Kind), (False, native.Native)])
def test_a_docker_engine_that_answers_means_kind(
    monkeypatch: pytest.MonkeyPatch, engine: bool, expected: type
) -> None:
    monkeypatch.delenv("LOCALCLUSTER_PROVIDER", raising=False)
    monkeypatch.setattr(commands, "succeeds", lambda *argv: engine and argv == ("docker", "info"))
    assert isinstance(provider.choose(None, CLUSTER), expected)
