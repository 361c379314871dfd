"""Versions of Ray: reading and comparing them.

Owns: how a version is read from text or an image. Does not own: what depends on it. Invariant:
versions are plain tuples that compare. Source: KubeRay 1.7, version parsing.
"""

import re

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d])", re.ASCII)
_IMAGE = re.compile(r"(?:^|/)rayproject/ray[\w-]*:([^@]+)", re.ASCII)


def parse(text: str | None) -> Version | None:
    """Read `2.46.0` or `v2.46`; any rest is ignored. None for `nightly`."""
    match = _VERSION.match(text or "")
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def of_image(image: str) -> Version | None:
    """Read the version from the tag of one of Ray's own images, None for any other image."""
    match = _IMAGE.search(image)
    return parse(match[1]) if match else None
