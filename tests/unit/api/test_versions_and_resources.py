"""Texts of Ray that the API carries: versions and custom resources."""

import pytest

from ray_operator.api import ray_resources, ray_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.46.0", (2, 46, 0)),
        ("v2.53", (2, 53, 0)),
        ("2.52.0.dev0", (2, 52, 0)),
        ("3.0.0rc1", (3, 0, 0)),
        ("2.60.0-py312", (2, 60, 0)),
        ("nightly", None),
        ("2", None),
        ("", None),
        (None, None),
    ],
)
def test_versions(text: str | None, version: ray_version.Version | None) -> None:
    assert ray_version.parse(text) == version


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("""'{"a": 1, "b": 0.5}'""", {"a": 1, "b": 0.5}),
        ('{"a": 1}', {"a": 1}),
        ('`"{}"`', {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": "1"}', None),
        ('{"a": true}', None),
        ('{"a": Infinity}', None),
        ("[1]", None),
        ("{a: 1}", None),
        ('\'{"a": 1', None),
        ("", None),
    ],
)
def test_custom_resources(flag: str, value: dict[str, float] | None) -> None:
    assert ray_resources.parse(flag) == value
