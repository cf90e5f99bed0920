"""The models that the gateway asks: their clients, how many requests they take, and whether they answer."""
