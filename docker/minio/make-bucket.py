"""Create the bucket of UNDERSTUDY_ROOT in the store of AWS_ENDPOINT_URL_S3, unless it exists."""

import os
import sys
from urllib.parse import urlsplit


def main() -> None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    name = urlsplit(os.environ["UNDERSTUDY_ROOT"]).netloc
    try:
        boto3.client("s3").create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            sys.exit(f"the bucket {name} could not be created: {error}")
    except BotoCoreError as error:
        what = f"the bucket {name} could not be created, the store gave no answer: {error}"
        sys.exit(f"{what}. See `docker compose logs minio`")
    sys.stdout.write(f"the bucket {name} exists\n")


if __name__ == "__main__":
    main()
