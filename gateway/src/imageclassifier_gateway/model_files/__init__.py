"""The program of the init containers that prepare the files of a model version for its model server."""
