// SPDX-License-Identifier: MIT

// Command peer is webtransport-go as a client or a server for ../run.py: one source,
// compiled with each of the versions whose go.mod stands in a folder beside it.
//
//	peer client BASE CASE...
//	peer server CERTIFICATE KEY
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == "client" {
		runClient(os.Args[2], os.Args[3:])
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "server" {
		fmt.Fprintln(os.Stderr, runServer(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "usage: peer client BASE CASE... | peer server CERTIFICATE KEY")
	os.Exit(2)
}
