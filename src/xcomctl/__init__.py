"""Storage operations for Apache Airflow's XComs."""

__version__ = "0.1.0"
