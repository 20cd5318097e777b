"""What the terminal shows: the tree of a report, tables, and the live view."""
