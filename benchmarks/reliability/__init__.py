"""What a training survives, shown: kills, disks that fail, long use, and data sets with faults."""
