// The pause container: holds a pod's namespaces until it is told to end, and reaps the orphans of a pod whose
// containers share a process namespace. Kubernetes' own is a C program of the same behaviour; this one stays apart
// from the large program because one of it runs for every pod.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
	}
}
