"""How the replicas of one fleet are made to follow the journal, in either roll-out, and how a candidate is proven."""
