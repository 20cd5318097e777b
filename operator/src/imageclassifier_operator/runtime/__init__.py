"""A controller runtime: informer, cache, work queue, workers, leader election and API client."""
