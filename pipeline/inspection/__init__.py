"""What is true now, where it differs from the journal, and the tables that show it. Reads, and changes nothing."""
