"""The bucket: one small interface (`bucket`) on the local disk, in Google Cloud Storage, in S3, and in memory."""
