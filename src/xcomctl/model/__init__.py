"""The vocabulary that desk and agent share: frozen dataclasses and pure functions, no I/O.

Everything here is also streamed into Airflow's contexts and therefore runs on Python 3.9.
"""
