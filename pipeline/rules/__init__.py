"""What may be written next. Pure: a history in; the next entry, nothing, or a refusal out."""
