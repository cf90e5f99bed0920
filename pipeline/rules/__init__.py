"""What may be written to the journal next. Pure: a history in; the next entry, nothing, or a refusal out."""
