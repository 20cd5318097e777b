"""Brings up the laptop cluster from whatever the machine has: see docs/development.md."""
