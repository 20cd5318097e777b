"""What requests may use: places, bytes in memory, cores and time."""
