"""Lines of the log."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from ray_operator import logs


def record(level: int = logging.INFO, *, error: Exception | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    made = logging.LogRecord("ray_operator", level, "file.py", 1, "hello %s", ("you",), info)
    made.created = 1767268800.25
    return made


@pytest.mark.parametrize(
    ("times", "written"),
    [
        ("iso8601", "2026-01-01T12:00:00.250Z"),
        ("rfc3339", "2026-01-01T12:00:00Z"),
        ("rfc3339nano", "2026-01-01T12:00:00.250000Z"),
        ("epoch", "1767268800.250000"),
        ("millis", "1767268800250.000"),
        ("nano", "1767268800250000000"),
    ],
)
def test_formats_and_times(times: str, written: str) -> None:
    assert json.loads(logs.formatter("json", times=times).format(record())) == {
        "ts": written,
        "level": "INFO",
        "logger": "ray_operator",
        "msg": "hello you",
    }
    line = logs.formatter("console", times=times).format(record())
    assert line == f"{written} INFO ray_operator hello you"


def test_tracebacks_only_from_a_level() -> None:
    below, above = record(error=ValueError("why")), record(logging.ERROR, error=ValueError("why"))
    told = logs.formatter("console", times="iso8601")
    for each in (below, above):
        assert logs.Tracebacks(logging.ERROR).filter(each)
    assert told.format(below).endswith("INFO ray_operator hello you: ValueError('why')")
    assert told.format(above).endswith("ERROR ray_operator hello you\nValueError: why")


def test_standard_error_and_file_each_in_its_form(tmp_path: Path) -> None:
    """In a process of its own: handlers are the whole process's."""
    file = tmp_path / "new" / "operator.log"
    script = (
        "import logging, pathlib, sys\n"
        "from ray_operator import logs\n"
        "logs.configure(logs.Options(file=pathlib.Path(sys.argv[1]), file_encoder='console'))\n"
        "logging.getLogger('x').info('hello'); logging.getLogger('kopf').info('hidden')\n"
        "(handler,) = [h for h in logging.getLogger().handlers if hasattr(h, 'maxBytes')]\n"
        "print(handler.maxBytes, handler.backupCount)\n"
    )
    command = [sys.executable, "-c", script, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(500 * 1024**2), "10"]
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["msg"] == "hello"
    assert file.read_text().split()[1:] == ["INFO", "x", "hello"]
