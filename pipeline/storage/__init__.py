"""The bucket: one small interface (`bucket`), the local disk, Google Cloud Storage, and memory for model checking."""
