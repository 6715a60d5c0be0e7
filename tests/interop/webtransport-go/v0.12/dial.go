// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"net/http"

	"github.com/quic-go/webtransport-go"
)

func dial(ctx context.Context, url string, protocols []string) (*http.Response,
	*webtransport.Session, error) {
	transport := webtransport.Transport{TLSClientConfig: tlsConfig, ApplicationProtocols: protocols}
	return transport.Dial(ctx, url, nil)
}

// configure has each session declare limits of its own, so that a connection may have
// several; small ones, so that they have to be raised.
func configure(server *webtransport.Server) {
	server.Config = &webtransport.Config{
		MaxIncomingStreams:    10,
		MaxIncomingUniStreams: 10,
		MaxIncomingData:       5000,
	}
}
