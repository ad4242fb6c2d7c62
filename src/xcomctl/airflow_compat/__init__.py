"""The only package that imports Airflow, lazily; the differences between 2.x and 3.x live here and nowhere else."""
