"""The stamp by which an object that is as wanted is known at a glance.

Owns: how it is computed and where it stands. Does not own: what follows from a difference.
Invariant: equal manifests have equal stamps, whatever the order of their keys.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ray_operator import names


def digest(content: Any) -> str:
    """Hash anything that JSON can hold, to 16 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stamped(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with the hash of its content as an annotation."""
    given = manifest["metadata"]
    stamp = {names.CONTENT_HASH_ANNOTATION: digest(manifest)}
    annotations = {**given.get("annotations", {}), **stamp}
    return {**manifest, "metadata": {**given, "annotations": annotations}}


def stamp(manifest: Mapping[str, Any]) -> str:
    """Return a stamped manifest's stamp."""
    found: str = manifest["metadata"]["annotations"][names.CONTENT_HASH_ANNOTATION]
    return found
