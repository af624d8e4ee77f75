"""Addresses without what they keep secret, for whatever is shown, logged or kept."""

from __future__ import annotations

import logging
import re

_DATABASE_USER = re.compile(r"((?:postgresql|mysql|mssql)[\w+]*://)\S*@", re.IGNORECASE)
"""SQLAlchemy takes a password with a slash or another ``@`` as it is: everything before the last ``@`` goes."""
_USER = re.compile(r"(?<!abfs:)(?<!abfss:)//[^/?#\s]*@")  # Azure's container@account is no secret
_OPTION = re.compile(
    r"([?&;#](?:[\w.-]*(?:pass|pwd|token|secret|signature|credential|auth|key|session)[\w.-]*|sig|sas|jwt)=)"
    r"[^&#\s\"'<>]*",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """An address, or a text with addresses in it, without user names, passwords, tokens and signatures."""
    return _OPTION.sub(r"\1…", _USER.sub("//…@", _DATABASE_USER.sub(r"\1…@", text)))


class RedactingFormatter(logging.Formatter):
    """Lines of a log as another formatter makes them, tracebacks included, without secrets."""

    def __init__(self, formatter: logging.Formatter | None = None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """As the other one does."""
        return redacted(self._formatter.format(record))


def redact_logs() -> None:
    """Let what is logged from now on hold no secrets."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(RedactingFormatter(handler.formatter))
