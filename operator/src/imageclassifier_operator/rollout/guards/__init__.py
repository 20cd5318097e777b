"""Guards: pure functions that decide whether a transition may happen, one module for each phase.

A guard returns a bool. The guard of a transition after a failure returns the `Problem`, or None without one.
"""
