"""The verification of a candidate: its plan, the checks, and the verdict that the operator reads."""
