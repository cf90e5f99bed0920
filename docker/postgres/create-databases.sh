#!/bin/sh
# The databases and the users of Airflow and MLflow. PostgreSQL's image runs this when its volume is empty. It may be run
# again: then it only sets the passwords of `.env`. compose.md says how to change them.
set -eu

: "${AIRFLOW_DB_PASSWORD:?is not set}" "${MLFLOW_DB_PASSWORD:?is not set}"

# psql reads the passwords from the environment, because other processes can see its command line.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name) FROM (VALUES ('airflow'), ('mlflow')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE airflow PASSWORD :'airflow_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';

-- Notes of people have more than ASCII, whatever the locale of the server is.
SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', name, name) FROM (VALUES ('airflow'), ('mlflow')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
-- By default every user may connect to every database. The owner keeps all rights.
REVOKE ALL ON DATABASE airflow, mlflow, postgres FROM PUBLIC;
SQL
