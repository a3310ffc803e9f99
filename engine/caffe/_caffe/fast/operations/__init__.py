"""What the fast path runs in place of layers, each over planes."""
