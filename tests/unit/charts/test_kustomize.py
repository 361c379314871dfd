"""What `kubectl apply -k` installs is what the chart installs.

The table names all that differs, and why; what isn't in it is the same, and nothing in it is stale.
"""

import shutil
from pathlib import Path

import pytest

from tests.support import charts

CONFIG = charts.ROOT / "operator/config"
CRDS = {f"{each}.ray.io" for each in ("rayclusters", "raycronjobs", "rayjobs", "rayservices")}
LABELS = "KubeRay's chart and kustomize files have labels of their own; tools look for both"
SERVICE = "KubeRay's kustomize files name the port so, and are scraped by annotation"
MEANT = {
    "app.kubernetes.io/component": LABELS,
    "app.kubernetes.io/instance": "of the Helm release",
    "app.kubernetes.io/managed-by": "of the Helm release",
    "app.kubernetes.io/name": LABELS,
    "helm.sh/chart": "of the Helm release",
    "Service metadata.annotations": SERVICE,
    "Service spec.ports": SERVICE,
}
"""Differences of objects that are in both; a key is a label, or a kind and a path."""
ONLY_IN_THE_CHART = {
    "ClusterRole": "the roles for users, which are files beside kustomize's other roles",
    "Job": "hooks of Helm",
    "Pod": "hooks of Helm",
    "Role": "hooks of Helm",
    "RoleBinding": "hooks of Helm",
}


@pytest.fixture(scope="module")
def chart(operator: charts.Helm) -> charts.Rendered:
    return operator.render(namespace="ray-system")


@pytest.fixture(scope="module")
def base(tools: Path) -> charts.Rendered:
    return charts.kustomized(tools, CONFIG / "base")


def differing(one: charts.Json, other: charts.Json) -> set[str]:
    """Return what differs, by the keys of the table."""
    found = set()
    mine, theirs = dict(charts.leaves(one)), dict(charts.leaves(other))
    for path in mine.keys() | theirs.keys():
        if path not in mine or path not in theirs or mine[path] != theirs[path]:
            label = path[-1].startswith(("app.kubernetes.io/", "helm.sh/"))
            where = path[:2] if "annotations" in path else path
            found.add(path[-1] if label else f"{one['kind']} {'.'.join(where)}")
    return found


def test_the_same_objects_are_there(chart: charts.Rendered, base: charts.Rendered) -> None:
    assert base.names() - chart.names() == set()
    kinds = {each.kind for each in chart.names() - base.names()}
    assert kinds == ONLY_IN_THE_CHART.keys()
    roles = {each.name for each in chart.names() - base.names() if each.kind == "ClusterRole"}
    assert all(name.endswith(("-editor-role", "-viewer-role")) for name in roles)
    kept = [each for each in chart.names() - base.names() if each.kind != "ClusterRole"]
    assert all(each.hook for each in kept)


def test_only_what_is_meant_differs(chart: charts.Rendered, base: charts.Rendered) -> None:
    ours = {charts.name(each): each for each in chart}
    found = {key for each in base for key in differing(ours[charts.name(each)], each)}
    assert found == MEANT.keys()


def test_services_differ_in_the_port_s_name_alone(
    chart: charts.Rendered, base: charts.Rendered
) -> None:
    ports = [{**each.one("Service")["spec"]["ports"][0], "name": ""} for each in (chart, base)]
    assert ports[0] == ports[1]


def test_the_kustomizations_select_their_own_pods(base: charts.Rendered) -> None:
    deployment = base.one("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        base.one("Service")["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()
        assert selector == {
            "app.kubernetes.io/name": "kuberay",
            "app.kubernetes.io/component": "kuberay-operator",
        }


def test_default_is_base_and_crds_in_another_namespace(tools: Path, base: charts.Rendered) -> None:
    default = charts.kustomized(tools, CONFIG / "default")
    crds = {each for each in default.names() if each.kind == "CustomResourceDefinition"}
    assert {each.name for each in crds} == CRDS
    moved = {each._replace(namespace="default" if each.namespace else "") for each in base.names()}
    assert default.names() - crds == moved
    subjects = [
        subject["namespace"]
        for each in default
        if each["kind"].endswith("Binding")
        for subject in each["subjects"]
    ]
    assert subjects == ["default", "default"]


def test_an_administrator_s_part_is_the_namespace_and_the_crds(tools: Path) -> None:
    found = charts.kustomized(tools, CONFIG / "cluster-scope-resources").names()
    crds = {charts.Name("CustomResourceDefinition", name) for name in CRDS}
    assert found == {charts.Name("Namespace", "ray-system"), *crds}


def test_base_needs_no_right_to_crds_or_namespaces(base: charts.Rendered) -> None:
    assert {"CustomResourceDefinition", "Namespace"} & {each["kind"] for each in base} == set()


def test_the_roles_for_users_are_the_chart_s(chart: charts.Rendered) -> None:
    files = sorted((CONFIG / "rbac").glob("*_editor_role.yaml"))
    files += sorted((CONFIG / "rbac").glob("*_viewer_role.yaml"))
    assert len(files) == 2 * len(CRDS)
    for path in files:
        (role,) = charts.loaded(path)
        assert chart.one("ClusterRole", role["metadata"]["name"])["rules"] == role["rules"]


def test_the_readme_s_overlay_adds_a_flag(
    tools: Path, base: charts.Rendered, tmp_path: Path
) -> None:
    readme = (charts.ROOT / "README.md").read_text()
    _, _, rest = readme.partition("With kustomize, an overlay does:\n\n```yaml\n")
    overlay, _, _ = rest.partition("```")
    shutil.copytree(CONFIG, tmp_path / "operator/config")
    (tmp_path / "team").mkdir()
    (tmp_path / "team/kustomization.yaml").write_text(overlay)

    def arguments(found: charts.Rendered) -> list[str]:
        (container,) = found.one("Deployment")["spec"]["template"]["spec"]["containers"]
        return list(container["args"])

    overlaid = charts.kustomized(tools, tmp_path / "team")
    assert arguments(overlaid) == [*arguments(base), "--feature-gates=RayCronJob=true"]
    assert overlaid.names() == base.names()
