"""The HTTP server: connections, requests and responses as bytes. It knows neither Flask nor pictures."""
