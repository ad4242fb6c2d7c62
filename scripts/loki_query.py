#!/usr/bin/env python3
"""The runbook's look into the logs: ``xcomctl logs`` from a bare checkout, with the Python that runs Airflow."""

import sys

import _desk

if __name__ == "__main__":
    sys.exit(_desk.run("logs"))
