"""Where images come from: class folders, manifests, TFRecord shards and built-in data sets (`opening`)."""
