package main

import (
	"io"

	"github.com/weirmq/weir/internal/server"
)

// release is the version of the source tree.
const release = server.Version

// serve runs the server until a signal ends it and returns the exit status.
func serve(args []string, stdout, stderr io.Writer) int {
	return server.Main(args, stdout, stderr)
}
