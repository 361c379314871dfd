"""The language of the rules that the API server checks: CEL, the Common Expression Language.

Owns: the form of such a rule and the building blocks of expressions. Does not own: the rules,
which stand beside their Python in `validation`; nor what fields carry by themselves (bounds,
enumerations, patterns). Invariant: an expression refuses nothing that the Python of the same rule
accepts, and it can be evaluated whatever was stored by older definitions: one that can't refuses
every later update, even the removal of a finalizer.
"""

from typing import NamedTuple

from ray_operator.api import base
from ray_operator.api.rules import Rule


class Cel(NamedTuple):
    """One expression: `self` is an instance of each of the models; `field` is what to change."""

    rule: Rule
    models: tuple[str, ...]
    expression: str
    message: str
    field: str = ""

    def schema(self) -> base.Json:
        """Render as an entry of `x-kubernetes-validations`."""
        path = {"fieldPath": self.field} if self.field else {}
        once = {"optionalOldSelf": True} if "oldSelf.hasValue()" in self.expression else {}
        return {"rule": self.expression, "message": self.message, **path, **once}


def listed(values: tuple[str, ...]) -> str:
    """Write a list of texts."""
    return "[" + ", ".join(f"'{each}'" for each in values) + "]"


def has(*path: str, at: str = "self") -> str:
    """Tell whether all of a path of optional fields is there."""
    steps = [".".join([at, *path[: index + 1]]) for index in range(len(path))]
    return " && ".join(f"has({step})" for step in steps)


def given(*path: str, at: str = "self") -> str:
    """Tell whether a text, list or map at that path is there and not empty."""
    return f"{has(*path, at=at)} && size({'.'.join([at, *path])}) > 0"


def is_true(*path: str, at: str = "self") -> str:
    """Tell whether a switch at that path is there and on."""
    return f"{has(*path, at=at)} && {'.'.join([at, *path])}"


def is_(value: str, *path: str, at: str = "self") -> str:
    """Tell whether a text at that path is there and equal."""
    return f"{has(*path, at=at)} && {'.'.join([at, *path])} == '{value}'"


def refuse(*conditions: str) -> str:
    """Refuse what meets all conditions."""
    return "!(" + " && ".join(f"({each})" if "||" in each else each for each in conditions) + ")"


def variable(container: str, *wanted: str, literal: tuple[str, ...] = ()) -> str:
    """Tell whether a container sets one of the variables (to one of the values)."""
    value = f" && has(e.value) && e.value in {listed(literal)}" if literal else ""
    test = f"e.name in {listed(wanted)}{value}"
    return f"{_there(container)}has({container}.env) && {container}.env.exists(e, {test})"


def mount(container: str, name: str, path: str) -> str:
    """Tell whether a container has a mount of that name or path."""
    test = f"m.name == '{name}' || m.mountPath == '{path}'"
    mounts = f"{container}.volumeMounts"
    return f"{_there(container)}has({mounts}) && {mounts}.exists(m, {test})"


def _there(container: str) -> str:
    return f"{given(*_HEAD_CONTAINERS)} && " if container == HEAD else ""


def since(least: tuple[int, int, int], at: str = "self.rayVersion") -> str:
    """Tell whether the version there is at least that one, whose last number must be 0."""
    major, minor, patch = least
    assert (patch, major < 9, minor < 90) == (0, True, True), "the patterns below are for these"
    tens, ones = divmod(minor, 10)
    minors = [f"{tens or ''}[{ones}-9]", f"[{tens + 1}-9][0-9]", "[1-9][0-9]{2,}"]
    version = rf"{major}\\.({'|'.join(minors)})|([{major + 1}-9]|[1-9][0-9]+)\\.[0-9]+"
    return f"{at}.matches('^v?({version})([^0-9].*)?$')"


GROUPS = ("HeadGroupSpec", "WorkerGroupSpec")
CLUSTER = ("RayClusterSpec",)
JOB = ("RayJobSpec",)
_HEAD_CONTAINERS = ("headGroupSpec", "template", "spec", "containers")
HEAD = "self.headGroupSpec.template.spec.containers[0]"
HEAD_ENV = ".headGroupSpec.template.spec.containers"
WORKERS = "has(self.workerGroupSpecs) && self.workerGroupSpecs"
AUTOSCALING = is_true("enableInTreeAutoscaling")
