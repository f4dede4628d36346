package main

import (
	"io"

	"github.com/weirmq/weir/internal/server"
)

// serve runs the server until a signal ends it and returns the exit status.
func serve(args []string, stdout, stderr io.Writer) int {
	return server.Main(args, stdout, stderr)
}
