// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
)

// notes is what client-close saw, by token, until query takes it.
type notes struct {
	sync.Mutex
	seen map[string]map[string]any
}

func (n *notes) put(token, key string, value any) {
	n.Lock()
	defer n.Unlock()
	if n.seen[token] == nil {
		n.seen[token] = map[string]any{}
	}
	n.seen[token][key] = value
}

func (n *notes) take(token string) map[string]any {
	n.Lock()
	defer n.Unlock()
	seen := n.seen[token]
	delete(n.seen, token)
	if seen == nil {
		return map[string]any{}
	}
	return seen
}

func echo(session *webtransport.Session) {
	ctx := session.Context()
	go func() {
		for {
			data, err := session.ReceiveDatagram(ctx)
			if err != nil {
				return
			}
			session.SendDatagram(data)
		}
	}()
	go func() {
		for {
			in, err := session.AcceptUniStream(ctx)
			if err != nil {
				return
			}
			go func() {
				out, err := session.OpenUniStreamSync(ctx)
				if err != nil {
					return
				}
				if _, err := io.Copy(out, in); err == nil {
					out.Close()
				}
			}()
		}
	}()
	for {
		stream, err := session.AcceptStream(ctx)
		if err != nil {
			return
		}
		go func() {
			if _, err := io.Copy(stream, stream); err == nil {
				stream.Close()
			}
		}()
	}
}

// watch notes how the peer's streams and its session end.
func (n *notes) watch(session *webtransport.Session, token string) {
	read := func(stream io.Reader) {
		_, err := io.Copy(io.Discard, stream)
		var reset *webtransport.StreamError
		if err == nil {
			n.put(token, "stream-close-info", map[string]any{"source": "FIN"})
		} else if errors.As(err, &reset) && reset.Remote {
			n.put(token, "stream-close-info",
				map[string]any{"source": "reset", "code": reset.ErrorCode})
		}
	}
	go func() {
		for {
			stream, err := session.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			go read(stream)
		}
	}()
	for {
		stream, err := session.AcceptStream(context.Background())
		if err != nil {
			var ended *webtransport.SessionError
			note := map[string]any{"abruptly": true, "close_info": nil}
			if errors.As(err, &ended) && ended.Remote {
				note = map[string]any{"abruptly": false, "close_info": map[string]any{
					"code": ended.ErrorCode, "reason": ended.Message}}
			}
			n.put(token, "session-close-info", note)
			return
		}
		go read(stream)
		go func() {
			<-stream.Context().Done()
			_, err := stream.Write([]byte("x")) // says why, in WebTransport's codes
			var stopped *webtransport.StreamError
			if errors.As(err, &stopped) && stopped.Remote {
				n.put(token, "stream-stop-info", map[string]any{"code": stopped.ErrorCode})
			}
		}()
	}
}

// rooms is who is in which, for the benchmarks.
type rooms struct {
	lock    sync.RWMutex
	members map[string]map[*webtransport.Session]bool
}

// serve relays a session's datagrams to the others in the room that it asks for.
func (r *rooms) serve(session *webtransport.Session) {
	name := ""
	defer func() {
		r.lock.Lock()
		delete(r.members[name], session)
		r.lock.Unlock()
	}()
	for {
		data, err := session.ReceiveDatagram(session.Context())
		if err != nil {
			return
		}
		if wanted, ok := bytes.CutPrefix(data, []byte("join ")); ok {
			name = string(wanted)
			r.lock.Lock()
			if r.members[name] == nil {
				r.members[name] = map[*webtransport.Session]bool{}
			}
			r.members[name][session] = true
			r.lock.Unlock()
			session.SendDatagram([]byte("joined"))
			continue
		}
		r.lock.RLock()
		for other := range r.members[name] {
			if other != session {
				other.SendDatagram(data)
			}
		}
		r.lock.RUnlock()
	}
}

func createStreams(session *webtransport.Session, kind, count string) {
	number, _ := strconv.Atoi(count)
	for i := range number {
		var stream io.WriteCloser
		var err error
		if kind == "unidi" {
			stream, err = session.OpenUniStreamSync(session.Context())
		} else {
			stream, err = session.OpenStreamSync(session.Context())
		}
		if err != nil {
			return
		}
		fmt.Fprintf(stream, "stream%d", i)
		stream.Close()
	}
}

func abortStreams(session *webtransport.Session, text string) {
	number, _ := strconv.ParseUint(text, 10, 32)
	code := webtransport.StreamErrorCode(number)
	go func() {
		for {
			stream, err := session.AcceptUniStream(session.Context())
			if err != nil {
				return
			}
			stream.CancelRead(code)
		}
	}()
	for {
		stream, err := session.AcceptStream(session.Context())
		if err != nil {
			return
		}
		stream.CancelRead(code)
		stream.CancelWrite(code)
	}
}

func runServer(certificate, key string) error {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return err
	}
	book := &notes{seen: map[string]map[string]any{}}
	crowd := &rooms{members: map[string]map[*webtransport.Session]bool{}}
	mux := http.NewServeMux()
	server := &webtransport.Server{
		H3: &http3.Server{
			Handler:   mux,
			TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}}),
		},
		ApplicationProtocols: []string{"second.v2"},
		CheckOrigin:          func(*http.Request) bool { return true },
	}
	configure(server)
	webtransport.ConfigureHTTP3Server(server.H3)
	handle := func(name string, run func(*webtransport.Session, func(string) string)) {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) {
			session, err := server.Upgrade(w, r)
			if err != nil {
				fmt.Fprintf(os.Stderr, "upgrade: %v\n", err)
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			run(session, r.URL.Query().Get)
		})
	}
	handle("echo", func(s *webtransport.Session, _ func(string) string) { echo(s) })
	handle("room", func(s *webtransport.Session, _ func(string) string) { crowd.serve(s) })
	handle("subprotocol", func(s *webtransport.Session, _ func(string) string) { echo(s) })
	handle("client-close", func(s *webtransport.Session, query func(string) string) {
		book.watch(s, query("token"))
	})
	handle("query", func(s *webtransport.Session, query func(string) string) {
		if stream, err := s.OpenUniStreamSync(s.Context()); err == nil {
			json.NewEncoder(stream).Encode(book.take(query("token")))
			stream.Close()
		}
	})
	handle("server-close", func(s *webtransport.Session, query func(string) string) {
		code, _ := strconv.ParseUint(query("code"), 10, 32)
		s.CloseWithError(webtransport.SessionErrorCode(code), query("reason"))
	})
	handle("server-create-multiple-streams",
		func(s *webtransport.Session, query func(string) string) {
			createStreams(s, query("type"), query("count"))
		})
	handle("abort-stream-from-server",
		func(s *webtransport.Session, query func(string) string) {
			abortStreams(s, query("wt"))
		})
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	fmt.Printf("listening %d\n", socket.LocalAddr().(*net.UDPAddr).Port)
	go func() { // the runner's end is this server's
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return server.Serve(socket)
}
