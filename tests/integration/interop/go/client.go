// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	interopv1 "interop.test/gen/interopv1"
	"interop.test/gen/interopv1/interopv1connect"
)

// The checks of one kind of client.
type checks struct {
	kind           string
	grpcWeb        bool
	client         interopv1connect.InteropServiceClient
	passed, failed int
}

func (c *checks) check(good bool, what string, args ...any) {
	if good {
		c.passed++
		return
	}
	c.failed++
	fmt.Fprintf(os.Stderr, "FAILED %s: %s\n", c.kind, fmt.Sprintf(what, args...))
}

// A message with something in every field.
func full(text string) *interopv1.Request {
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	return &interopv1.Request{
		Text: text, Data: data, Number: -1<<63 + 1, Real: -0.1,
		List:   []int32{0, -1, 1<<31 - 1, -1 << 31},
		Counts: map[string]uint64{"nümber": 1<<64 - 1, "": 0, "b": 2},
		Choice: &interopv1.Request_Nested{Nested: &interopv1.Request{Text: "inner \"quoted\" 🧩"}},
		Color:  interopv1.Color_COLOR_BLUE,
		At:     &timestamppb.Timestamp{Seconds: 1700000000, Nanos: 123456000},
	}
}

func wanted() *interopv1.Failure {
	return &interopv1.Failure{Code: uint32(connect.CodeResourceExhausted), Message: "gone: 100% é"}
}

// The error that wanted() asks for.
func (c *checks) checkFailure(err error) {
	var failed *connect.Error
	if !errors.As(err, &failed) {
		c.check(false, "no error but %v", err)
		return
	}
	c.check(failed.Code() == connect.CodeResourceExhausted && failed.Message() == "gone: 100% é", "the error is %v", err)
	if len(failed.Details()) != 1 {
		c.check(false, "%d details", len(failed.Details()))
		return
	}
	value, err := failed.Details()[0].Value()
	c.check(err == nil && proto.Equal(value, wanted()), "the detail is %v (%v)", value, err)
}

func (c *checks) unary(ctx context.Context) {
	large := make([]byte, 1<<20)
	for i := range large {
		large[i] = byte(i * i >> 7)
	}
	for _, request := range []*interopv1.Request{full("one"), {}, {Data: large}} {
		reply, err := c.client.Unary(ctx, connect.NewRequest(request))
		c.check(err == nil && len(reply.Msg.Requests) == 1 && proto.Equal(reply.Msg.Requests[0], request), "unary: %v", err)
	}
	reply, err := c.client.Get(ctx, connect.NewRequest(full("got")))
	method := "GET"
	if c.grpcWeb {
		method = "POST"
	}
	c.check(err == nil && reply.Msg.HttpMethod == method && proto.Equal(reply.Msg.Requests[0], full("got")), "get: %v", err)

	request := connect.NewRequest(&interopv1.Request{})
	request.Header().Add("X-Interop", "one")
	request.Header().Add("X-Interop", "two, three")
	request.Header().Add("X-Interop-Bin", connect.EncodeBinaryHeader([]byte{0, 255, 1}))
	reply, err = c.client.Unary(ctx, request)
	if err != nil {
		c.check(false, "metadata: %v", err)
	} else {
		c.metadata(reply.Header(), reply.Trailer())
	}

	_, err = c.client.Unary(ctx, connect.NewRequest(&interopv1.Request{Failure: wanted()}))
	c.checkFailure(err)
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err = c.client.Unary(soon, connect.NewRequest(&interopv1.Request{DelayMs: 20000}))
	c.check(connect.CodeOf(err) == connect.CodeDeadlineExceeded, "deadline: %v", err)
}

func (c *checks) metadata(headers, trailers http.Header) {
	c.check(strings.Join(headers.Values("X-Reply"), ";") == "one;two, three", "headers: %v", headers)
	c.check(strings.Join(trailers.Values("X-Trailer"), ";") == "one;two, three", "trailers: %v", trailers)
	for name, value := range map[string]string{"header": headers.Get("X-Reply-Bin"), "trailer": trailers.Get("X-Trailer-Bin")} {
		bytes, err := connect.DecodeBinaryHeader(value)
		c.check(err == nil && string(bytes) == "\x00\xff\x01", "binary %s: %q", name, value)
	}
}

func (c *checks) serverStream(ctx context.Context, replies uint32, failing bool) {
	sent := full("stream")
	sent.Replies = replies
	if failing {
		sent.Failure = wanted()
	}
	request := connect.NewRequest(sent)
	request.Header().Add("X-Interop", "one")
	request.Header().Add("X-Interop", "two, three")
	request.Header().Add("X-Interop-Bin", connect.EncodeBinaryHeader([]byte{0, 255, 1}))
	stream, err := c.client.ServerStream(ctx, request)
	if err != nil {
		c.check(false, "server stream: %v", err)
		return
	}
	defer stream.Close()
	got := uint32(0)
	for stream.Receive() {
		good := stream.Msg().Index == got
		if got == 0 {
			good = good && len(stream.Msg().Requests) == 1 && proto.Equal(stream.Msg().Requests[0], sent)
		}
		c.check(good, "reply %d", got)
		got++
	}
	c.check(got == replies, "%d replies of %d", got, replies)
	if failing {
		c.checkFailure(stream.Err())
	} else {
		c.check(stream.Err() == nil, "server stream: %v", stream.Err())
		c.metadata(stream.ResponseHeader(), stream.ResponseTrailer())
	}
}

func (c *checks) clientStream(ctx context.Context, failing bool) {
	var sent []*interopv1.Request
	stream := c.client.ClientStream(ctx)
	stream.RequestHeader().Add("X-Interop", "one")
	stream.RequestHeader().Add("X-Interop", "two, three")
	stream.RequestHeader().Add("X-Interop-Bin", connect.EncodeBinaryHeader([]byte{0, 255, 1}))
	for _, text := range []string{"first", "second", "third"} {
		request := full(text)
		if failing {
			request.Failure = wanted()
		}
		sent = append(sent, request)
		if err := stream.Send(request); err != nil {
			c.check(false, "client stream: %v", err)
		}
	}
	reply, err := stream.CloseAndReceive()
	if failing {
		c.checkFailure(err)
		return
	}
	if err != nil {
		c.check(false, "client stream: %v", err)
		return
	}
	c.check(len(reply.Msg.Requests) == len(sent), "%d requests came", len(reply.Msg.Requests))
	for i, request := range reply.Msg.Requests {
		c.check(proto.Equal(request, sent[i]), "request %d of a client stream", i)
	}
	c.metadata(reply.Header(), reply.Trailer())
}

// connect-go refuses bidi streams whose answer comes over HTTP/1.1, whatever the
// answer is. The server must take that in its stride: other calls go on.
func (c *checks) bidi(ctx context.Context) {
	stream := c.client.Bidi(ctx)
	_ = stream.Send(full("bidi"))
	_ = stream.CloseRequest()
	_, err := stream.Receive()
	c.check(connect.CodeOf(err) == connect.CodeUnimplemented && strings.Contains(err.Error(), "HTTP/1.1"), "bidi: %v", err)
	_ = stream.CloseResponse()
}

// Leaves a long stream after its first reply, by its context.
func (c *checks) leave(ctx context.Context) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.client.ServerStream(inner, connect.NewRequest(&interopv1.Request{Replies: 1 << 20}))
	if err != nil || !stream.Receive() {
		c.check(false, "leaving: %v", err)
		return
	}
	cancel()
	for stream.Receive() {
	}
	c.check(connect.CodeOf(stream.Err()) == connect.CodeCanceled, "leaving: %v", stream.Err())
	_ = stream.Close()
}

func runClient(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	passed, failed := 0, 0
	for kind := range 8 {
		c := &checks{kind: "Connect", grpcWeb: kind&1 != 0}
		// Uncompressed replies, unless compression is what is tested.
		options := []connect.ClientOption{connect.WithHTTPGet()}
		if c.grpcWeb {
			c.kind = "gRPC-Web"
			options = append(options, connect.WithGRPCWeb())
		}
		if kind&2 != 0 {
			c.kind += " JSON"
			options = append(options, connect.WithProtoJSON())
		}
		if kind&4 != 0 {
			c.kind += " gzip"
			options = append(options, connect.WithSendGzip())
		} else {
			options = append(options, connect.WithAcceptCompression("gzip", nil, nil))
		}
		c.client = interopv1connect.NewInteropServiceClient(&http.Client{Transport: &http.Transport{}}, url, options...)
		c.unary(ctx)
		c.serverStream(ctx, 5, false)
		c.serverStream(ctx, 0, false)
		c.serverStream(ctx, 2, true)
		c.clientStream(ctx, false)
		c.clientStream(ctx, true)
		c.bidi(ctx)
		c.leave(ctx)
		passed += c.passed
		failed += c.failed
	}
	fmt.Printf("interop-go: %d checks passed, %d failed\n", passed, failed)
	return failed == 0
}
