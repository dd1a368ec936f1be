"""Files: bytes that last, on disks and object stores, whole or not at all."""
