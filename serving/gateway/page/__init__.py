"""The pages for browsers. Their files are in `files`."""
