"""Files as they lie on a disk: unpacked, unchanged, and what goes wrong with them."""
