"""The snapshots of a training: taken, checked, named in an index, and removed."""
