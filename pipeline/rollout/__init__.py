"""How the replicas of one fleet follow the journal, how a candidate is proven, and how traffic goes back."""
