"""What people look at: which labels are confused, how the training went, which answers were wrong."""
