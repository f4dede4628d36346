// Package grpcjs runs gRPC's client for JavaScript, which has an HTTP/2 of its own, against
// Liftbridge's interface: cases.mjs, with Node. Without Node or npm its test is skipped. The
// client's packages come from the npm registry at the first run and stay beside the script.
package grpcjs
