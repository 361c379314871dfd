"""The CRDs at a real API server: what users, SDKs and other controllers do with them."""

import json
from pathlib import Path

import pytest
import yaml

from ray_operator.api import crds, kubernetes, options
from tests.support import cluster as clusters
from tests.support import samples
from tests.support.rulebook import example

ROOT = Path(__file__).parents[2]
KINDS = {kind.name: kind for kind in crds.KINDS}
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def read(api: clusters.Cluster, kind: str, name: str, version: str = "v1") -> example.Json:
    path = f"/apis/ray.io/{version}/namespaces/default/{KINDS[kind].plural}/{name}"
    found: example.Json = json.loads(api.kubectl("get", "--raw", path))
    return found


def patch_groups(api: clusters.Cluster, manager: str, *groups: example.Json) -> str:
    """Apply some groups of the cluster `shared` server-side, as that owner."""
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "shared"},
        "spec": {"workerGroupSpecs": list(groups)},
    }
    flags = ("--server-side", f"--field-manager={manager}", "-f", "-")
    return api.kubectl("apply", *flags, stdin=json.dumps(manifest))


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_fits_the_annotation_of_client_side_apply(
    api: clusters.Cluster, kind: str
) -> None:
    """The fixture applied all of them twice; here is what kubectl stored."""
    stored = json.loads(api.kubectl("get", "crd", f"{KINDS[kind].plural}.ray.io", "-o", "json"))
    kept = len(stored["metadata"]["annotations"][ANNOTATION])
    print(f"{kind}: {kept} bytes kept by kubectl")
    assert kept <= crds.LARGEST
    assert stored["status"]["storedVersions"] == ["v1"]


@pytest.mark.parametrize("sample", samples.ALL, ids=lambda path: path.name)
def test_a_sample_applies_strictly(api: clusters.Cluster, sample: Path) -> None:
    flags = ("--validate=strict", "--dry-run=server", "-f", str(sample))
    assert "created" in api.kubectl("apply", *flags)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resource_applies_twice(api: clusters.Cluster, kind: str) -> None:
    """To kubectl, defaults within lists look like changes; to the server they are none."""
    manifest = json.dumps(example.manifest(kind, {}, name="twice"))
    seen = set()
    for _ in range(2):
        api.kubectl("apply", "--validate=strict", "-f", "-", stdin=manifest)
        seen.add(read(api, kind, "twice")["metadata"]["resourceVersion"])
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("raycluster.spec.headGroupSpec.template.spec.containers", "livenessProbe"),
        ("raycluster.spec.workerGroupSpecs.scaleStrategy", "Names of Pods that the autoscaler"),
        ("rayjob.spec.submitterPodTemplate.spec.volumes.projected.sources", "serviceAccountToken"),
        ("rayservice.spec.rayClusterConfig.headGroupSpec.headService.spec.ports", "nodePort"),
        ("raycronjob.spec.jobTemplate.deletionStrategy.deletionRules", "What to delete"),
    ],
)
def test_fields_are_explained_at_depth(api: clusters.Cluster, path: str, text: str) -> None:
    assert text in api.kubectl("explain", path)


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("RayCluster", "spec/headGroupSpec/template/spec/containers/0/imagePolicy"),
        ("RayCluster", "spec/headGroupSpec/rayStartParam"),
        ("RayJob", "spec/submitterPodTemplate/spec/containers/0/comand"),
        ("RayService", "spec/serveConfig"),
        ("RayCronJob", "spec/jobTemplate/rayClusterSpec/headGroupSpec/template/spec/nodeselector"),
    ],
)
def test_typos_are_found(api: clusters.Cluster, kind: str, at: str) -> None:
    changes: example.Json = {at: "x"}
    if "submitterPodTemplate" in at:
        changes = {"spec/submitterPodTemplate": example.template(comand=["x"])}
    manifest = json.dumps(example.manifest(kind, changes))
    with pytest.raises(
        clusters.CommandFailed, match=r"unknown field \"spec\..*" + at.rsplit("/", maxsplit=1)[-1]
    ):
        api.kubectl("apply", "--validate=strict", "--dry-run=server", "-f", "-", stdin=manifest)


def test_an_old_manifest_is_read_anew_without_loss(api: clusters.Cluster) -> None:
    """KubeRay's v1alpha1 fields, and newer ones that its own v1alpha1 would drop."""
    for kind, changes in (
        (
            "RayCluster",
            {
                "spec/headGroupSpec/rayStartParams": {"dashboard-host": "0.0.0.0"},
                "spec/workerGroupSpecs/0/numOfHosts": 2,
                "spec/headGroupSpec/template/spec/containers/0/lifecycle": {
                    "preStop": {"exec": {"command": ["true"]}}
                },
                "spec/gcsFaultToleranceOptions": {"redisAddress": "r:1"},
            },
        ),
        ("RayJob", {"spec/backoffLimit": 3, "spec/submitterPodTemplate": example.template()}),
        ("RayService", {"spec/suspend": True, "spec/serviceUnhealthySecondThreshold": 9}),
    ):
        manifest = example.manifest(kind, changes, name="old")
        manifest["apiVersion"] = "ray.io/v1alpha1"
        api.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        assert contains(read(api, kind, "old")["spec"], manifest["spec"]) == []
        touched = read(api, kind, "old", "v1alpha1")
        touched["metadata"]["labels"] = {"touched": "yes"}
        api.kubectl("replace", "-f", "-", stdin=json.dumps(touched))
        assert contains(read(api, kind, "old")["spec"], manifest["spec"]) == []


def contains(found: object, wanted: object, at: str = "spec") -> list[str]:
    """List the paths at which `found` lacks something of `wanted`; defaults may be added."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            path
            for key, value in wanted.items()
            for path in (
                contains(found[key], value, f"{at}.{key}") if key in found else [f"{at}.{key}"]
            )
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            path
            for index, (one, other) in enumerate(zip(found, wanted, strict=True))
            for path in contains(one, other, f"{at}[{index}]")
        ]
    return [] if found == wanted else [at]


def test_the_rules_can_be_afforded_for_the_largest_cluster(api: clusters.Cluster) -> None:
    """A rule that costs more than an API server grants refuses whatever it was asked about."""
    names = [f"{'group' * 10}-{index}" for index in range(options.GROUPS)]
    labels = {f"example.com/label-{index}": "value" for index in range(20)}
    group = {"template": example.template(), "labels": labels, "priority": 1}
    changes = {
        **example.V2,
        example.HEAD_ENV: [{"name": f"V{index}"} for index in range(kubernetes.VARIABLES)],
        "spec/workerGroupSpecs": [{"groupName": name, **group} for name in names],
        "spec/networkPolicy": {"workerGroups": [{"groupName": name} for name in names]},
        "spec/historyServerOptions": {"collectorOptions": example.S3},
        "spec/tlsOptions": {"enabled": True},
    }
    assert api.dry_run(example.manifest("RayCluster", changes), namespace="default") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_must_be_there_and_stay(api: clusters.Cluster, kind: str) -> None:
    api.apply(example.manifest(kind, {}, name="specified"), "default")
    found = read(api, kind, "specified")
    nothing = {key: each for key, each in found.items() if key != "spec"}
    assert "spec is missing" in api.dry_run(nothing, namespace="default", old=found)
    nothing["metadata"] = {"name": "new"}
    assert "spec is missing" in api.dry_run(nothing, namespace="default")


def test_two_owners_scale_two_groups_without_conflict(api: clusters.Cluster) -> None:
    def group(name: str, **fields: object) -> example.Json:
        return {"groupName": name, **fields}

    template = {"template": example.template()}
    groups = {"spec/workerGroupSpecs": [group("one", **template), group("two", **template)]}
    whole = example.manifest("RayCluster", groups, name="shared")
    flags = ("--server-side", "--field-manager=user", "-f", "-")
    api.kubectl("apply", *flags, stdin=json.dumps(whole))
    patch_groups(api, "autoscaler", group("one", replicas=3))
    patch_groups(api, "queue", group("two", replicas=5))
    patch_groups(api, "autoscaler", group("one", replicas=4))
    replicas = {
        each["groupName"]: each["replicas"]
        for each in read(api, "RayCluster", "shared")["spec"]["workerGroupSpecs"]
    }
    assert replicas == {"one": 4, "two": 5}
    with pytest.raises(clusters.CommandFailed, match="conflict"):
        patch_groups(api, "queue", group("one", replicas=9))


def test_groups_can_be_scaled_by_index(api: clusters.Cluster) -> None:
    """Ray's autoscaler addresses groups by index and replaces what must be there."""
    api.kubectl("apply", "-f", "-", stdin=json.dumps(example.manifest("RayCluster", {}, name="ix")))
    at = "/spec/workerGroupSpecs/0"
    api.patch(
        "rayclusters",
        "default",
        "ix",
        [
            {"op": "replace", "path": f"{at}/replicas", "value": 2},
            {"op": "add", "path": f"{at}/scaleStrategy", "value": {"workersToDelete": ["a"]}},
        ],
    )
    (group,) = read(api, "RayCluster", "ix")["spec"]["workerGroupSpecs"]
    assert (group["replicas"], group["scaleStrategy"]) == (2, {"workersToDelete": ["a"]})


def test_rays_autoscaler_can_suspend_an_idle_cluster(api: clusters.Cluster) -> None:
    options = {"spec/idleTerminationOptions": {"timeoutSeconds": 60, "policy": "Suspend"}}
    manifest = example.manifest("RayCluster", options, name="idle")
    api.kubectl("apply", "--validate=strict", "-f", "-", stdin=json.dumps(manifest))
    api.kubectl(
        "patch", "raycluster", "idle", "--type=merge", "-p", '{"spec":{"idleSuspend":true}}'
    )
    assert read(api, "RayCluster", "idle")["spec"]["idleSuspend"] is True


@pytest.mark.parametrize("kind", KINDS)
def test_columns_and_names(api: clusters.Cluster, kind: str) -> None:
    definition = KINDS[kind]
    api.kubectl("apply", "-f", "-", stdin=json.dumps(example.manifest(kind, {}, name="shown")))
    for name in (definition.plural, kind.lower(), *definition.short_names):
        header = api.kubectl("get", name, "-o", "wide").splitlines()[0]
        titles = ["NAME", *(column.name.upper() for column in definition.columns)]
        assert header.split() == " ".join(titles).split()
    assert (
        "raycluster.ray.io/shown" in api.kubectl("get", "all", "-o", "name") or kind != "RayCluster"
    )


def test_no_file_is_there_but_definitions() -> None:
    for path in (ROOT / "crds").iterdir():
        (manifest,) = yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
        assert manifest["kind"] == "CustomResourceDefinition"
