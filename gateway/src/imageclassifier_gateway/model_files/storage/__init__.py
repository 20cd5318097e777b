"""Downloads the directory or the archive of a model from a store of files, such as S3."""
