"""Why one container is down: its image, its configuration, or how it ended.

Owns: reading the states of containers. Does not own: containers that run (`health`), or what Ray's
last words mean (`endings`). Invariant: what a container says while it waits for its next start is
said in the same words when it fails again.
Source: Kubernetes 1.34, the kubelet; containerd and CRI-O.
"""

import re
from collections.abc import Iterator

from ray_operator import records
from ray_operator.raycluster.diagnosis import cause, endings, starting
from ray_operator.raycluster.diagnosis import subject as subjects

Reason = cause.Reason

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_PREFIXES = re.compile(
    r'^(Back-off pulling image "[^"]*":? ?|ErrImagePull: |Failed to pull image "[^"]*": '
    r"|rpc error: code = \w+ desc = |Error: |failed to pull and unpack image \S+ ?"
    r'|failed to resolve reference "[^"]*": )*'
)
_DENIED = re.compile(r"\b40[13]\b|unauthorized|denied|forbidden|no basic auth", re.IGNORECASE)
_NOT_FOUND = re.compile(r"not found|\b404\b|manifest unknown|not present", re.IGNORECASE)


def down(subject: subjects.Subject, container: records.Container) -> Iterator[cause.Cause]:
    """Give the causes why the container doesn't run although it should."""
    if container.state == "waiting" and container.reason in _PULL:
        yield _image(subject, container)
    elif container.state == "waiting" and container.reason in _CONFIG:
        yield from _config(subject, container)
    elif container.state != "running":
        yield from _crash(subject, container)


def was_down(subject: subjects.Subject, container: records.Container) -> Iterator[cause.Cause]:
    """Give the causes why a container that runs again had ended, and so isn't ready yet."""
    if container.state == "running" and not container.ready:
        yield from _crash(subject, container)


def _image(subject: subjects.Subject, container: records.Container) -> cause.Cause:
    where = subjects.where(subject.pod, container.name)
    image = str(subject.template(container.name).get("image") or "")
    about = f"image {image}: " if image else ""
    told = [container.message, *(each.message for each in subject.said("Failed"))]
    words = [_PREFIXES.sub("", text) for text in told]
    specific = [text for text in words if _DENIED.search(text) or _NOT_FOUND.search(text)]
    said = cause.one_line((specific or [text for text in words if text] or [container.reason])[0])
    if container.reason == "InvalidImageName":
        hint, reason = "correct the image's name", Reason.IMAGE_PULL_FAILED
    elif _DENIED.search(said):
        secrets = "give imagePullSecrets that may read it"
        if subject.said("FailedToRetrieveImagePullSecret"):
            secrets = "its imagePullSecrets aren't there"
        hint, reason = f"check the image's name, and {secrets}", Reason.IMAGE_PULL_DENIED
    elif container.reason == "ErrImageNeverPull":
        hint = "load it into the node, or let imagePullPolicy allow pulling it"
        reason = Reason.IMAGE_NOT_FOUND
    elif _NOT_FOUND.search(said) and "no such host" not in said:
        hint, reason = "check name and tag of the image", Reason.IMAGE_NOT_FOUND
    else:
        hint = f"can node {subject.pod.node} reach and trust the registry?"
        reason = Reason.IMAGE_PULL_FAILED
    return cause.Cause(reason, f"{where}: {about}{said}: {hint}")


def _config(subject: subjects.Subject, container: records.Container) -> Iterator[cause.Cause]:
    where, said = subjects.where(subject.pod, container.name), cause.one_line(container.message)
    if found := endings.of_start(said):
        yield cause.Cause(found.reason, f"{where}: {found.said}: {found.hint}")
    elif starting.MISSING.search(said):
        yield cause.Cause(Reason.OBJECT_MISSING, f"{where}: {said}: {starting.MAKE_IT}")
    else:
        yield cause.Cause(Reason.CONTAINER_CONFIG_INVALID, f"{where}: {said}")


def _crash(subject: subjects.Subject, container: records.Container) -> Iterator[cause.Cause]:
    ended = container.ended
    if ended is not None and (ended.exit_code or ended.reason == "OOMKilled"):
        found = endings.read(subject, container, ended)
        where = subjects.where(subject.pod, container.name)
        hint = f": {found.hint}" if found.hint else ""
        yield cause.Cause(found.reason, f"{where}: {found.said}{hint}")
