"""Less memory: planes and blobs that are given away when nothing reads them any more, and made again."""
