"""What a snapshot costs: of many images, of few new ones, of none, and of four times as many."""
