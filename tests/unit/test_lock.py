"""The image can be built for amd64 and arm64: nothing in it has to be compiled."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

LOCK = Path(__file__).parents[2] / "uv.lock"


def runtime() -> list[dict[str, Any]]:
    """Return the operator's libraries, and theirs, as they are locked."""
    packages = {each["name"]: each for each in tomllib.loads(LOCK.read_text())["package"]}
    todo, found = ["ray-operator"], dict[str, dict[str, Any]]()
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = packages[name]
            todo += [each["name"] for each in packages[name].get("dependencies", ())]
    return [each for name, each in found.items() if name != "ray-operator"]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_library_comes_built(machine: str) -> None:
    tags = ("-none-any", f"linux2014_{machine}", f"linux_2_17_{machine}", f"linux_2_28_{machine}")
    lacking = [
        each["name"]
        for each in runtime()
        if not any(tag in wheel["url"] for wheel in each.get("wheels", ()) for tag in tags)
    ]
    assert runtime()
    assert lacking == []
