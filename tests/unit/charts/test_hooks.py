"""What Helm is told to run before and after."""

import pytest

from ray_operator import commands, permissions
from scripts import generate
from tests.support import charts
from tests.unit.charts import objects


@pytest.mark.parametrize(
    ("crds", "hook"),
    [
        ({"install": True}, "pre-install"),
        ({"upgrade": True}, "pre-upgrade"),
        ({"install": True, "upgrade": True}, "pre-install,pre-upgrade"),
    ],
)
def test_crds_are_brought_up_to_date_first(
    operator: charts.Helm, crds: charts.Json, hook: str
) -> None:
    rendered = operator.render({"crds": crds, "rbac": {"userRoles": False}})
    hooks = {each._replace(hook=hook) for each in objects.CRD_HOOKS}
    assert (
        rendered.names()
        == objects.ALWAYS | objects.ELECTION | objects.CLUSTER_WIDE | objects.HOOKS | hooks
    )
    assert objects.parsed(objects.args(rendered, "Job", f"{objects.FULL}-crds")) == commands.Crds(
        is_applied=True
    )
    role = rendered.one("ClusterRole", f"{objects.FULL}-crds")
    assert role["rules"] == generate.rules(permissions.CRDS)
    weights = {
        each["kind"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"])
        for each in rendered
        if each["metadata"]["name"] == f"{objects.FULL}-crds"
    }
    assert weights.pop("Job") > max(weights.values())


def test_in_one_namespace_they_are_all_that_the_cluster_is_asked_for(operator: charts.Helm) -> None:
    values = {"singleNamespaceInstall": True, "crds": {"upgrade": True}}
    rendered = operator.render(values)
    found = {each for each in rendered.names() if each.kind in charts.CLUSTER_SCOPED}
    assert found == {
        charts.Name("ClusterRole", f"{objects.FULL}-crds", hook="pre-upgrade"),
        charts.Name("ClusterRoleBinding", f"{objects.FULL}-crds", hook="pre-upgrade"),
    }


def test_crds_by_another_account(operator: charts.Helm) -> None:
    crds = {"upgrade": True, "serviceAccountName": "admin"}
    rendered = operator.render({"crds": crds, "rbacEnable": False})
    assert {each for each in rendered.names() if each.hook == "pre-upgrade"} == {
        charts.Name("Job", f"{objects.FULL}-crds", objects.NAMESPACE, "pre-upgrade")
    }
    job = rendered.one("Job", f"{objects.FULL}-crds")
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "admin"


@pytest.mark.parametrize("watched", [(), ("a", "b")])
def test_uninstalling_retires_the_operator(operator: charts.Helm, watched: tuple[str, ...]) -> None:
    rendered = operator.render({"watchNamespace": list(watched)})
    job = f"{objects.FULL}-uninstall"
    expected = commands.Retire(deployment=objects.FULL, watched=watched)
    assert objects.parsed(objects.args(rendered, "Job", job)) == expected
    (stop, look) = rendered.one("Role", job)["rules"]
    (may_stop, may_look) = generate.rules(permissions.RETIRE)
    assert (stop, look) == ({**may_stop, "resourceNames": [objects.FULL]}, may_look)
    (subject,) = rendered.one("RoleBinding", job)["subjects"]
    assert subject == {
        "kind": "ServiceAccount",
        "name": objects.FULL,
        "namespace": objects.NAMESPACE,
    }


def test_uninstalling_may_leave_finalizers(operator: charts.Helm) -> None:
    rendered = operator.render({"uninstall": {"releaseFinalizers": False}})
    assert {each.hook for each in rendered.names()} == {"", "test"}


def test_a_failed_hook_ends_and_stays_to_be_looked_at(operator: charts.Helm) -> None:
    rendered = operator.render(charts.EVERYTHING)
    for each in rendered.names():
        if each.hook:
            annotations = rendered.one(each.kind, each.name)["metadata"]["annotations"]
            policy = annotations["helm.sh/hook-delete-policy"]
            assert policy == "before-hook-creation,hook-succeeded"
    for job in rendered.all("Job"):
        assert job["spec"]["activeDeadlineSeconds"] < 300  # Helm's own patience


@pytest.mark.parametrize(
    ("values", "namespace"),
    [({}, objects.NAMESPACE), ({"watchNamespace": ["a", "b"], "service": {"port": 80}}, "a")],
)
def test_helm_test_asks_the_service_and_tries_a_cluster(
    operator: charts.Helm, values: charts.Json, namespace: str
) -> None:
    rendered = operator.render(values)
    (port,) = rendered.one("Service")["spec"]["ports"]
    url = f"http://{objects.FULL}.{objects.NAMESPACE}.svc:{port['port']}/metrics"
    assert objects.parsed(objects.args(rendered, "Pod")) == commands.Check(
        url=url, namespace=namespace
    )


def test_pods_of_hooks_get_where_the_operator_s_does(operator: charts.Helm) -> None:
    """A sidecar that never ends would keep a release from being uninstalled."""
    where: charts.Json = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}
    }
    values = {
        "annotations": {"sidecar.istio.io/inject": "false"},
        "labels": {"team": "a", "app.kubernetes.io/component": "mine"},
        "affinity": {"nodeAffinity": where, "podAntiAffinity": {}},
        "env": [{"name": "HTTPS_PROXY", "value": "proxy"}],
        "crds": {"upgrade": True},
    }
    rendered = operator.render(values)
    for name in ("uninstall", "crds"):
        template = rendered.one("Job", f"{objects.FULL}-{name}")["spec"]["template"]
        assert template["metadata"]["annotations"] == values["annotations"]
        assert template["metadata"]["labels"]["team"] == "a"
        assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "hook"
        assert template["spec"]["affinity"] == {"nodeAffinity": where}
        assert template["spec"]["containers"][0]["env"] == values["env"]
