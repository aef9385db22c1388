// SPDX-License-Identifier: Apache-2.0

// The connect-go side of the RPC benchmarks, over HTTP/1.1.
//
//	bench-connect-go server PORT                  the echo service
//	bench-connect-go count URL MESSAGES BYTES     messages/s of one server stream
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"tessera/bench/echo"
	"tessera/bench/echo/echoconnect"
)

type service struct{}

func (service) Echo(_ context.Context, request *connect.Request[echo.EchoRequest]) (*connect.Response[echo.EchoResponse], error) {
	return connect.NewResponse(&echo.EchoResponse{Payload: request.Msg.Payload}), nil
}

func (service) EchoRecord(_ context.Context, request *connect.Request[echo.Record]) (*connect.Response[echo.Record], error) {
	return connect.NewResponse(request.Msg), nil
}

func (service) Sink(_ context.Context, request *connect.Request[echo.EchoRequest]) (*connect.Response[echo.SinkResponse], error) {
	return connect.NewResponse(&echo.SinkResponse{Bytes: uint64(len(request.Msg.Payload))}), nil
}

func (service) Count(_ context.Context, request *connect.Request[echo.CountRequest], stream *connect.ServerStream[echo.EchoResponse]) error {
	message := &echo.EchoResponse{Payload: bytes.Repeat([]byte("x"), int(request.Msg.PayloadBytes))}
	for i := uint32(0); i < request.Msg.Messages; i++ {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return nil
}

func serve(port string) error {
	mux := http.NewServeMux()
	mux.Handle(echoconnect.NewEchoServiceHandler(service{}))
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	return http.Serve(listener, mux)
}

func count(url string, messages, size uint32) error {
	client := echoconnect.NewEchoServiceClient(http.DefaultClient, url)
	start := time.Now()
	stream, err := client.Count(context.Background(), connect.NewRequest(&echo.CountRequest{Messages: messages, PayloadBytes: size}))
	if err != nil {
		return err
	}
	seen := uint32(0)
	for stream.Receive() {
		if len(stream.Msg().Payload) == int(size) {
			seen++
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	if seen != messages {
		return fmt.Errorf("%d of %d messages", seen, messages)
	}
	fmt.Printf("%.0f\n", float64(messages)/time.Since(start).Seconds())
	return stream.Close()
}

func number(text string) uint32 {
	value, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-connect-go:", err)
		os.Exit(2)
	}
	return uint32(value)
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "server":
		err = serve(os.Args[2])
	case len(os.Args) == 5 && os.Args[1] == "count":
		err = count(os.Args[2], number(os.Args[3]), number(os.Args[4]))
	default:
		fmt.Fprintln(os.Stderr, "usage: bench-connect-go server PORT | count URL MESSAGES BYTES")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-connect-go:", err)
		os.Exit(1)
	}
}
