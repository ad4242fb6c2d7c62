"""References in the metadata database: scan, join with runs."""
