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

// configure has nothing to do: it has no limits of sessions that could be set.
func configure(*webtransport.Server) {}
