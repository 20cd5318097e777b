"""How clients reach the gateway: API keys, and the certificate of TLS."""
