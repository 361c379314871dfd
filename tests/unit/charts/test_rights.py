"""Which rights the operator's chart gives, to whom and where."""

import pytest

from ray_operator import permissions
from scripts import generate
from tests.support import charts
from tests.unit.charts import objects


def test_none_are_made_when_they_come_from_elsewhere(operator: charts.Helm) -> None:
    rendered = operator.render({"rbacEnable": False})
    assert rendered.names() == objects.ALWAYS | {
        each for each in objects.HOOKS if each.hook == "test"
    }


def test_one_namespace_needs_nothing_of_the_cluster(operator: charts.Helm) -> None:
    rendered = operator.render({"singleNamespaceInstall": True})
    here = {
        charts.Name("Role", objects.FULL, objects.NAMESPACE),
        charts.Name("RoleBinding", objects.FULL, objects.NAMESPACE),
    }
    assert rendered.names() == objects.ALWAYS | objects.ELECTION | objects.HOOKS | here
    assert {each["kind"] for each in rendered} & charts.CLUSTER_SCOPED == set()
    assert objects.run(rendered).namespaces == (objects.NAMESPACE,)


def test_several_namespaces_get_a_role_each(operator: charts.Helm) -> None:
    values = {"singleNamespaceInstall": True, "watchNamespace": ["a", "b"]}
    rendered = operator.render(values)
    there = {
        charts.Name(kind, objects.FULL, at) for kind in ("Role", "RoleBinding") for at in ("a", "b")
    }
    assert rendered.names() == objects.ALWAYS | objects.ELECTION | objects.HOOKS | there
    for each in rendered.all("RoleBinding"):
        (subject,) = each["subjects"]
        assert subject == {
            "kind": "ServiceAccount",
            "name": objects.FULL,
            "namespace": objects.NAMESPACE,
        }
    assert objects.run(rendered).namespaces == ("a", "b")


def test_roles_may_come_from_elsewhere(operator: charts.Helm) -> None:
    values = {"singleNamespaceInstall": True, "crNamespacedRbacEnable": False}
    assert operator.render(values).names() == objects.ALWAYS | objects.ELECTION | objects.HOOKS


def test_rules_are_those_of_the_table(operator: charts.Helm) -> None:
    rendered = operator.render()
    assert rendered.one("ClusterRole", objects.FULL)["rules"] == generate.rules(
        permissions.OPERATOR
    )
    election = rendered.one("Role", f"{objects.FULL}-leader-election")
    assert election["rules"] == generate.rules(permissions.LEADER_ELECTION)


@pytest.mark.parametrize("single", [False, True])
def test_secrets_may_be_read_only(operator: charts.Helm, single: bool) -> None:
    values = {"rbac": {"secretsWrite": False}, "singleNamespaceInstall": single}
    rules = operator.render(values).one("Role" if single else "ClusterRole", objects.FULL)["rules"]
    expected = [
        {**each, "verbs": ["get", "list", "watch"]} if "secrets" in each["resources"] else each
        for each in generate.rules(permissions.OPERATOR)
    ]
    assert rules == expected


def test_users_roles_can_be_left_out(operator: charts.Helm) -> None:
    rendered = operator.render({"rbac": {"userRoles": False}})
    assert (
        rendered.names() == objects.ALWAYS | objects.ELECTION | objects.CLUSTER_WIDE | objects.HOOKS
    )


@pytest.mark.parametrize("on", [False, True])
def test_users_roles_can_count_for_those_of_a_namespace(operator: charts.Helm, on: bool) -> None:
    rendered = operator.render({"rbac": {"aggregateUserRoles": on}})
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    found = {
        (role.name, key.removeprefix(prefix))
        for role in objects.USERS
        for key in rendered.one("ClusterRole", role.name)["metadata"]["labels"]
        if key.startswith(prefix)
    }
    ends = {"editor-role": "edit", "viewer-role": "view"}
    assert found == (
        {(each.name, ends[each.name[-11:]]) for each in objects.USERS} if on else set()
    )


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({"create": True, "name": ""}, objects.FULL),
        ({"create": False, "name": "mine"}, "mine"),
        ({"create": False, "name": ""}, "default"),
    ],
)
def test_the_account_is_the_same_everywhere(
    operator: charts.Helm, account: charts.Json, expected: str
) -> None:
    rendered = operator.render({"serviceAccount": account})
    made = {each["metadata"]["name"] for each in rendered.all("ServiceAccount")}
    assert made == ({expected} if account["create"] else set())
    assert {each["spec"]["serviceAccountName"] for each in rendered.pods()} == {expected}
    bound = {
        subject["name"]
        for each in rendered
        if each["kind"].endswith("Binding")
        for subject in each["subjects"]
    }
    assert bound == {expected}
