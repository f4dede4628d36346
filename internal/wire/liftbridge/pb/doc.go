// Package pb is the Go code of Liftbridge's gRPC interface, made of
// api/liftbridge.proto by protoc 3.21 or later with protoc-gen-go and
// protoc-gen-go-grpc:
//
//	protoc -I api --go_out=. --go_opt=module=github.com/weirmq/weir \
//	    --go-grpc_out=. --go-grpc_opt=module=github.com/weirmq/weir api/liftbridge.proto
//
// Importing it registers the protobuf package "proto": it cannot be in one binary
// with another copy of that interface. Only the Liftbridge codec and door use it.
package pb
