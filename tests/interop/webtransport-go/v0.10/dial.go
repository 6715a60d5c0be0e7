// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"net/http"

	"github.com/quic-go/webtransport-go"
)

func dial(ctx context.Context, url string, protocols []string) (*http.Response,
	*webtransport.Session, error) {
	dialer := webtransport.Dialer{TLSClientConfig: tlsConfig, ApplicationProtocols: protocols}
	return dialer.Dial(ctx, url, nil)
}

// configure has nothing to do: it knows no flow control of sessions.
func configure(*webtransport.Server) {}
