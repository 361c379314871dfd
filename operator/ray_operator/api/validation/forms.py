"""The form of Kubernetes' own types within our resources, as far as the operator reads into them.

CRDs see to it, but older ones' `v1alpha1` took any object there, and a manifest that is checked
offline may hold anything. All other rules, and all builders, rely on what is said here.
"""

from typing import Any

from ray_operator.api import base, kubernetes
from ray_operator.api import raycluster as api
from ray_operator.api.rules import FieldError, Rule

_WORDS = {str: "a text", int: "a whole number", list: "a list", dict: "an object of fields"}


def errors(path: str, value: Any, form: Any) -> list[FieldError]:
    """List where the value at that path hasn't the form; what isn't given, has."""
    return [
        FieldError(path + at, f"must be {words}", Rule.FORM) for at, words in _broken(value, form)
    ]


def _broken(value: Any, form: Any) -> list[tuple[str, str]]:
    """List the paths within the value of what hasn't the form, and the words for it."""
    kind: Any = form if isinstance(form, type) else type(form)
    if not isinstance(value, kind):
        return [("", _WORDS[kind])]
    if isinstance(form, list):
        return [
            (f"[{index}]{at}", words)
            for index, each in enumerate(value)
            for at, words in _broken(each, form[0])
        ]
    found = []
    for mark, inner in form.items() if isinstance(form, dict) else ():
        name = mark.removeprefix("!")
        if value.get(name) is not None:
            found += [(f".{name}{at}", words) for at, words in _broken(value[name], inner)]
        elif name != mark:
            found.append((f".{name}", "given"))
    return found


def cluster(spec: api.RayClusterSpec, at: str) -> list[FieldError]:
    """Check what the cluster spec at that path holds of Kubernetes' types."""
    head = spec.head_group_spec
    found = errors(
        f"{at}.headGroupSpec.template", head.template, kubernetes.FORMS["PodTemplateSpec"]
    )
    found += errors(
        f"{at}.headGroupSpec.headService", head.head_service or {}, kubernetes.FORMS["Service"]
    )
    for index, group in enumerate(spec.worker_group_specs):
        found += errors(
            f"{at}.workerGroupSpecs[{index}].template",
            group.template,
            kubernetes.FORMS["PodTemplateSpec"],
        )
    options = spec.autoscaler_options
    if options is not None:
        given: base.Json = options.dump()
        found += errors(f"{at}.autoscalerOptions", given, kubernetes.CONTAINER)
    return found
