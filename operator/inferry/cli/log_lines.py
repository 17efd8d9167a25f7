"""Log events as lines a person can read: the constant message, then what it was about."""

import logging
import time
from typing import Final

_OWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class LogLines(logging.Formatter):
    """`13:05:02 INFO  inferry is up  address=http://... home=...`"""

    def format(self, record: logging.LogRecord) -> str:
        about = " ".join(f"{name}={value}" for name, value in record.__dict__.items() if name not in _OWN)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock} {record.levelname:<7} {record.getMessage()}{'  ' if about else ''}{about}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
