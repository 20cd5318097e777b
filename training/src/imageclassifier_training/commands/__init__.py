"""The commands: each module declares the arguments of one command, runs it and prints its result.

TensorFlow takes seconds to import, so a command imports it only after it has checked everything that can be
checked without it: a wrong argument or a broken image is reported at once.
"""
