"""Where models and configs are read from: the local disk or Google Cloud Storage, by URI."""
