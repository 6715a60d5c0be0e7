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
