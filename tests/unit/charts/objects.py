"""What the operator's chart renders, by name, and how its arguments are read.

Owns: the sets of objects that options add or remove. Does not own: what is in them (the tests).
Invariant: arguments are read by the operator's own parser, so none is tested that it wouldn't take.
"""

from ray_operator import cli, commands
from tests.support import charts

Name = charts.Name
NAMESPACE = "ray-system"
FULL = "kuberay-operator"
HOOKS = {
    Name("Role", f"{FULL}-uninstall", NAMESPACE, "pre-delete"),
    Name("RoleBinding", f"{FULL}-uninstall", NAMESPACE, "pre-delete"),
    Name("Job", f"{FULL}-uninstall", NAMESPACE, "pre-delete"),
    Name("Pod", f"{FULL}-check", NAMESPACE, "test"),
}
ALWAYS = {
    Name("ServiceAccount", FULL, NAMESPACE),
    Name("Service", FULL, NAMESPACE),
    Name("Deployment", FULL, NAMESPACE),
}
ELECTION = {
    Name("Role", f"{FULL}-leader-election", NAMESPACE),
    Name("RoleBinding", f"{FULL}-leader-election", NAMESPACE),
}
USERS = {
    Name("ClusterRole", f"{kind}-{who}-role")
    for kind in ("raycluster", "rayjob", "rayservice", "raycronjob")
    for who in ("editor", "viewer")
}
CLUSTER_WIDE = {Name("ClusterRole", FULL), Name("ClusterRoleBinding", FULL)}
CRD_HOOKS = {
    Name("ServiceAccount", f"{FULL}-crds", NAMESPACE),
    Name("ClusterRole", f"{FULL}-crds"),
    Name("ClusterRoleBinding", f"{FULL}-crds"),
    Name("Job", f"{FULL}-crds", NAMESPACE),
}
LONG = "a" * 62 + "b"


def args(rendered: charts.Rendered, kind: str = "Deployment", called: str = "") -> list[str]:
    """Return the arguments of the only container of an object."""
    found = rendered.one(kind, called)
    spec = found["spec"] if kind == "Pod" else found["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    given: list[str] = container["args"]
    return given


def parsed(arguments: list[str], **environment: str) -> cli.Run | commands.Command:
    """Read arguments as the operator does, which ends the test if it wouldn't take them."""
    return cli.parse(arguments, environment, version="test")


def run(rendered: charts.Rendered, **environment: str) -> cli.Run:
    """Return what the operator would be started with."""
    found = parsed(args(rendered), **environment)
    assert isinstance(found, cli.Run)
    return found
