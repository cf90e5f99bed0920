"""The bucket in Google Cloud Storage."""
