// Package ext is empty, as in Traefik's own builds. Traefik's module requires it and does not contain it.
package ext

// HTTP extends nothing.
type HTTP struct{}

// Router extends nothing.
type Router struct{}
