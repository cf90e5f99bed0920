"""What everything that reads or writes Google Cloud Storage has in common: time limits, credentials, kinds of errors.

The model server's file system and the pipeline's bucket stand on it. Google's libraries are imported when the first
bucket is met, because they take seconds; `errors` is to be imported then too.
"""
