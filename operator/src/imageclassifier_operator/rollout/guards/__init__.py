"""The guards: pure questions that decide whether a transition may happen, one module per phase.

A guard answers with a bool. A guard of a failing transition answers with the `Problem`, or None.
"""
