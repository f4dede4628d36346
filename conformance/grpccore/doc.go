// Package grpccore runs gRPC's core library, of which the clients for Python, Ruby, PHP and C++
// are made and which has an HTTP/2 of its own, against Liftbridge's interface: cases.py, with
// Python and the packages grpcio and grpcio-tools. Where they are not its test is skipped.
package grpccore
