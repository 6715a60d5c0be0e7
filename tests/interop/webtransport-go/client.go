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
	"math/rand/v2"
	"net/http"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/quic-go/webtransport-go"
)

// More than one flow-control window.
var big = bytes.Repeat([]byte("0123456789abcdef"), 12800)

var tlsConfig = &tls.Config{InsecureSkipVerify: true} // who the server is, is not tested

type client struct {
	base string
	ctx  context.Context
}

func (c client) session(handler string, protocols ...string) (*webtransport.Session, error) {
	answer, session, err := dial(c.ctx, c.base+"/"+handler, protocols)
	if err != nil {
		status := ""
		if answer != nil {
			status = " (status " + strconv.Itoa(answer.StatusCode) + ")"
		}
		return nil, fmt.Errorf("%w%s", err, status)
	}
	return session, nil
}

// note is what the server wrote down under a token, once it has what is asked for.
func (c client) note(token, key string) (map[string]any, error) {
	for c.ctx.Err() == nil {
		session, err := c.session("query?token=" + token)
		if err != nil {
			return nil, err
		}
		stream, err := session.AcceptUniStream(c.ctx)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(stream)
		session.CloseWithError(0, "")
		if err != nil {
			return nil, err
		}
		seen := map[string]map[string]any{}
		if err := json.Unmarshal(text, &seen); err != nil {
			return nil, err
		}
		if seen[key] != nil {
			return seen[key], nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, c.ctx.Err()
}

func newToken() string { return strconv.FormatUint(rand.Uint64(), 16) }

func expect(what string, got, want any) error {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		return fmt.Errorf("%s: got %s, not %s", what, g, w)
	}
	return nil
}

func plainSession(c client) error {
	session, err := c.session("echo")
	if err != nil {
		return err
	}
	return session.CloseWithError(0, "")
}

func datagrams(c client) error {
	session, err := c.session("echo")
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	missing := map[string]bool{}
	for i := range 10 {
		missing[string(bytes.Repeat([]byte{byte(i)}, max(1, 100*i)))] = true
	}
	for len(missing) > 0 && c.ctx.Err() == nil {
		for data := range missing {
			if err := session.SendDatagram([]byte(data)); err != nil {
				return err
			}
		}
		turn, cancel := context.WithTimeout(c.ctx, 200*time.Millisecond)
		for len(missing) > 0 {
			data, err := session.ReceiveDatagram(turn)
			if err != nil {
				break
			}
			delete(missing, string(data))
		}
		cancel()
	}
	return c.ctx.Err()
}

func bidi(c client) error {
	session, err := c.session("echo")
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	stream, err := session.OpenStreamSync(c.ctx)
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		_, err := stream.Write(big)
		written <- errors.Join(err, stream.Close())
	}()
	back, err := io.ReadAll(stream)
	if err := errors.Join(err, <-written); err != nil {
		return err
	}
	return expect("the echo is the same", bytes.Equal(back, big), true)
}

func uni(c client) error {
	session, err := c.session("echo")
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	out, err := session.OpenUniStreamSync(c.ctx)
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		_, err := out.Write(big)
		written <- errors.Join(err, out.Close())
	}()
	in, err := session.AcceptUniStream(c.ctx)
	if err != nil {
		return err
	}
	back, err := io.ReadAll(in)
	if err := errors.Join(err, <-written); err != nil {
		return err
	}
	return expect("the echo is the same", bytes.Equal(back, big), true)
}

func many(c client, kind string, accept func(*webtransport.Session) (io.Reader, error)) error {
	session, err := c.session("server-create-multiple-streams?count=5&type=" + kind)
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	var texts []string
	for range 5 {
		stream, err := accept(session)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(stream)
		if err != nil {
			return err
		}
		texts = append(texts, string(text))
	}
	sort.Strings(texts)
	return expect("what came", texts, "[stream0 stream1 stream2 stream3 stream4]")
}

func uniFromServer(c client) error {
	return many(c, "unidi", func(s *webtransport.Session) (io.Reader, error) {
		return s.AcceptUniStream(c.ctx)
	})
}

func bidiFromServer(c client) error {
	return many(c, "bidi", func(s *webtransport.Session) (io.Reader, error) {
		return s.AcceptStream(c.ctx)
	})
}

func reset(c client) error {
	for _, code := range []webtransport.StreamErrorCode{7, 0, 4294967295} {
		token := newToken()
		session, err := c.session("client-close?token=" + token)
		if err != nil {
			return err
		}
		stream, err := session.OpenUniStreamSync(c.ctx)
		if err != nil {
			return err
		}
		if _, err := stream.Write([]byte("never finished")); err != nil {
			return err
		}
		// A write returns before its bytes are sent, and a reset may overtake them: it is
		// delivered reliably only where both ends know how to (RESET_STREAM_AT).
		time.Sleep(100 * time.Millisecond)
		stream.CancelWrite(code)
		note, err := c.note(token, "stream-close-info")
		if err == nil {
			err = expect("noted", fmt.Sprintf("%v %.0f", note["source"], note["code"]),
				fmt.Sprintf("reset %d", code))
		}
		session.CloseWithError(0, "")
		if err != nil {
			return err
		}
	}
	return nil
}

func stop(c client) error {
	token := newToken()
	session, err := c.session("client-close?token=" + token)
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	stream, err := session.OpenStreamSync(c.ctx)
	if err != nil {
		return err
	}
	if _, err := stream.Write([]byte("x")); err != nil {
		return err
	}
	stream.CancelRead(9)
	note, err := c.note(token, "stream-stop-info")
	if err != nil {
		return err
	}
	return expect("noted", note["code"], 9)
}

func streamCode(err error) any {
	var ended *webtransport.StreamError
	if errors.As(err, &ended) && ended.Remote {
		return int64(ended.ErrorCode)
	}
	return err
}

func resetFromServer(c client) error {
	session, err := c.session("abort-stream-from-server?wt=29")
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	stream, err := session.OpenStreamSync(c.ctx)
	if err != nil {
		return err
	}
	if _, err := stream.Write([]byte("x")); err != nil {
		return err
	}
	_, err = io.ReadAll(stream)
	return expect("the code", streamCode(err), 29)
}

func stopFromServer(c client) error {
	session, err := c.session("abort-stream-from-server?wt=30")
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	stream, err := session.OpenUniStreamSync(c.ctx)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = stream.Write(big)
	}
	return expect("the code", streamCode(err), 30)
}

// closeSession does it until it is noted. CloseWithError ends the connection without
// waiting, and the capsule with it where it was not sent yet: four times in five.
func closeSession(c client) error {
	const want = "map[abruptly:false close_info:map[code:77 reason:done, thank you: é]]"
	noted := ""
	for c.ctx.Err() == nil {
		token := newToken()
		session, err := c.session("client-close?token=" + token)
		if err != nil {
			return err
		}
		if err := session.CloseWithError(77, "done, thank you: é"); err != nil {
			return err
		}
		note, err := c.note(token, "session-close-info")
		if err != nil {
			return err
		}
		if noted = fmt.Sprint(note); noted != "map[abruptly:true close_info:<nil>]" {
			break
		}
	}
	return expect("noted", noted, want)
}

func closeFromServer(c client) error {
	session, err := c.session("server-close?code=4294967295&reason=enough")
	if err != nil {
		return err
	}
	_, err = session.AcceptUniStream(c.ctx)
	var ended *webtransport.SessionError
	if !errors.As(err, &ended) {
		return fmt.Errorf("the session ended with %v", err)
	}
	return expect("how it ended", *ended, webtransport.SessionError{
		Remote: true, ErrorCode: 4294967295, Message: "enough"})
}

func refused(c client) error {
	answer, session, err := dial(c.ctx, c.base+"/there-is-nothing-here", nil)
	if err == nil {
		session.CloseWithError(0, "")
		return errors.New("it was accepted")
	}
	if answer == nil {
		return err
	}
	return expect("the status", answer.StatusCode, http.StatusNotFound)
}

func subprotocol(c client) error {
	session, err := c.session("subprotocol?pick=1", "first.v1", "second.v2")
	if err != nil {
		return err
	}
	defer session.CloseWithError(0, "")
	return expect("the protocol", session.SessionState().ApplicationProtocol, "second.v2")
}

var cases = map[string]func(client) error{
	"session": plainSession, "datagrams": datagrams, "bidi": bidi, "uni": uni,
	"bidi-from-server": bidiFromServer, "uni-from-server": uniFromServer, "reset": reset,
	"stop": stop, "reset-from-server": resetFromServer,
	"stop-from-server": stopFromServer, "close": closeSession,
	"close-from-server": closeFromServer, "refused": refused, "subprotocol": subprotocol,
}

func runClient(base string, names []string) {
	out := json.NewEncoder(os.Stdout)
	for _, name := range names {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		result := map[string]any{"case": name, "ok": true}
		if err := cases[name](client{base: base, ctx: ctx}); err != nil {
			result["ok"] = false
			result["why"] = err.Error()
		}
		cancel()
		out.Encode(result)
	}
}
