"""The program of a batch: classifies the pictures of a folder or a bucket with a gateway."""
