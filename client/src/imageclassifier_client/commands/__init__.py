"""The commands. Each module declares one command with its arguments, and runs it."""
