// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"

	interopv1 "interop.test/gen/interopv1"
	"interop.test/gen/interopv1/interopv1connect"
)

type server struct{}

// What interop.proto says about metadata.
func copyHeaders(from, headers, trailers http.Header) {
	for _, suffix := range []string{"", "-Bin"} {
		for _, value := range from.Values("X-Interop" + suffix) {
			headers.Add("X-Reply"+suffix, value)
			trailers.Add("X-Trailer"+suffix, value)
		}
	}
}

func pause(ctx context.Context, request *interopv1.Request) error {
	timer := time.NewTimer(time.Duration(request.GetDelayMs()) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The failure that a request asks for, or nil.
func failure(request *interopv1.Request) error {
	if request.GetFailure() == nil {
		return nil
	}
	failed := connect.NewError(connect.Code(request.Failure.Code), errors.New(request.Failure.Message))
	if detail, err := connect.NewErrorDetail(request.Failure); err == nil {
		failed.AddDetail(detail)
	}
	return failed
}

func answer(ctx context.Context, requests []*interopv1.Request, method string) (*connect.Response[interopv1.Reply], error) {
	first := new(interopv1.Request)
	if len(requests) > 0 {
		first = requests[0]
	}
	if err := pause(ctx, first); err != nil {
		return nil, err
	}
	if err := failure(first); err != nil {
		return nil, err
	}
	return connect.NewResponse(&interopv1.Reply{Requests: requests, HttpMethod: method}), nil
}

func (server) Unary(ctx context.Context, request *connect.Request[interopv1.Request]) (*connect.Response[interopv1.Reply], error) {
	reply, err := answer(ctx, []*interopv1.Request{request.Msg}, request.HTTPMethod())
	if err == nil {
		copyHeaders(request.Header(), reply.Header(), reply.Trailer())
	}
	return reply, err
}

func (s server) Get(ctx context.Context, request *connect.Request[interopv1.Request]) (*connect.Response[interopv1.Reply], error) {
	return s.Unary(ctx, request)
}

// Sends the replies that the first request asks for.
func sendReplies(ctx context.Context, requests []*interopv1.Request, send func(*interopv1.Reply) error) error {
	first := new(interopv1.Request)
	if len(requests) > 0 {
		first = requests[0]
	}
	for i := uint32(0); i < first.Replies; i++ {
		if err := pause(ctx, first); err != nil {
			return err
		}
		reply := &interopv1.Reply{Index: i}
		if i == 0 {
			reply.Requests = requests
		}
		if err := send(reply); err != nil {
			return err
		}
	}
	return failure(first)
}

func (server) ServerStream(ctx context.Context, request *connect.Request[interopv1.Request], stream *connect.ServerStream[interopv1.Reply]) error {
	copyHeaders(request.Header(), stream.ResponseHeader(), stream.ResponseTrailer())
	return sendReplies(ctx, []*interopv1.Request{request.Msg}, stream.Send)
}

func (server) ClientStream(ctx context.Context, stream *connect.ClientStream[interopv1.Request]) (*connect.Response[interopv1.Reply], error) {
	var requests []*interopv1.Request
	for stream.Receive() {
		requests = append(requests, stream.Msg())
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	reply, err := answer(ctx, requests, "POST")
	if err == nil {
		copyHeaders(stream.RequestHeader(), reply.Header(), reply.Trailer())
	}
	return reply, err
}

func (server) Bidi(ctx context.Context, stream *connect.BidiStream[interopv1.Request, interopv1.Reply]) error {
	copyHeaders(stream.RequestHeader(), stream.ResponseHeader(), stream.ResponseTrailer())
	var requests []*interopv1.Request
	for {
		request, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return sendReplies(ctx, requests, stream.Send)
		}
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
}

func runServer() error {
	mux := http.NewServeMux()
	mux.Handle(interopv1connect.NewInteropServiceHandler(server{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}
