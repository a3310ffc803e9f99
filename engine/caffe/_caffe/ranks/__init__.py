"""Several processes that train one net: where they meet, how they are watched, what travels between them."""
