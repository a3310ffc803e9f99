"""From the text of a net to its wiring: messages and names only, no tensors."""
