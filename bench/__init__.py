"""Each script prints a ratio to its baseline, both measured in one interleaved run; nothing fails on a clock."""
