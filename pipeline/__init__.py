"""What a release is and how it is made. Knows nothing of Airflow."""
