"""Numbers that a measurement of sizes goes by. Apart from its records, since the command line shows some in its help."""

from __future__ import annotations

#: The quantiles that are shown.
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
#: The quantile behind the suggestion, unless another is asked for: the runbook's.
DEFAULT_QUANTILE = 0.999
DEFAULT_TIMEOUT_S = 900.0
#: Entries of each list of the largest.
TOP = 10
#: The windows of the growth, in days before the measurement.
WINDOWS_DAYS = (1, 7, 30)
#: Requests to S3 that the backend makes, counted: to write an object, to read one.
WRITE_REQUESTS, READ_REQUESTS = 4, 2
