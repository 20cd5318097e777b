"""What the cluster's objects and the gateways report, as plain values. Only `gateway_client` does I/O."""
