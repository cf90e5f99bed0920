"""The client of Google Cloud Storage, and who it is to Google."""

import logging
from typing import Any

from google.auth.exceptions import DefaultCredentialsError

logger = logging.getLogger(__name__)


def make_client() -> Any:
    """A `google.cloud.storage.Client` with the credentials of the process.

    These are Google's application default credentials: those of the pod's service account, of
    GOOGLE_APPLICATION_CREDENTIALS, or of `gcloud auth application-default login`. STORAGE_EMULATOR_HOST points the
    client at an emulator, without credentials.

    Raises:
        DefaultCredentialsError: the process has none.
    """
    from google.cloud import storage

    return storage.Client(project=None)


def make_client_or_anonymous() -> Any:
    """The same; without credentials, one that asks as anybody, which is enough to read a public bucket."""
    from google.cloud import storage

    try:
        return make_client()
    except DefaultCredentialsError as error:
        logger.warning("no Google credentials, so buckets are read anonymously: %s", error)
        return storage.Client.create_anonymous_client()
