"""Objects under a base path, through fsspec with the path's connection as Airflow resolves it."""
