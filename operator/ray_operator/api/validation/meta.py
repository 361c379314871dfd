"""Rules about metadata: names that fit into the names made of them, and labels.

Source: KubeRay 1.7, validation of metadata; Kubernetes, labels and names.
"""

import re
from collections.abc import Iterator, Mapping

from ray_operator.api import base, cel
from ray_operator.api.rules import FieldError, Rule

NAME_LENGTHS = {"RayCluster": 53, "RayJob": 47, "RayService": 47, "RayCronJob": 36}
"""63 of a Service name less `-serve-svc`; less a cluster's suffix; less a run's."""

_SUFFIX = "x" * 5
"""Stands for what the API server adds to a generated name."""
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII
)
_LABEL_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
LABEL_WORDS = (
    "must be at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or"
    " digit"
)


def name(kind: str, metadata: base.Metadata) -> Iterator[FieldError]:
    """Check the name of a resource."""
    given, most, path = metadata.name, NAME_LENGTHS[kind], "metadata.name"
    if metadata.generate_name and not given:  # not applied yet
        given, path = f"{metadata.generate_name}{_SUFFIX}", "metadata.generateName"
    if len(given) > most:
        yield FieldError(
            path,
            f"is {len(given)} characters long: use at most {most}, since names of Services are"
            " made of it",
            Rule.NAME_LENGTH,
        )
    if not _NAME.fullmatch(given):
        yield FieldError(
            path,
            f"{given!r} must start with a lower-case letter, end with a letter or digit, and hold"
            " only lower-case letters, digits and '-'",
            Rule.NAME_FORM,
        )


def labels(path: str, given: Mapping[str, str]) -> Iterator[FieldError]:
    """Check labels that Pods will carry."""
    for key, value in sorted(given.items()):
        prefix, slash, part = key.rpartition("/")
        is_prefix = not slash or (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix))
        if not is_prefix or not _LABEL_PART.fullmatch(part):
            message = f"the key {LABEL_WORDS}; a DNS name and '/' may precede it"
            yield FieldError(f"{path}[{key}]", message, Rule.LABELS)
        if value and not _LABEL_PART.fullmatch(value):
            yield FieldError(f"{path}[{key}]", f"the value {value!r} {LABEL_WORDS}", Rule.LABELS)


def is_label_value(text: str) -> bool:
    """Tell whether the text, which must not be empty, can be a label's value."""
    return bool(_LABEL_PART.fullmatch(text))


def is_dns_label(text: str) -> bool:
    """Tell whether the text can be one label of a DNS name."""
    return bool(_DNS_LABEL.fullmatch(text))


def expressions(kind: str) -> Iterator[cel.Cel]:
    """Yield the rules for the API server, about the whole resource.

    Only new objects are looked at: what was stored earlier, by whatever rules, can always be
    updated and deleted.
    """
    most, new = NAME_LENGTHS[kind], "oldSelf.hasValue() || "
    yield cel.Cel(
        Rule.NAME_LENGTH,
        (kind,),
        f"{new}size(self.metadata.name) <= {most}",
        f"metadata.name must have at most {most} characters, since names of Services are made of"
        " it",
    )
    yield cel.Cel(
        Rule.NAME_FORM,
        (kind,),
        f"{new}self.metadata.name.matches('^{_NAME.pattern}$')",
        "metadata.name must start with a lower-case letter, end with a letter or digit, and hold"
        " only lower-case letters, digits and '-'",
    )
