"""The status document, its conditions and the Events, made from plain values. Pure: no I/O."""
