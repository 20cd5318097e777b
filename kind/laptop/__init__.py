"""Creates the laptop cluster and everything it needs from what the machine has (docs/development.md)."""
