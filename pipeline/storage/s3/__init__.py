"""The bucket in Amazon S3, or in a store that speaks its protocol."""
