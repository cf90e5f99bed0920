"""The report about a snapshot: a page and CSV files."""
