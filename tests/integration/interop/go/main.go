// SPDX-License-Identifier: Apache-2.0

// Command interop-go is connect-go as a peer of Tessera: a client that checks a
// server of InteropService, and such a server.
//
//	interop-go client URL    exit code 1: a check failed
//	interop-go server        prints "listening on URL"; runs until stdin ends
package main

import (
	"fmt"
	"os"
)

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "client":
		if !runClient(os.Args[2]) {
			os.Exit(1)
		}
	case len(os.Args) == 2 && os.Args[1] == "server":
		if err := runServer(); err != nil {
			fmt.Fprintln(os.Stderr, "interop-go:", err)
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: interop-go client URL | interop-go server")
		os.Exit(2)
	}
}
