"""The far end of the protocol: what runs inside a context, one file per request.

It is streamed there as a zip (see :mod:`xcomctl.deployment.bundle`), started by :mod:`xcomctl.agent.boot` and spoken to
in frames. It uses the standard library and what Airflow ships, on Python 3.9.
"""
