// An OpenID provider for tests: zitadel/oidc with its example storage, which is in memory.
//
// Its one client is `pizza`. A user signs in with the password `verysecure`.
package main

import (
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	address := flag.String("address", "", "loopback address with port, to listen on")
	redirect := flag.String("redirect-uri", "", "where the client gets its code")
	secret := flag.String("client-secret", "", "the secret of the client")
	flag.Parse()
	issuer := "http://" + *address
	storage.RegisterClients(storage.WebClient("pizza", *secret, *redirect))
	users := storage.NewStorage(storage.NewUserStore(issuer))
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	log.Fatal(http.ListenAndServe(*address, exampleop.SetupServer(issuer, users, logger, false)))
}
