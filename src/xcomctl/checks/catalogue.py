"""Every check, in the order in which they run. A category is one file; adding a check touches that file alone."""

from __future__ import annotations

from xcomctl.checks import config, connection, metadata, provider, round_trip, store
from xcomctl.checks.interface import CheckSpec

#: The order tells the story: what is installed, what resolves, whom it speaks as, what the store allows, what the
#: database holds, and what comes back.
CHECKS: tuple[CheckSpec, ...] = (
    *provider.CHECKS,
    *config.CHECKS,
    *connection.CHECKS,
    *store.CHECKS,
    *metadata.CHECKS,
    *round_trip.CHECKS,
)
