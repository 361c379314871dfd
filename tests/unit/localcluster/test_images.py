"""Image keys, the layout of finished images, and the machine's settings inside them."""

import io
import json
import pathlib
import tarfile

import pytest

from localcluster import catalog, machine, oci, toolchain


@pytest.fixture
def repository(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(machine, "settings_key", lambda: ("settings",))
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm-slim\n")
    source = tmp_path / "operator" / "ray_operator"
    source.mkdir(parents=True)
    (source / "a.py").write_text("a = 1\n")
    return tmp_path


def _operator_key(repository: pathlib.Path) -> str:
    return catalog.operator(repository)[0].key()


def test_an_unchanged_source_keeps_the_key(repository: pathlib.Path) -> None:
    before = _operator_key(repository)
    cached = repository / "operator" / "ray_operator" / "__pycache__"
    cached.mkdir()
    (cached / "a.pyc").write_bytes(b"compiled")
    (repository / "tests.py").write_text("not an input\n")
    assert _operator_key(repository) == before


@pytest.mark.parametrize(
    "changed", ["Dockerfile", "uv.lock", "operator/ray_operator/a.py", "operator/ray_operator/b.py"]
)
def test_every_input_changes_the_key(repository: pathlib.Path, changed: str) -> None:
    before = _operator_key(repository)
    (repository / changed).write_text("changed\n")
    assert _operator_key(repository) != before


def test_only_its_program_and_recipe_change_the_submitters_key(repository: pathlib.Path) -> None:
    program = repository / "operator" / "ray_operator" / "submitter.py"
    program.write_text("first\n")
    (repository / "Dockerfile.submitter").write_text("FROM debian:bookworm-slim\n")
    _, submitter = catalog.operator(repository)
    assert submitter.reference == "docker.io/library/ray-operator-submitter:dev"
    before = submitter.key()
    (repository / "operator" / "ray_operator" / "a.py").write_text("changed\n")
    assert submitter.key() == before
    program.write_text("changed\n")
    assert submitter.key() != before


def test_the_machines_settings_change_every_image_made_from_debian(
    repository: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {image.reference: image.key() for image in (*catalog.ray(), *_operator(repository))}
    monkeypatch.setattr(machine, "settings_key", lambda: ("others",))
    after = {image.reference: image.key() for image in (*catalog.ray(), *_operator(repository))}
    assert all(after[reference] != key for reference, key in before.items())


def _operator(repository: pathlib.Path) -> tuple[catalog.Image, ...]:
    return catalog.operator(repository)


def test_ray_images_differ_by_version_only() -> None:
    first, second, _ = catalog.ray()
    assert first.reference == "docker.io/rayproject/ray:2.46.0"
    assert second.reference == "docker.io/rayproject/ray:2.60.0"
    assert first.parent == second.parent
    assert first.recipe == second.recipe
    assert first.key() != second.key()


def test_pip_settings_of_variables_win_and_paths_of_the_host_are_dropped(
    tmp_path: pathlib.Path,
) -> None:
    first, second = tmp_path / "first.conf", tmp_path / "second.conf"
    first.write_text("[global]\nindex-url = https://one/simple\ntimeout = 7\ncert = /own.pem\n")
    second.write_text("[install]\ntrusted-host =\n    a\n    b\n[global]\nretries = 9\n")
    variables = {"PIP_INDEX_URL": "https://two/simple", "PIP_FIND_LINKS": "/wheels", "HOME": "/h"}
    files = [first, second, tmp_path / "missing.conf"]
    assert machine.render_pip_configuration(files, variables) == (
        "[global]\n"
        "cert = /etc/ssl/certs/ca-certificates.crt\n"
        "index-url = https://two/simple\n"
        "retries = 9\n"
        "timeout = 7\n"
        "trusted-host = \n    a\n    b\n"
    )


def test_without_pip_settings_only_the_certificates_are_set() -> None:
    expected = "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"
    assert machine.render_pip_configuration([], {}) == expected


def _layout(folder: pathlib.Path) -> oci.Layout:
    """Make a layout of two images that share a layer."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for name, content in {"config": b"{}", "shared": b"layer", "own": b"more"}.items():
        (blobs / name).write_bytes(content)
    manifests = []
    for image, layers in {"one": ["shared"], "two": ["shared", "own"]}.items():
        manifest = {
            "config": {"digest": "sha256:config", "size": 2},
            "layers": [
                {"digest": f"sha256:{layer}", "size": (blobs / layer).stat().st_size}
                for layer in layers
            ],
        }
        content = json.dumps(manifest).encode()
        (blobs / f"manifest-{image}").write_bytes(content)
        manifests.append(
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": f"sha256:manifest-{image}",
                "size": len(content),
                "annotations": {"org.opencontainers.image.ref.name": f"example/{image}:1"},
            }
        )
    index = {"schemaVersion": 2, "manifests": manifests}
    (folder / "index.json").write_text(json.dumps(index))
    return oci.Layout(folder)


def test_a_streamed_image_holds_its_own_blobs_and_full_name(tmp_path: pathlib.Path) -> None:
    stream = io.BytesIO()
    _layout(tmp_path).write_tar("example/one:1", stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        assert set(archive.getnames()) == {
            "oci-layout",
            "index.json",
            "blobs/sha256/manifest-one",
            "blobs/sha256/config",
            "blobs/sha256/shared",
        }
        member = archive.extractfile("index.json")
        assert member is not None
        index = json.load(member)
    assert index["manifests"][0]["annotations"] == {
        "io.containerd.image.name": "example/one:1",
        "org.opencontainers.image.ref.name": "1",
    }


def test_digests_name_every_image(tmp_path: pathlib.Path) -> None:
    assert _layout(tmp_path).digests() == {
        "example/one:1": "sha256:manifest-one",
        "example/two:1": "sha256:manifest-two",
    }


def test_pruning_keeps_what_an_image_needs(tmp_path: pathlib.Path) -> None:
    layout = _layout(tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    index["manifests"].pop()
    (tmp_path / "index.json").write_text(json.dumps(index))
    layout.prune()
    assert {path.name for path in (tmp_path / "blobs" / "sha256").iterdir()} == {
        "manifest-one",
        "config",
        "shared",
    }


def test_no_layout_means_no_images(tmp_path: pathlib.Path) -> None:
    assert oci.Layout(tmp_path / "missing").digests() == {}


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8", (1, 26)), ("module x\n\ngo 1.25.0\n", (1, 25)), ("devel", (0, 0))],
)
def test_go_versions_are_read_from_go_and_from_go_mod(text: str, version: tuple[int, int]) -> None:
    assert toolchain.parse_version(text) == version
