"""Looking at a net: what it logs, how long its layers take, how much memory it needs."""
