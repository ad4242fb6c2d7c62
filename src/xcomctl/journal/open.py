"""Which journal a path or a URL stands for."""

from __future__ import annotations

from xcomctl.journal.interface import Journal, Where
from xcomctl.journal.local import LocalJournal


def is_url(where: Where) -> bool:
    """Whether it names a URL (``s3://bucket/xcomctl``), and not a file."""
    return isinstance(where, str) and "://" in where


def opened(where: Where) -> Journal:
    """The journal that is kept there, ``None`` for the user's own; it need not exist yet.

    Raises :class:`~xcomctl.journal.errors.JournalError` for a URL whose package is not installed.
    """
    if isinstance(where, str) and is_url(where):
        from xcomctl.journal.remote import RemoteJournal

        return RemoteJournal(where)
    return LocalJournal(where)
