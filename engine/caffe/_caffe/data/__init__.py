"""What data layers read: databases, images, windows, lists; transformed, in order, loaded ahead."""
