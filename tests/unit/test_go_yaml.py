"""YAML as Go reads it; `tests/api` compares it with kubectl."""

import pytest

from ray_operator import go_yaml


def test_documents_become_json() -> None:
    text = "a: {2: y, on: 1e3, b: ~}\n---\n- 2024-13-45\n- 22:22\n- 0b_\n- ~\n---\n"
    assert go_yaml.load_all(text) == [
        {"a": {"2": True, "true": 1000.0}},
        ["2024-13-45", "22:22", "0b_", None],
        None,
    ]


def test_a_bomb_does_not_go_off() -> None:
    """Written out, these lists would hold 9 ** 40 numbers."""
    lines = ["- &a0 [1]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    with pytest.raises(ValueError, match="aliases make more than 500000 values"):
        go_yaml.load_all("\n".join(lines))
    ((*_, last),) = go_yaml.load_all("\n".join(lines[:5]))
    assert len(last) == 9


@pytest.mark.parametrize(
    ("text", "told"), [("a: !!binary aGk=", "bytes"), ("a: !!set {b}", "set"), ("a: 12e400", "inf")]
)
def test_what_json_cannot_say_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        go_yaml.load_all(text)


@pytest.mark.parametrize("text", ["a: [", "&a [*a]", "[" * 9999, "9" * 9999, "!tag a", "\0"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        go_yaml.load_all(text)
