"""A throwaway deployment: PostgreSQL, an object store and Airflow as processes on loopback, in one folder."""
