"""Fetches pictures from clients' URLs, without giving clients access to the cluster's network."""
