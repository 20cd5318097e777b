"""Pictures from URLs that clients send, without a way into the cluster's network."""
