"""Where the log goes and what a line looks like.

Owns: formats, levels and the log file. Does not own: what is logged, or the flags (`cli`).
Invariant: standard error always gets the log, a file may get it too; the file never takes more than
its share of a disk.
Source: KubeRay 1.7's flags; zap's words for levels and times.
"""

import logging
import logging.handlers
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

FILE_BYTES = 500 * 1024**2
FILE_BACKUPS = 10

_FIELDS = {"asctime": "ts", "levelname": "level", "name": "logger", "message": "msg"}
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def _utc(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _iso(record: logging.LogRecord, timespec: str) -> str:
    return _utc(record).isoformat(timespec=timespec).replace("+00:00", "Z")


TIMES: dict[str, Callable[[logging.LogRecord], str]] = {
    "iso8601": lambda record: _iso(record, "milliseconds"),
    "rfc3339": lambda record: _iso(record, "seconds"),
    "rfc3339nano": lambda record: _iso(record, "microseconds"),
    "epoch": lambda record: f"{record.created:.6f}",
    "millis": lambda record: f"{record.created * 1e3:.3f}",
    "nano": lambda record: str(round(record.created * 1e6) * 1000),
}
"""How a time is written, by its name in zap. Python's clock ends at the microsecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to log; levels are Python's numbers.

    Attributes:
        stdout_encoder, file_encoder: `json` or `console`.
        file: None means standard error only.
        tracebacks_from: below this level an exception is told in its line.
        times: one of `TIMES`.
    """

    stdout_encoder: str = "json"
    file: Path | None = None
    file_encoder: str = "json"
    level: int = logging.INFO
    tracebacks_from: int = logging.ERROR
    times: str = "iso8601"


def configure(options: Options) -> None:
    """Log as wanted from now on; raise OSError when the file can't be written."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    encoders = [options.stdout_encoder]
    if options.file is not None:
        options.file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(
                options.file, maxBytes=FILE_BYTES, backupCount=FILE_BACKUPS
            )
        )
        encoders.append(options.file_encoder)
    for handler, encoder in zip(handlers, encoders, strict=True):
        handler.setFormatter(formatter(encoder, times=options.times))
        handler.addFilter(Tracebacks(options.tracebacks_from))
    logging.basicConfig(level=options.level, handlers=handlers, force=True)
    logging.getLogger("kopf").setLevel(max(options.level, logging.WARNING))
    # It tells, at length, of what ended it; `handlers` does so in a line, and starts it again.
    for part in ("running", "orchestration"):
        logging.getLogger(f"kopf._core.reactor.{part}").setLevel(logging.CRITICAL)


class Tracebacks(logging.Filter):
    """Keep tracebacks from a level on; below it the exception joins the message."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if record.exc_info and record.levelno < self._level:
            record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r}", ()
            record.exc_info = record.exc_text = None
        return True


def formatter(encoder: str, *, times: str) -> logging.Formatter:
    """Return what writes a record as a line; only a traceback makes it several."""
    return _Json(times) if encoder == "json" else _Console(times)


class _Console(logging.Formatter):
    def __init__(self, times: str) -> None:
        super().__init__(_FORMAT)
        self._time = TIMES[times]

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the library's
        """Write the record's time."""
        return self._time(record)


class _Json(JsonFormatter):
    def __init__(self, times: str) -> None:
        super().__init__(_FORMAT, rename_fields=_FIELDS)
        self._time = TIMES[times]

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the library's
        """Write the record's time."""
        return self._time(record)
