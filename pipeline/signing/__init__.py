"""Who stands behind a manifest: signatures in the format of OpenSSF model-signing."""
