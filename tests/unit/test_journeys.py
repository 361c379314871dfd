"""The document of journeys can be read, typed and compared; and names what there is."""

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import journeys, samples

SOON = timedelta(seconds=20)
JOURNEYS = journeys.read()
STEPS = [
    pytest.param(step, id=f"{journey.letter}:{step.line}")
    for journey in JOURNEYS.values()
    for step in journey.steps
]
PATHS = re.compile(rf"(?<![\w/.-])(?:{'|'.join(journeys.FOLDERS)})/[\w./-]*")
DOCUMENT = """
# Title

## A. First

Words.

```sh
NAME=value
echo one
```

More words.

```text
one
```

## B. Second

```sh
true
```
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[journeys.Shell]:
    shell = journeys.Shell(tmp_path, {})
    yield shell
    shell.close()


def test_the_document_is_read(tmp_path: Path) -> None:
    document = tmp_path / "doc.md"
    document.write_text(DOCUMENT)
    first = journeys.Step(8, "NAME=value\necho one", ("one",))
    assert journeys.read(document) == {
        "A": journeys.Journey("A", "First", (first,)),
        "B": journeys.Journey("B", "Second", (journeys.Step(21, "true"),)),
    }


@pytest.mark.parametrize(
    "block", ["```yaml\na: 1\n```", "```sh\ntrue", "```text\nprinted by nothing\n```"]
)
def test_a_block_that_makes_no_sense(tmp_path: Path, block: str) -> None:
    document = tmp_path / "doc.md"
    document.write_text(f"## A. First\n\n{block}\n")
    with pytest.raises(ValueError, match="block"):
        journeys.read(document)


@pytest.mark.parametrize(
    ("promised", "lacking"),
    [
        ((), ""),
        (("first line", "third"), ""),
        (("first", "third"), "first"),
        (("first…", "…hir…"), ""),
        (("third", "first line"), "first line"),
        (("third", "third"), "third"),
        (("a.b (c) …",), ""),
        (("aXb (c) …",), "aXb (c) …"),
    ],
)
def test_what_is_promised(promised: tuple[str, ...], lacking: str) -> None:
    output = "first    line\n\na.b  (c)   d\n third \n"
    assert journeys.missing(promised, output) == lacking


def test_a_shell_goes_on(shell: journeys.Shell) -> None:
    """With variables, functions, the folder, and what runs in the background."""
    assert shell.type('NAME=value; f() { echo "f $1"; }; sleep 60 & echo $NAME') == "value\n"
    assert shell.type("f $NAME; cd samples") == "f value\n"
    assert "example.py" in shell.type("ls; kill $!")
    assert shell.type("cat <<'EOF'\n$NAME\nEOF\necho error >&2") == "$NAME\nerror\n"
    assert shell.type("read -r line || echo nothing to read") == "nothing to read\n"


@pytest.mark.parametrize(
    "commands", ["false", "false | true", "echo a; (exit 3); echo b", "VAR=$(false)", "if"]
)
def test_a_command_that_fails_ends_the_block(shell: journeys.Shell, commands: str) -> None:
    assert shell.type("echo well") == "well\n"
    with pytest.raises(journeys.Broken, match="exit"):
        shell.type(commands, within=SOON)


def test_commands_that_take_too_long(shell: journeys.Shell) -> None:
    with pytest.raises(journeys.Broken, match=r"(?s)not done within.*begun"):
        shell.type("echo begun; sleep 60", within=timedelta(seconds=1))


def test_a_walk(shell: journeys.Shell) -> None:
    steps = [journeys.Step(1, "echo one"), journeys.Step(2, "echo two", ("t…",))]
    assert journeys.walk(shell, steps) == ["one\n", "two\n"]
    with pytest.raises(journeys.Broken, match="'one' was not printed"):
        journeys.walk(shell, [journeys.Step(3, "echo two", ("one",))])


def test_every_journey_has_steps() -> None:
    assert "".join(JOURNEYS) == "ABCDEFG"
    assert all(journey.steps for journey in JOURNEYS.values())


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_shell(step: journeys.Step) -> None:
    """And names files that there are."""
    done = subprocess.run(
        ["bash", "-n"], input=step.commands, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [
        each for each in PATHS.findall(step.commands) if not (journeys.ROOT / each).exists()
    ] == []


def test_names_of_the_samples_are_theirs() -> None:
    """What the document waits for by name is in a manifest, or made in the document."""
    manifests = "".join(path.read_text() for path in samples.ALL)
    made = {"rayjob-too-small", "raycluster-kuberay", "sample"}
    commands = "".join(step.commands for each in JOURNEYS.values() for step in each.steps)
    waited = set(re.findall(r"wait ray(?:cluster|job|service)/([\w-]+)", commands))
    assert waited
    assert [each for each in waited - made if f"name: {each}\n" not in manifests] == []
